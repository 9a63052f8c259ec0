import path from 'node:path';
import { mkdir, rm } from 'node:fs/promises';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import {
  createDrive,
  openDrive,
  rootNode,
  type Drive,
  type DriveDeps,
  type DriveStorage,
} from '../drive/index.ts';
import type { EntryId } from '../history/index.ts';
import type { Borrowed } from '../hosting/index.ts';
import type { UserId } from '../identity/index.ts';
import {
  createCheckpointer,
  createChunkStore,
  openDatabase,
  type ChunkStore,
  type Database,
} from '../store/index.ts';
import { createFolderSync, createSyncState, type FolderSync } from '../sync/index.ts';
import type { Online } from './core.ts';
import { driveIdentity } from './drive-identity.ts';
import { parseDriveLink, type DriveLink } from './drive-link.ts';
import { createDriveRecords, type DriveRecord, type MountPlace } from './drive-records.ts';
import { createMounts, type Mounts } from './mounts.ts';
import { createFolderPlaces, type FolderPlaces } from './folder-places.ts';
import { claimFolder } from './folders.ts';
import { followOthers } from './sharing/follow-others.ts';
import { createFollowedLinks } from './sharing/followed-links.ts';
import { claimInvite } from './sharing/invite-protocol.ts';
import { recentAudits } from './hosting-services.ts';
import { createMemberWatch, type MemberWatch } from './members.ts';
import { createOwnFeedCheck } from './own-feed.ts';
import { createWriterKeys } from './writer-keys.ts';

/** A drive at work: what it is made of. */
export interface OpenDrive {
  readonly record: DriveRecord;
  readonly drive: Drive;
  readonly sync: FolderSync;
}

/** A drive that could not be opened, with why. */
export interface BrokenDrive {
  readonly record: DriveRecord;
  readonly error: AppError;
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
  broken(): readonly BrokenDrive[];
  /** By id, or by a name that only one has. Throws `drive_unknown`, `invalid_argument`. */
  get(idOrName: string): OpenDrive;
  /** A drive open here by its id; null: none. */
  opened(driveId: EntryId): Drive | null;
  create(name: string, folder: string): Promise<OpenDrive>;
  /** @param onlineOnly nothing is brought here but what is asked for */
  join(link: string, folder: string, onlineOnly: boolean, signal: AbortSignal): Promise<OpenDrive>;
  leave(idOrName: string): Promise<void>;
  setPaused(idOrName: string, paused: boolean): void;
  /**
   * Says where its folder is now. `anew`: another one, into which everything is brought; else the one that was moved.
   * @throws AppError `root_missing`, `root_unmarked`, `folder_in_use`, `invalid_argument`, `permission_denied`
   */
  move(idOrName: string, folder: string, anew: boolean): Promise<OpenDrive>;
  /** Members changed: keep in touch with the right devices. */
  refreshMembers(): void;
  /**
   * Makes a drive of its own of a folder; its files stay where they are. Answers when the other members are told. What is begun goes on
   * after a failure or a restart.
   * @throws AppError `forbidden`, `invalid_argument`, `not_found`, `already_exists`
   */
  shareFolder(idOrName: string, path: string, signal: AbortSignal): Promise<OpenDrive>;
  /** Makes an ordinary folder of its parent of a drive again. Answers when the other members are told. */
  unshareFolder(idOrName: string, signal: AbortSignal): Promise<OpenDrive>;
  /** Takes somebody's role away here and in the drives that have their place in a folder of this one, as far as this user may. */
  unshare(idOrName: string, user: UserId): Promise<void>;
}

export interface Running extends OpenDrive {
  readonly db: Database;
  readonly chunks: ChunkStore;
  readonly off: (() => void)[];
  /** What is kept here of this drive for others. */
  readonly borrowed: Borrowed;
  endCheckpoints: () => Promise<void>;
}

const joinPatience = 30_000;
/** A drive that could not be opened (its disk may not be mounted yet) is tried again after this time, ms. */
const reopenAfter = 15_000;

/** @param alsoUsers people to keep in touch with besides the members of drives */
export function createDrives(node: Online, alsoUsers: () => Iterable<UserId>): Drives {
  const { db: nodeDb, identity, exchange, network, clock, random, logger, events, activity, settings } = node;
  const records = createDriveRecords(nodeDb);
  const checkpointer = createCheckpointer({ clock, logger });
  const writerKeys = createWriterKeys(nodeDb, identity, random);
  const followed = createFollowedLinks(nodeDb, identity, random);
  const running = new Map<EntryId, Running>();
  const failed = new Map<EntryId, BrokenDrive>();
  /** Why a drive could not be opened, as it was told last. */
  const told = new Map<EntryId, string>();
  const members: MemberWatch = createMemberWatch(
    node,
    () =>
      new Set([
        ...[...running.values()].flatMap(({ drive }) => drive.members().map((member) => member.userId)),
        ...alsoUsers(),
      ]),
  );
  let stopped = false;
  let cancelReopen: (() => void) | null = null;

  const drivesDir = path.join(node.dataDir, 'drives');
  const dirOf = (driveId: EntryId): string => path.join(drivesDir, driveId);

  function deps(user: UserId, driveId: EntryId | null): DriveDeps {
    const secret = driveId === null ? null : (followed.get(driveId)?.secret ?? null);
    return {
      identity: driveIdentity(identity, user, secret),
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
    const { mount } = record;
    const chunks = createChunkStore({
      dir: path.join(dirOf(record.driveId), 'chunks'),
      budget: settings.get('versions.bytes'),
    });
    await chunks.start();
    const { driveId } = record;
    const borrowed = await node.hosting.borrow(driveId);
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
      ...(mount && {
        marked: mount.state === 'mounted' || mount.state === 'ending',
        ignoredAbove: (inner, dir) => ignoredAbove(mount, inner, dir),
      }),
      options: {
        trashDays: settings.get('trash.days'),
        versionsShare: settings.get('versions.share'),
        versionsBytes: settings.get('versions.bytes'),
      },
      copies: () => settings.get('free.copies'),
      hosts: () => node.hosting.safeCopies(driveId, recentAudits(settings)),
      hostAway: (ms) => node.hosting.isHostAway(driveId, ms),
      kept: async (id) => (await borrowed.source.read([id]))[0] ?? null,
    });
    const changed = (): void => events.emit('drives', { driveId });
    const off = [
      sync.on('status', () => {
        changed();
        mounts.look();
      }),
      drive.on('tree', () => mounts.look()),
      sync.on('problem', (error) =>
        events.emit('activity', activity.add({ kind: 'problem', driveId, message: error.message })),
      ),
      drive.on('access', () => {
        members.refresh();
        changed();
        mounts.look();
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
    const one: Running = { record, drive, sync, db, chunks, off, borrowed, endCheckpoints: async () => {} };
    running.set(driveId, one);
    try {
      exchange.addDrive(guarded.drive, node.hosting.serving(drive, sync.blocks, borrowed.source));
      node.hosting.addDrive(drive, sync.blocks, borrowed.source, record.user);
      if (record.paused) sync.pause();
      await sync.start();
    } catch (error) {
      await withdraw(one);
      throw error;
    }
    one.endCheckpoints = checkpointer.add(db);
    members.refresh();
    changed();
    mounts.look();
    return one;
  }

  /** The rules of the drive around one go on counting in its folder. */
  function ignoredAbove({ parent, node: folder }: MountPlace, inner: string, dir: boolean): boolean {
    const above = running.get(parent)?.sync;
    const at = above?.mounts.path(folder) ?? null;
    return above !== undefined && at !== null && above.ignored(`${at}/${inner}`, dir);
  }

  /** Takes a drive out of everything that works with it. */
  async function withdraw(one: Running): Promise<void> {
    const { driveId } = one.record;
    running.delete(driveId);
    for (const end of one.off) end();
    await node.hosting.removeDrive(driveId);
    await one.sync.stop();
    await exchange.removeDrive(driveId);
    one.borrowed.release();
  }

  /** @param last done when nothing else works with it any more */
  async function close(one: Running, last?: (one: Running) => void): Promise<void> {
    await withdraw(one);
    await one.chunks.stop();
    one.drive.close();
    await one.endCheckpoints();
    try {
      last?.(one);
    } finally {
      one.db.close();
    }
  }

  async function open(kept: DriveRecord): Promise<void> {
    let db: Database | null = null;
    let record = kept;
    try {
      record = mounts.placed(kept);
      follow(record.driveId);
      const place = await storage(record.driveId);
      db = place.db;
      const drive = await openDrive({
        ...deps(record.user, record.driveId),
        ...place,
        driveId: record.driveId,
      });
      await launch(record, drive, db);
      told.delete(record.driveId);
    } catch (cause) {
      running.delete(record.driveId);
      if (db?.open) db.close();
      const error = isAppError(cause)
        ? cause
        : new AppError('internal', 'This drive could not be opened.', { cause });
      failed.set(record.driveId, { record, error });
      // It is tried again every so often; the same reason is told once.
      if (told.get(record.driveId) === error.message) return;
      told.set(record.driveId, error.message);
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
    const { secret, addresses } = link;
    const reaching: DriveLink = { driveId, addresses, power: { t: 'read', secret } };
    void node.sources
      .reach(reaching, AbortSignal.timeout(joinPatience))
      .then((peers) => {
        node.open.follow(driveId, link.secret, peers);
        exchange.sourcesChanged();
      })
      .catch((error: unknown) =>
        logger.debug({ err: error, driveId }, 'nobody who has this drive is reached'),
      )
      .finally(() => followOthers(node, reaching, () => lacksSome(driveId)));
  }

  /** A drive kept by its link of which something is still to come. */
  function lacksSome(driveId: EntryId): boolean {
    return (
      !stopped && followed.get(driveId) !== null && running.get(driveId)?.sync.status().state !== 'in_step'
    );
  }

  function unfollow(driveId: EntryId): void {
    followed.remove(driveId);
    node.open.unfollow(driveId);
  }

  async function openAll(): Promise<void> {
    const user = identity.userId();
    // One after another: each start reads and hashes; together they would only take turns on the disk. Parents come first.
    for (const record of mounts.inOrder(records.all()))
      if (record.user === user && !stopped) await open(record);
    members.refresh();
    reopenLater();
  }

  function reopenLater(): void {
    cancelReopen?.();
    cancelReopen = failed.size === 0 || stopped ? null : clock.after(reopenAfter, () => void reopen());
  }

  async function reopen(): Promise<void> {
    for (const record of mounts.inOrder([...failed.values()].map((one) => one.record))) {
      if (stopped) return;
      failed.delete(record.driveId);
      await open(record);
    }
    reopenLater();
  }

  async function closeAll(): Promise<void> {
    await Promise.all([...running.values()].map((one) => close(one)));
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

  /** Drives on their way here. Two at once would share one folder of data, and the one that fails would delete it. */
  const arriving = new Set<EntryId>();
  /** Brings a drive kept by others here: its history, then its files. `prepare` is called before its engine starts. */
  async function bring(
    record: DriveRecord,
    entries: readonly Uint8Array[],
    prepare?: (drive: Drive, db: Database) => Promise<void>,
  ): Promise<Running> {
    const { driveId } = record;
    if (arriving.has(driveId) || running.has(driveId)) {
      throw new AppError('already_exists', 'This drive is on this computer already, or on its way here.');
    }
    arriving.add(driveId);
    try {
      return await bringOne(record, entries, prepare);
    } finally {
      arriving.delete(driveId);
    }
  }
  async function bringOne(
    record: DriveRecord,
    entries: readonly Uint8Array[],
    prepare?: (drive: Drive, db: Database) => Promise<void>,
  ): Promise<Running> {
    const { driveId } = record;
    const place = await storage(driveId);
    try {
      const drive = await openDrive({
        ...deps(record.user, driveId),
        ...place,
        driveId,
        genesis: entries[0]!,
      });
      for (let at = 1; at < entries.length; at += 256) await drive.ingest(entries.slice(at, at + 256));
      await prepare?.(drive, place.db);
      records.add(record);
      return await launch(record, drive, place.db);
    } catch (error) {
      if (!running.has(driveId)) await abandon(driveId, place.db);
      throw error;
    }
  }

  /** Leaves nothing of a drive that did not come about: whoever tries again finds the place free. */
  async function abandon(driveId: EntryId, db: Database): Promise<void> {
    if (db.open) db.close();
    records.remove(driveId);
    unfollow(driveId);
    await rm(dirOf(driveId), { recursive: true, force: true });
  }

  /** @param borrowed what is kept here of the drive for others: enough when nobody else is there */
  async function joinBy(
    link: DriveLink,
    folder: string,
    user: UserId,
    onlineOnly: boolean,
    borrowed: Borrowed,
    limit: AbortSignal,
  ): Promise<Running> {
    const { driveId, power } = link;
    const kept = borrowed.entries();
    let peers = await node.sources.reach(link, limit).catch((error: unknown) => {
      if (kept === null) throw error;
      return [];
    });
    if (power?.t === 'invite') {
      const host = await claimInvite(node, driveId, power.secret, peers, limit);
      peers = [host, ...peers.filter((peer) => peer !== host)];
    } else if (power?.t === 'read') {
      followed.put(driveId, { secret: power.secret, addresses: link.addresses });
      node.open.follow(driveId, power.secret, peers);
    } else if (power === null) {
      // It may be a public one.
      node.open.follow(driveId, null, peers);
    }
    const [entries, real] = await (async () => {
      await findOwnCard(user, limit);
      const fetched = exchange.fetchHistory(driveId, peers, limit).catch((error: unknown) => {
        if (kept === null) throw error;
        return kept;
      });
      return [await fetched, await claim(folder)] as const;
    })().catch((error: unknown) => {
      unfollow(driveId);
      throw error;
    });
    const record: DriveRecord = { driveId, folder: real, user, paused: false, mount: null };
    return bring(record, entries, async (drive, db) => {
      // A host is given the history whether or not its person may read it.
      if (kept !== null) requireReadable(drive);
      if (power === null) {
        if (drive.roleOf(user) !== null || drive.visibility() !== 'public') node.open.unfollow(driveId);
        else followed.put(driveId, { secret: null, addresses: link.addresses });
      }
      followOthers(node, link, () => lacksSome(driveId));
      // Said before anything is brought here.
      if (onlineOnly) createSyncState(db).policy.set(rootNode, false);
    });
  }

  async function make(
    name: string,
    at: Pick<DriveRecord, 'folder' | 'user' | 'mount'>,
    prepare?: (drive: Drive, db: Database) => Promise<void>,
  ): Promise<Running> {
    let place: DriveStorage | null = null;
    const drive = await createDrive({
      ...deps(at.user, null),
      name,
      storage: async (driveId) => (place = await storage(driveId)),
    });
    const { db } = place!;
    try {
      await prepare?.(drive, db);
      const record: DriveRecord = { driveId: drive.id, ...at, paused: false };
      records.add(record);
      return await launch(record, drive, db);
    } catch (error) {
      await abandon(drive.id, db);
      throw error;
    }
  }

  /** Forgets a drive; its files stay. */
  async function forget(record: DriveRecord, { marked } = { marked: true }): Promise<void> {
    const { driveId } = record;
    const one = running.get(driveId);
    if (one) await close(one);
    failed.delete(driveId);
    told.delete(driveId);
    records.remove(driveId);
    node.hosting.forgetDrive(driveId);
    unfollow(driveId);
    await rm(dirOf(driveId), { recursive: true, force: true });
    // The files are the person's and stay; what the engine kept for itself beside them goes.
    if (marked) await rm(path.join(record.folder, '.extrachain', 'marker.json'), { force: true });
    members.refresh();
    events.emit('drives', { driveId: null });
  }

  const mounts: Mounts = createMounts({
    node,
    records,
    running: () => [...running.values()],
    find: (driveId) => running.get(driveId) ?? null,
    make,
    async fetch(record, peers, signal, prepare) {
      const entries = await exchange.fetchHistory(record.driveId, peers, signal);
      return bring(record, entries, prepare);
    },
    async restart(driveId) {
      const one = running.get(driveId);
      const record = records.get(driveId);
      if (one) await close(one);
      if (record && !stopped) await open(record);
      reopenLater();
    },
    forget,
  });

  const places: FolderPlaces = createFolderPlaces({
    clock,
    dataDir: node.dataDir,
    records,
    running: () => [...running.values()],
    async reopen(driveId, between) {
      const one = running.get(driveId);
      if (one) await close(one, between);
      const record = records.get(driveId);
      if (record && !stopped) await open(record);
      reopenLater();
    },
  });

  return {
    async start() {
      await openAll();
      mounts.start();
      places.start();
    },
    async stop() {
      stopped = true;
      cancelReopen?.();
      places.stop();
      await mounts.stop();
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
      return make(name, { folder: await claim(folder), user, mount: null });
    },
    async join(text, folder, onlineOnly, signal) {
      const user = currentUser();
      const link = parseDriveLink(text);
      const { driveId } = link;
      if (running.has(driveId) || failed.has(driveId)) {
        throw new AppError('already_exists', 'This drive is on this computer already.');
      }
      const limit = AbortSignal.any([signal, AbortSignal.timeout(joinPatience)]);
      const again = await mounts.accept(driveId, folder, limit);
      if (again) return again;
      // It may be one that is kept here for others.
      const borrowed = await node.hosting.borrow(driveId);
      try {
        return await joinBy(link, folder, user, onlineOnly, borrowed, limit);
      } finally {
        borrowed.release();
      }
    },
    async leave(idOrName) {
      const broken = failed.get(idOrName);
      const record = broken?.record ?? get(idOrName).record;
      await mounts.leaving(record);
      await forget(record);
    },
    setPaused(idOrName, paused) {
      const one = get(idOrName);
      records.setPaused(one.record.driveId, paused);
      if (paused) one.sync.pause();
      else one.sync.resume();
      events.emit('drives', { driveId: one.record.driveId });
    },
    async move(idOrName, folder, anew) {
      const { driveId } = get(idOrName).record;
      await places.move(running.get(driveId)!, folder, anew);
      const broken = failed.get(driveId);
      if (broken) throw broken.error;
      return get(driveId);
    },
    refreshMembers: () => members.refresh(),
    shareFolder: (idOrName, folder, signal) => mounts.share(get(idOrName), folder, signal),
    unshareFolder: (idOrName, signal) => mounts.unshare(get(idOrName), signal),
    async unshare(idOrName, user) {
      const one = get(idOrName);
      await one.drive.unshare(user);
      await mounts.unshared(one, user);
    },
  };
}

/** Throws `forbidden` when this person has no key of the drive. */
function requireReadable(drive: Drive): void {
  try {
    drive.currentEpoch();
  } catch (cause) {
    throw new AppError('forbidden', 'You have no right to this drive.', { cause });
  }
}
