import path from 'node:path';
import { mkdir, rm } from 'node:fs/promises';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { createDrive, openDrive, type Drive, type DriveDeps, type DriveStorage } from '../drive/index.ts';
import type { EntryId } from '../history/index.ts';
import { tryUnwrap } from '../identity/index.ts';
import type { UserId } from '../identity/index.ts';
import {
  createCheckpointer,
  createChunkStore,
  openDatabase,
  type ChunkStore,
  type Database,
} from '../store/index.ts';
import { createFolderSync, type FolderSync } from '../sync/index.ts';
import type { Online } from './core.ts';
import { parseDriveLink, type DriveLink } from './drive-link.ts';
import { createDriveRecords, type DriveRecord } from './drive-records.ts';
import { claimFolder } from './folders.ts';
import { createFollowedLinks } from './sharing/followed-links.ts';
import { claimInvite } from './sharing/invite-protocol.ts';
import { createMemberWatch, type MemberWatch } from './members.ts';
import { createOwnFeedCheck } from './own-feed.ts';
import { createWriterKeys } from './writer-keys.ts';

/** A drive at work: what it is made of. */
export interface OpenDrive {
  readonly record: DriveRecord;
  readonly drive: Drive;
  readonly sync: FolderSync;
}

/** All drives of this node: kept in node.db, opened at start, made, joined and left. */
export interface Drives {
  /** Opens and starts all of the actor in use. One that can't be opened is logged and shown, the others go on. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Stops those of the actor before, starts those of the one in use now. */
  actorChanged(): Promise<void>;
  list(): readonly OpenDrive[];
  /** Drives that could not be opened, with why. */
  broken(): readonly { readonly record: DriveRecord; readonly error: AppError }[];
  /** By id, or by a name that only one has. Throws `drive_unknown`, `invalid_argument`. */
  get(idOrName: string): OpenDrive;
  /** A drive open here by its id; null: none. */
  opened(driveId: EntryId): Drive | null;
  create(name: string, folder: string): Promise<OpenDrive>;
  join(link: string, folder: string, signal: AbortSignal): Promise<OpenDrive>;
  leave(idOrName: string): Promise<void>;
  setPaused(idOrName: string, paused: boolean): void;
  /** Members changed: keep in touch with the right devices. */
  refreshMembers(): void;
}

interface Running extends OpenDrive {
  readonly db: Database;
  readonly chunks: ChunkStore;
  readonly off: readonly (() => void)[];
  endCheckpoints: () => Promise<void>;
}

const joinPatience = 30_000;
/** A drive that could not be opened (its disk may not be mounted yet) is tried again after this time, ms. */
const reopenAfter = 15_000;

export function createDrives(node: Online): Drives {
  const { db: nodeDb, identity, exchange, network, clock, random, logger, events, activity, settings } = node;
  const records = createDriveRecords(nodeDb);
  const checkpointer = createCheckpointer({ clock, logger });
  const writerKeys = createWriterKeys(nodeDb, identity, random);
  const followed = createFollowedLinks(nodeDb, identity, random);
  const running = new Map<EntryId, Running>();
  const failed = new Map<EntryId, { record: DriveRecord; error: AppError }>();
  const members: MemberWatch = createMemberWatch(
    node,
    () =>
      new Set([...running.values()].flatMap(({ drive }) => drive.members().map((member) => member.userId))),
  );
  let stopped = false;
  let cancelReopen: (() => void) | null = null;

  const drivesDir = path.join(node.dataDir, 'drives');
  const dirOf = (driveId: EntryId): string => path.join(drivesDir, driveId);

  function deps(user: UserId, driveId: EntryId | null): DriveDeps {
    const secret = driveId === null ? null : (followed.get(driveId)?.secret ?? null);
    return {
      identity: {
        userId: user,
        device: identity.deviceSigner,
        certificate: identity.certificate(user),
        encKey: identity.card(user).encKey,
        unwrap: (box) => identity.tryUnwrap(box, user) ?? (secret && tryUnwrap(secret, box)),
      },
      writerKeys,
      clock,
      random,
      logger,
    };
  }

  function currentUser(): UserId {
    const user = identity.userId();
    if (user === null) {
      throw new AppError(
        'no_identity',
        'Create an identity first, restore one, or link this computer to one.',
      );
    }
    return user;
  }

  async function storage(driveId: EntryId): Promise<DriveStorage> {
    const dir = dirOf(driveId);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return { dir, db: openDatabase(path.join(dir, 'drive.db')) };
  }

  /** Puts the parts of one drive together and starts them. */
  async function launch(record: DriveRecord, drive: Drive, db: Database): Promise<Running> {
    const chunks = createChunkStore({
      dir: path.join(dirOf(record.driveId), 'chunks'),
      budget: settings.get('versions.bytes'),
    });
    await chunks.start();
    const guarded = createOwnFeedCheck({ drive, exchange, network, clock, logger });
    const sync = createFolderSync({
      drive: guarded.drive,
      exchange,
      content: node.content,
      db,
      chunks,
      folder: record.folder,
      clock,
      random,
      logger,
      options: {
        trashDays: settings.get('trash.days'),
        versionsShare: settings.get('versions.share'),
        versionsBytes: settings.get('versions.bytes'),
      },
    });
    const { driveId } = record;
    const changed = (): void => events.emit('drives', { driveId });
    const off = [
      sync.on('status', changed),
      sync.on('problem', (error) =>
        events.emit('activity', activity.add({ kind: 'problem', driveId, message: error.message })),
      ),
      drive.on('access', () => {
        members.refresh();
        changed();
      }),
      drive.on('fork', (fork) =>
        events.emit(
          'activity',
          activity.add({
            kind: 'fork',
            driveId,
            message: `A device signed two different entries at one place (${fork.seq}) of its history. Both are kept.`,
          }),
        ),
      ),
      () => guarded.stop(),
    ];
    const one: Running = { record, drive, sync, db, chunks, off, endCheckpoints: async () => {} };
    running.set(driveId, one);
    exchange.addDrive(guarded.drive, sync.blocks);
    node.hosting.addDrive(drive, sync.blocks, record.user);
    if (record.paused) sync.pause();
    await sync.start();
    one.endCheckpoints = checkpointer.add(db);
    members.refresh();
    changed();
    return one;
  }

  async function close(one: Running): Promise<void> {
    running.delete(one.record.driveId);
    for (const end of one.off) end();
    await node.hosting.removeDrive(one.record.driveId);
    await one.sync.stop();
    await exchange.removeDrive(one.record.driveId);
    await one.chunks.stop();
    one.drive.close();
    await one.endCheckpoints();
    one.db.close();
  }

  async function open(record: DriveRecord): Promise<void> {
    let db: Database | null = null;
    try {
      follow(record.driveId);
      const place = await storage(record.driveId);
      db = place.db;
      const drive = await openDrive({
        ...deps(record.user, record.driveId),
        ...place,
        driveId: record.driveId,
      });
      await launch(record, drive, db);
    } catch (cause) {
      running.delete(record.driveId);
      if (db?.open) db.close();
      const error = isAppError(cause)
        ? cause
        : new AppError('internal', 'This drive could not be opened.', { cause });
      failed.set(record.driveId, { record, error });
      logger.error({ err: cause, driveId: record.driveId }, 'a drive could not be opened');
      events.emit(
        'activity',
        activity.add({ kind: 'problem', driveId: record.driveId, message: error.message }),
      );
    }
  }

  /** A drive kept by its link: who may have it, and why we may read it. */
  function follow(driveId: EntryId): void {
    const link = followed.get(driveId);
    if (!link) return;
    node.open.follow(driveId, link.secret, []);
    const reaching: DriveLink = { driveId, addresses: link.addresses, power: null };
    void node.sources
      .reach(reaching, AbortSignal.timeout(joinPatience))
      .then((peers) => node.open.follow(driveId, link.secret, peers))
      .catch((error: unknown) =>
        logger.debug({ err: error, driveId }, 'nobody who has this drive is reached'),
      );
  }

  function unfollow(driveId: EntryId): void {
    followed.remove(driveId);
    node.open.unfollow(driveId);
  }

  async function openAll(): Promise<void> {
    const user = identity.userId();
    // One after another: each start reads and hashes; together they would only take turns on the disk.
    for (const record of records.all()) if (record.user === user && !stopped) await open(record);
    members.refresh();
    reopenLater();
  }

  function reopenLater(): void {
    cancelReopen?.();
    cancelReopen = failed.size === 0 || stopped ? null : clock.after(reopenAfter, () => void reopen());
  }

  async function reopen(): Promise<void> {
    for (const { record } of [...failed.values()]) {
      if (stopped) return;
      failed.delete(record.driveId);
      await open(record);
    }
    reopenLater();
  }

  async function closeAll(): Promise<void> {
    await Promise.all([...running.values()].map(close));
    failed.clear();
  }

  function get(idOrName: string): Running {
    const exact = running.get(idOrName);
    if (exact) return exact;
    const broken = failed.get(idOrName);
    if (broken) throw broken.error;
    const named = [...running.values()].filter(({ drive }) => drive.name() === idOrName);
    if (named.length === 1) return named[0]!;
    if (named.length > 1)
      throw new AppError('invalid_argument', `Several drives are called ${idOrName}; give the id.`);
    throw new AppError('drive_unknown', `There is no drive ${idOrName} on this computer.`);
  }

  /**
   * Those we have just met may know a card of ours from another computer, which lacks this one: until both are merged they
   * can't tell that this computer is ours.
   */
  async function findOwnCard(user: UserId, signal: AbortSignal): Promise<void> {
    try {
      identity.acceptCard(await network.cards.find(user, signal));
    } catch (error) {
      logger.debug({ err: error }, 'nobody here knows a card of ours');
    }
  }

  async function claim(folder: string): Promise<string> {
    return claimFolder(folder, [node.dataDir, ...records.all().map((record) => record.folder)]);
  }

  return {
    start: openAll,
    async stop() {
      stopped = true;
      cancelReopen?.();
      members.stop();
      await closeAll();
      await checkpointer.stop();
    },
    async actorChanged() {
      await closeAll();
      await openAll();
    },
    list: () => [...running.values()],
    broken: () => [...failed.values()],
    get,
    opened: (driveId) => running.get(driveId)?.drive ?? null,
    async create(name, folder) {
      const user = currentUser();
      const real = await claim(folder);
      let place: DriveStorage | null = null;
      const drive = await createDrive({
        ...deps(user, null),
        name,
        storage: async (driveId) => (place = await storage(driveId)),
      });
      const record: DriveRecord = { driveId: drive.id, folder: real, user, paused: false };
      records.add(record);
      return launch(record, drive, place!.db);
    },
    async join(text, folder, signal) {
      const user = currentUser();
      const link = parseDriveLink(text);
      const { driveId, power } = link;
      if (running.has(driveId) || failed.has(driveId)) {
        throw new AppError('already_exists', 'This drive is on this computer already.');
      }
      const limit = AbortSignal.any([signal, AbortSignal.timeout(joinPatience)]);
      let peers = await node.sources.reach(link, limit);
      if (power?.t === 'invite') {
        const host = await claimInvite(node, driveId, power.secret, peers, limit);
        peers = [host, ...peers.filter((peer) => peer !== host)];
      } else if (power?.t === 'read') {
        followed.put(driveId, { secret: power.secret, addresses: link.addresses });
        node.open.follow(driveId, power.secret, peers);
      }
      const [entries, real] = await (async () => {
        await findOwnCard(user, limit);
        const fetched = await exchange.fetchHistory(driveId, peers, limit);
        return [fetched, await claim(folder)] as const;
      })().catch((error: unknown) => {
        unfollow(driveId);
        throw error;
      });
      const place = await storage(driveId);
      try {
        const drive = await openDrive({ ...deps(user, driveId), ...place, driveId, genesis: entries[0]! });
        for (let at = 1; at < entries.length; at += 256) await drive.ingest(entries.slice(at, at + 256));
        const record: DriveRecord = { driveId, folder: real, user, paused: false };
        records.add(record);
        return await launch(record, drive, place.db);
      } catch (error) {
        if (!running.has(driveId)) {
          if (place.db.open) place.db.close();
          records.remove(driveId);
          unfollow(driveId);
          await rm(dirOf(driveId), { recursive: true, force: true });
        }
        throw error;
      }
    },
    async leave(idOrName) {
      const broken = failed.get(idOrName);
      const record = broken?.record ?? get(idOrName).record;
      const one = running.get(record.driveId);
      if (one) await close(one);
      failed.delete(record.driveId);
      records.remove(record.driveId);
      node.hosting.forgetDrive(record.driveId);
      unfollow(record.driveId);
      await rm(dirOf(record.driveId), { recursive: true, force: true });
      // The files are the person's and stay; what the engine kept for itself beside them goes.
      await rm(path.join(record.folder, '.extrachain', 'marker.json'), { force: true });
      members.refresh();
      events.emit('drives', { driveId: null });
    },
    setPaused(idOrName, paused) {
      const one = get(idOrName);
      records.setPaused(one.record.driveId, paused);
      if (paused) one.sync.pause();
      else one.sync.resume();
      events.emit('drives', { driveId: one.record.driveId });
    },
    refreshMembers: () => members.refresh(),
  };
}
