import { statSync } from 'node:fs';
import path from 'node:path';
import { mkdir, rm } from 'node:fs/promises';
import { createCollection, type Collection } from '../../apps/index.ts';
import { createDrive, openDrive, type Drive, type DriveStorage } from '../../drive/index.ts';
import type { BlockSource } from '../../exchange/index.ts';
import type { EntryId } from '../../history/index.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type { ProtocolOptions } from '../../network/index.ts';
import { createCheckpointer, openDatabase, type Database } from '../../store/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Online } from '../core.ts';
import { createTelling } from '../sharing/telling.ts';
import { driveIdentity } from '../drive-identity.ts';
import { createOwnFeedCheck } from '../own-feed.ts';
import { createWriterKeys } from '../writer-keys.ts';
import { createCollectionHosts, type CollectionHosts } from './collection-hosts.ts';
import {
  decodeNotices,
  encodeNotices,
  maxNoticesFrame,
  mostHostAddresses,
  mostNotices,
} from './collection-messages.ts';
import type { CollectionNotice } from './collection-messages.ts';
import { createCollectionRecords } from './collection-records.ts';
import type { CollectionInvitation, CollectionRecord } from './collection-records.ts';

/** A collection at work. */
export interface OpenCollection {
  readonly record: CollectionRecord;
  readonly drive: Drive;
  readonly collection: Collection;
}

/** The collections of all apps on this node: drives without a folder, seen by their app only. */
export interface Collections {
  start(): Promise<void>;
  stop(): Promise<void>;
  actorChanged(): Promise<void>;
  /** All of them, or those of one app. */
  list(app?: string): readonly OpenCollection[];
  /** One of an app; another app's is not found. @throws AppError `not_found` */
  get(app: string, id: EntryId): OpenCollection;
  create(app: string, name: string): Promise<OpenCollection>;
  /** @throws AppError `quota_exceeded` when the app keeps as much here as its manifest says */
  checkQuota(app: string): void;
  /** Shared with this user and not kept here, newest first. */
  invitations(app: string): readonly CollectionInvitation[];
  /** @throws AppError `not_found`, `forbidden`, `unreachable` */
  join(app: string, id: EntryId, signal: AbortSignal): Promise<OpenCollection>;
  decline(app: string, id: EntryId): void;
  /** Forgets one here; the other members keep it. */
  leave(app: string, id: EntryId): Promise<void>;
  /** Copies on computers of others. */
  readonly hosts: Pick<CollectionHosts, 'replicas'> & {
    /** @throws AppError `not_found`, `forbidden` */
    replicate(app: string, id: EntryId, copies: number | null): Promise<void>;
    /** Call when members of one changed here. */
    membersChanged(app: string, id: EntryId): Promise<void>;
  };
  /** Rights of one changed here. */
  rightsChanged(): void;
}

interface Running extends OpenCollection {
  readonly db: Database;
  readonly off: (() => void)[];
  endCheckpoints: () => Promise<void>;
}

const protocol = 'collections/2';
const options: ProtocolOptions = {
  maxFrame: maxNoticesFrame,
  maxStreams: 4,
  idleTimeout: 10_000,
  maxRate: 8,
};
const tellAfter = 100;
const joinPatience = 20_000;
/** Time to reach a host, ms. */
const hostPatience = 5000;
/** Sizes of files are looked up anew after this, ms. */
const sizesFresh = 1000;
/** Of one app on one node. */
const mostOfApp = 1024;
/** A collection has no files, so no blocks. */
const noBlocks: BlockSource = { read: (ids) => Promise.resolve(ids.map(() => null)) };

export function createCollections(
  node: Online,
  {
    refreshMembers,
    quotaOf,
  }: {
    refreshMembers: () => void;
    /** Bytes that an app may keep on this computer; null: it is not installed. */
    quotaOf: (app: string) => number | null;
  },
): Collections {
  const { identity, exchange, network, clock, random, logger, events } = node;
  const records = createCollectionRecords(node.db);
  const checkpointer = createCheckpointer({ clock, logger });
  const writerKeys = createWriterKeys(node.db, identity, random);
  const running = new Map<EntryId, Running>();
  const hosts = createCollectionHosts(node, records, () => running.values());
  let stopped = false;

  const dirOf = (driveId: EntryId): string => path.join(node.dataDir, 'collections', driveId);
  /** What the collections of an app take, as it was looked up last. */
  const kept = new Map<string, { readonly time: number; readonly bytes: number }>();
  const sizeOf = (driveId: EntryId): number =>
    ['chain.log', 'drive.db'].reduce(
      (sum, file) => sum + (statSync(path.join(dirOf(driveId), file), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  const changed = (app: string): void => events.emit('collections', { app });

  function user(): UserId {
    const found = identity.userId();
    if (found !== null) return found;
    throw new AppError('no_identity', 'Create an identity first, restore one, or link this computer to one.');
  }

  async function storage(driveId: EntryId): Promise<DriveStorage> {
    const dir = dirOf(driveId);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return { dir, db: openDatabase(path.join(dir, 'drive.db')) };
  }

  const deps = (of: UserId) => ({
    identity: driveIdentity(identity, of, null),
    writerKeys,
    clock,
    random,
    logger,
  });

  /** Takes members out who go on writing far beyond what they may: what they write would not count, but fill disks. */
  function endFlood({ record, drive }: Pick<Running, 'record' | 'drive'>): void {
    const own = drive.ownRole();
    if (own !== 'owner' && own !== 'manager') return;
    for (const flooding of drive.flooding()) {
      if (drive.roleOf(flooding) === null || drive.roleOf(flooding) === 'owner') continue;
      logger.warn({ driveId: record.driveId, user: flooding }, 'a member of a collection writes without end');
      void drive
        .unshare(flooding)
        .then(rightsChanged)
        .catch((error: unknown) => logger.warn({ err: error }, 'a member could not be taken out'));
    }
  }
  function rightsChanged(): void {
    refreshMembers();
    telling.soon();
  }

  function launch(record: CollectionRecord, drive: Drive, db: Database): Running {
    const guarded = createOwnFeedCheck({ drive, exchange, network, clock, logger });
    const off = [
      drive.on('registers', () => changed(record.app)),
      drive.on('entries', ({ local }) => {
        if (!local) endFlood({ record, drive });
      }),
      drive.on('access', () => {
        refreshMembers();
        telling.soon();
        changed(record.app);
      }),
      () => guarded.stop(),
    ];
    const one: Running = {
      record,
      drive: guarded.drive,
      collection: createCollection(guarded.drive),
      db,
      off,
      endCheckpoints: checkpointer.add(db),
    };
    running.set(record.driveId, one);
    exchange.addDrive(guarded.drive, noBlocks);
    exchange.setSettled(record.driveId, true, true);
    void hosts.opened(one);
    refreshMembers();
    telling.soon();
    changed(record.app);
    return one;
  }

  async function close({ record, drive, db, off, endCheckpoints }: Running): Promise<void> {
    running.delete(record.driveId);
    for (const end of off) end();
    await hosts.closing(record.driveId);
    await exchange.removeDrive(record.driveId);
    drive.close();
    await endCheckpoints();
    db.close();
  }

  async function openAll(): Promise<void> {
    const of = identity.userId();
    for (const record of of === null ? [] : records.all(of)) {
      if (stopped) return;
      let place: DriveStorage | null = null;
      try {
        place = await storage(record.driveId);
        const drive = await openDrive({ ...deps(record.user), ...place, driveId: record.driveId });
        launch(record, drive, place.db);
      } catch (error) {
        place?.db.close();
        logger.error({ err: error, driveId: record.driveId }, 'a collection could not be opened');
      }
    }
  }

  const closeAll = async (): Promise<void> => void (await Promise.all([...running.values()].map(close)));

  function get(app: string, id: EntryId): Running {
    const one = running.get(id);
    if (one?.record.app === app) return one;
    throw new AppError('not_found', 'This app has no such collection on this computer.', { details: { id } });
  }

  function checkRoom(app: string): void {
    if ([...running.values()].filter(({ record }) => record.app === app).length < mostOfApp) return;
    throw new AppError('too_many', `An app has at most ${mostOfApp} collections on a computer.`);
  }

  /** What this device may say to another one: to those of its own person everything, to others what it manages. */
  function noticesFor(other: UserId): readonly CollectionNotice[] {
    const found: CollectionNotice[] = [];
    for (const { record, drive } of running.values()) {
      const role = drive.roleOf(other);
      const mine = drive.ownRole();
      const speaks = other === identity.userId() || mine === 'owner' || mine === 'manager';
      if (role === null || !speaks || found.length >= mostNotices) continue;
      const { driveId, app } = record;
      const addresses = hosts.addresses(driveId).slice(0, mostHostAddresses);
      found.push({ driveId, app, name: drive.name(), role, hosts: addresses });
    }
    return found;
  }

  const telling = createTelling(node, {
    protocol,
    options,
    after: tellAfter,
    subject: 'shared collections',
    noticesFor,
    encode: encodeNotices,
  });

  network.handle(protocol, options, async (stream) => {
    const frame = await stream.read();
    const sender = network.cards.userOf(stream.peer);
    const own = identity.userId();
    if (frame === null) return;
    const notices = decodeNotices(frame);
    if (sender !== null && own !== null && records.invited(own, sender, stream.peer, notices, clock.now())) {
      for (const app of new Set(notices.map((one) => one.app))) changed(app);
    }
    for (const { driveId, hosts: addresses } of notices) {
      const one = running.get(driveId);
      const role = sender === null ? null : one?.drive.roleOf(sender);
      if (one && addresses.length > 0 && (role === 'owner' || role === 'manager')) hosts.heard(one);
    }
    await stream.send(encodeNotices([]));
    await stream.close();
  });

  const offHosting = node.hosting.on('changed', ({ driveId }) => {
    if (driveId !== null && running.has(driveId)) telling.soon();
  });

  const reach = (address: string, signal: AbortSignal): Promise<DeviceId | null> =>
    network
      .connect(address, AbortSignal.any([signal, AbortSignal.timeout(hostPatience)]))
      .catch((error: unknown) => {
        logger.debug({ err: error, address }, 'a host of a collection was not reached');
        return null;
      });

  const joining = new Map<EntryId, Promise<OpenCollection>>();
  async function join(app: string, id: EntryId, signal: AbortSignal): Promise<OpenCollection> {
    const of = user();
    checkRoom(app);
    const invitation = records.invitations(of).find((one) => one.driveId === id && one.app === app);
    if (!invitation)
      throw new AppError('not_found', 'Nobody shares this collection with you.', { details: { id } });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(joinPatience)]);
    const others = network
      .peers()
      .filter(({ userId, peerId }) => userId === invitation.from && peerId !== invitation.peer)
      .map(({ peerId }) => peerId);
    const isHere = network.peers().some(({ userId }) => userId === invitation.from);
    // While everybody is away hosts have it.
    const dialled = isHere ? [] : invitation.hosts.map((address) => reach(address, limit));
    const kept = (await Promise.all(dialled)).filter((peer) => peer !== null);
    const peers = [...new Set([...kept, invitation.peer, ...others])];
    const entries = await exchange.fetchHistory(id, peers, limit);
    const place = await storage(id);
    try {
      const drive = await openDrive({ ...deps(of), ...place, driveId: id, genesis: entries[0]! });
      for (let at = 1; at < entries.length; at += 256) await drive.ingest(entries.slice(at, at + 256));
      if (drive.purpose()?.app !== app) {
        drive.close();
        throw new AppError('forbidden', 'This is no collection of this app that you have a right to.');
      }
      const record: CollectionRecord = { driveId: id, user: of, app };
      records.add(record);
      if (invitation.hosts.length > 0) records.setHosted(id);
      return launch(record, drive, place.db);
    } catch (error) {
      place.db.close();
      await rm(dirOf(id), { recursive: true, force: true });
      throw error;
    }
  }

  return {
    start: openAll,
    async stop() {
      stopped = true;
      telling.stop();
      offHosting();
      await hosts.stop();
      await closeAll();
      await checkpointer.stop();
    },
    async actorChanged() {
      await closeAll();
      await openAll();
    },
    list: (app) => [...running.values()].filter(({ record }) => app === undefined || record.app === app),
    get,
    async create(app, name) {
      const of = user();
      checkRoom(app);
      let place: DriveStorage | null = null;
      const drive = await createDrive({
        ...deps(of),
        name,
        purpose: { kind: 'collection', app },
        storage: async (driveId) => (place = await storage(driveId)),
      });
      const record: CollectionRecord = { driveId: drive.id, user: of, app };
      records.add(record);
      return launch(record, drive, place!.db);
    },
    checkQuota(app) {
      const quota = quotaOf(app);
      if (quota === null) return;
      let sum = kept.get(app);
      if (!sum || sum.time < clock.now() - sizesFresh) {
        const own = [...running.values()].filter(({ record }) => record.app === app);
        sum = { time: clock.now(), bytes: own.reduce((all, { record }) => all + sizeOf(record.driveId), 0) };
        kept.set(app, sum);
      }
      if (sum.bytes < quota) return;
      throw new AppError(
        'quota_exceeded',
        'This app keeps as much on this computer as it said it would need.',
        {
          details: { quota },
        },
      );
    },
    invitations: (app) => {
      const of = identity.userId();
      return of === null ? [] : records.invitations(of).filter((one) => one.app === app);
    },
    async join(app, id, signal) {
      const here = running.get(id);
      if (here) return get(app, id);
      let work = joining.get(id);
      if (!work) {
        joining.set(id, (work = join(app, id, signal)));
        void work.catch(() => {}).finally(() => joining.delete(id));
      }
      return work;
    },
    decline(app, id) {
      records.decline(user(), id);
      changed(app);
    },
    async leave(app, id) {
      const one = get(app, id);
      await close(one);
      records.remove(id);
      hosts.forget(id);
      records.decline(one.record.user, id);
      await rm(dirOf(id), { recursive: true, force: true });
      refreshMembers();
      changed(app);
    },
    hosts: {
      replicas: hosts.replicas,
      replicate: (app, id, copies) => hosts.replicate(get(app, id), copies),
      membersChanged: (app, id) => hosts.membersChanged(get(app, id)),
    },
    rightsChanged,
  };
}
