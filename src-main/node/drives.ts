import path from 'node:path';
import { mkdir, rm } from 'node:fs/promises';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { openDrive, type Drive, type DriveDeps, type DriveStorage } from '../drive/index.ts';
import type { EntryId } from '../history/index.ts';
import type { UserId } from '../identity/index.ts';
import { createCheckpointer, openDatabase, type Database } from '../store/index.ts';
import type { Online } from './core.ts';
import { driveIdentity } from './drive-identity.ts';
import { parseDriveLink } from './drive-link.ts';
import { createDriveRecords, type DriveRecord } from './drive-records.ts';
import { createArrivals } from './drives/arrivals.ts';
import { createFollowing, reachMs } from './drives/following.ts';
import { createLauncher } from './drives/launcher.ts';
import type { BrokenDrive, OpenDrive, Running } from './drives/running.ts';
import { createFolderPlaces, type FolderPlaces } from './folder-places.ts';
import { claimFolder } from './folders.ts';
import { createMemberWatch, type MemberWatch } from './members.ts';
import { createMounts, type Mounts } from './mounts.ts';
import { createFollowedLinks } from './sharing/followed-links.ts';
import { createWriterKeys } from './writer-keys.ts';
import { activityWords } from './activity-words.ts';

export type { BrokenDrive, OpenDrive } from './drives/running.ts';

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

/** A drive that could not be opened (its disk may not be mounted yet) is tried again after this time, ms. */
const reopenAfter = 15_000;

/** @param alsoUsers people to keep in touch with besides the members of drives */
export function createDrives(node: Online, alsoUsers: () => Iterable<UserId>): Drives {
  const { db: nodeDb, identity, exchange, clock, random, logger, events, activity } = node;
  const records = createDriveRecords(nodeDb);
  const checkpointer = createCheckpointer({ clock, logger });
  const writerKeys = createWriterKeys(nodeDb, identity, random);
  const links = createFollowedLinks(nodeDb, identity, random);
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

  function driveDeps(user: UserId, driveId: EntryId | null): DriveDeps {
    const secret = driveId === null ? null : (links.get(driveId)?.secret ?? null);
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

  const { launch, close } = createLauncher({
    node,
    running,
    checkpointer,
    dirOf,
    membersChanged: () => members.refresh(),
    look: () => mounts.look(),
  });
  const following = createFollowing({
    node,
    links,
    behind: (driveId) => !stopped && running.get(driveId)?.sync.status().state !== 'in_step',
  });
  const { make, bring, joinBy } = createArrivals({
    node,
    records,
    running,
    links,
    following,
    launch,
    driveDeps,
    dirOf,
    storage,
    claim,
  });

  async function open(kept: DriveRecord): Promise<void> {
    let db: Database | null = null;
    let record = kept;
    try {
      record = mounts.placed(kept);
      following.resume(record.driveId);
      const place = await storage(record.driveId);
      db = place.db;
      const drive = await openDrive({
        ...driveDeps(record.user, record.driveId),
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
        activity.add({ kind: 'problem', driveId: record.driveId, ...activityWords.failure(error) }),
      );
    }
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

  async function claim(folder: string): Promise<string> {
    return claimFolder(folder, [node.dataDir, ...records.all().map((record) => record.folder)]);
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
    following.forget(driveId);
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
      const limit = AbortSignal.any([signal, AbortSignal.timeout(reachMs)]);
      const again = await mounts.accept(driveId, folder, limit);
      if (again) return again;
      // It may be one that is kept here for others.
      const borrowed = await node.hosting.borrow(driveId);
      try {
        return await joinBy(link, { folder, user, onlineOnly, borrowed }, limit);
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
