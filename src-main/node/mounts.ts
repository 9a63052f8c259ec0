import path from 'node:path';
import { lstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Drive, Mount, NodeId } from '../drive/index.ts';
import { rootNode } from '../drive/index.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { Database } from '../store/index.ts';
import { createSyncState, rowsBeneath, seed, type DriveMode, type HandedRow } from '../sync/index.ts';
import type { Online } from './core.ts';
import type { DriveRecord, DriveRecords, MountPlace } from './drive-records.ts';
import type { Running } from './drives.ts';

type Prepare = (drive: Drive, db: Database) => Promise<void>;
/** The drive and folder that held the files so far, what is on disk of them, and until when it may take. */
type Source = [from: Drive, folder: NodeId, rows: () => Iterable<HandedRow>, signal?: AbortSignal];

/** What a drive that has its place in a folder of another one needs of those who keep drives. */
export interface MountsDeps {
  readonly node: Pick<Online, 'exchange' | 'clock' | 'logger' | 'events' | 'activity'>;
  readonly records: DriveRecords;
  running(): readonly Running[];
  find(driveId: EntryId): Running | null;
  make(name: string, at: Pick<DriveRecord, 'folder' | 'user' | 'mount'>, prepare: Prepare): Promise<Running>;
  fetch(
    record: DriveRecord,
    peers: readonly DeviceId[],
    signal: AbortSignal,
    prepare: Prepare,
  ): Promise<Running>;
  /** Closes it and opens it as its record now says. */
  restart(driveId: EntryId): Promise<void>;
  /** Closes and forgets it; its files stay. `marked`: the mark in its folder is its own and goes. Default true. */
  forget(record: DriveRecord, options?: { readonly marked: boolean }): Promise<void>;
}

/** Drives that have their place in a folder of another one: see docs/decisions/mounts.md. */
export interface Mounts {
  start(): void;
  stop(): Promise<void>;
  /** Something may have changed: soon looks at what is where. */
  look(): void;
  /** Parents before what lies in them. */
  inOrder(records: readonly DriveRecord[]): readonly DriveRecord[];
  /** The record with the folder as it is now. Throws `root_missing` when that can't be known or is not there. */
  placed(record: DriveRecord): DriveRecord;
  share(parent: Running, folder: string, signal: AbortSignal): Promise<Running>;
  /** @returns the parent */
  unshare(one: Running, signal: AbortSignal): Promise<Running>;
  /** Somebody lost his role in `one`. */
  unshared(one: Running, user: UserId): Promise<void>;
  /** A drive is about to be forgotten here. */
  leaving(record: DriveRecord): Promise<void>;
  /** Brings back a drive that was left, into its place in a folder; null when `folder` is no such place. */
  accept(driveId: EntryId, folder: string, signal: AbortSignal): Promise<Running | null>;
}

const lookAgain = 5000;
const soon = 50;
/** A drive nobody gave us is asked for again after this time, ms, doubling up to the longest. */
const firstRetry = 1000;
const longestRetry = 60_000;
const fetchMs = 30_000;

export function createMounts(deps: MountsDeps): Mounts {
  const { records, find } = deps;
  const { exchange, clock, logger, events, activity } = deps.node;
  const retries = new Map<EntryId, { at: number; wait: number }>();
  const ended = new AbortController();
  let started = false;
  let turn: Promise<void> = Promise.resolve();
  let cancel: (() => void) | null = null;
  let waiting = false;

  const mounted = (parent: EntryId): readonly DriveRecord[] =>
    records.all().filter((record) => record.mount?.parent === parent);

  const nameOf = (parent: Running, node: NodeId): string => parent.drive.wholeTree.path(node) ?? '';

  function folderOf(parent: Running, node: NodeId): string | null {
    const inside = parent.sync.mounts.path(node);
    return inside === null ? null : path.join(parent.record.folder, inside);
  }

  function setPlace(record: DriveRecord, state: MountPlace['state'], folder = record.folder): void {
    if (record.mount) records.setPlace(record.driveId, folder, { ...record.mount, state });
  }

  function tell(driveId: EntryId, message: string): void {
    events.emit('activity', activity.add({ kind: 'drive', driveId, message }));
  }

  // ---- making one

  async function share(parent: Running, folder: string, signal: AbortSignal): Promise<Running> {
    const role = parent.drive.ownRole();
    if (role !== 'owner' && role !== 'manager')
      throw new AppError('forbidden', 'Only its owner and managers share a folder of a drive by itself.');
    refuseOneWay(parent);
    await parent.sync.scan();
    await parent.sync.settled(signal);
    const node = checkFolder(parent, folder);
    const place = folderOf(parent, node.id);
    if (place === null) throw new AppError('not_found', `${folder} is not on this computer yet.`);
    refuseOnlineOnly(parent, node.id, folder);
    const begun = mounted(parent.record.driveId).find((record) => record.mount?.node === node.id);
    if (!begun) {
      const mount: MountPlace = { parent: parent.record.driveId, node: node.id, state: 'making' };
      await deps.make(node.name, { folder: place, user: parent.record.user, mount }, (drive, db) =>
        takeOver(drive, db, parent.drive, node.id, parent.sync.mounts.rows(node.id), 'send-receive'),
      );
    }
    for (;;) {
      signal.throwIfAborted();
      const record = mounted(parent.record.driveId).find((one) => one.mount?.node === node.id);
      const one = record && find(record.driveId);
      if (!record) throw new AppError('cancelled', 'The new drive was left before it was ready.');
      if (one && record.mount?.state === 'mounted') return one;
      if (one) await one.sync.settled(signal);
      await looked();
      if (records.get(record.driveId)?.mount?.state === 'making') await pause(100);
    }
  }

  /** The other drive is told of the files by this computer, which has to have them for that. */
  function refuseOnlineOnly({ sync }: Running, node: NodeId, shown: string): void {
    for (const { local } of sync.mounts.rows(node)) {
      if (local === null || local.held === 'here') continue;
      throw new AppError(
        'not_allowed',
        `${shown} holds files that are online-only on this computer; bring them here first (file fetch).`,
      );
    }
  }

  function checkFolder(parent: Running, folder: string) {
    const { tree } = parent.drive;
    const node = tree.resolve(folder);
    if (node?.kind !== 'dir') throw new AppError('not_found', `There is no folder ${folder} in this drive.`);
    if (node.id === rootNode)
      throw new AppError('invalid_argument', 'The whole drive is a drive already; share that.');
    if (node.mount !== null) throw new AppError('already_exists', `${folder} is a drive of its own already.`);
    const inside = tree.mounts().find((mount) => tree.path(mount.node)?.startsWith(`${folder}/`));
    if (inside) {
      throw new AppError(
        'invalid_argument',
        `${tree.path(inside.node)}, which lies in it, is a drive of its own; end that first.`,
      );
    }
    return node;
  }

  /** A computer that only sends or only receives can't speak for what the folder holds. */
  function refuseOneWay(one: Running): void {
    if (one.sync.status().mode === 'send-receive') return;
    throw new AppError('not_allowed', 'This computer only sends or only receives; do it from another one.');
  }

  /** Gives a new engine what the one before it knew of the files. */
  async function takeOver(
    drive: Drive,
    db: Database,
    from: Drive,
    fromFolder: NodeId,
    rows: Iterable<HandedRow>,
    mode: DriveMode,
  ): Promise<void> {
    const state = createSyncState(db);
    // What this computer does not send or take of the drive around it, it does not of this one.
    state.setMeta('mode', mode);
    await seed(state, { from, to: drive, fromFolder, toFolder: rootNode, newer: false }, rows);
  }

  /** Everybody who is in the parent is let in, those removed here before excepted. */
  async function letIn(one: Running, parent: Drive): Promise<void> {
    const own = one.drive.ownRole();
    if (own !== 'owner' && own !== 'manager') return;
    for (const { userId, role } of parent.members()) {
      const key = parent.encKeyOf(userId);
      if (key === null || one.drive.everMember(userId)) continue;
      // Managers can't make managers: its owner's computer may raise the role later.
      const most = own === 'owner' ? 'manager' : 'editor';
      await one.drive.share(userId, key, role === 'owner' || role === 'manager' ? most : role);
    }
  }

  /** Its files are taken in: tells the parent. */
  async function finish(one: Running, parent: Running, mount: MountPlace): Promise<void> {
    const { state } = one.sync.status();
    if (state !== 'in_step') return;
    // What was taken off the disk meanwhile looks deleted to the new drive's engine; nobody is told of that.
    refuseOnlineOnly(parent, mount.node, nameOf(parent, mount.node));
    await letIn(one, parent.drive);
    if (parent.drive.tree.get(mount.node)?.mount !== one.record.driveId) {
      await parent.drive.commit([{ t: 'mount', node: mount.node, drive: one.record.driveId }]);
    }
    setPlace(one.record, 'mounted', folderOf(parent, mount.node) ?? one.record.folder);
    await parent.sync.mounts.letGo(mount.node);
    tell(parent.record.driveId, `“${nameOf(parent, mount.node)}” is a drive of its own now.`);
    events.emit('drives', { driveId: one.record.driveId });
  }

  // ---- following what a parent says

  function mayTry(driveId: EntryId): boolean {
    return (retries.get(driveId)?.at ?? 0) <= clock.now();
  }

  function failed(driveId: EntryId, error: unknown): void {
    const wait = Math.min(longestRetry, 2 * (retries.get(driveId)?.wait ?? firstRetry / 2));
    retries.set(driveId, { at: clock.now() + wait, wait });
    logger.debug({ err: error, driveId }, 'a drive in a folder of another one could not be brought here');
  }

  /** Mounts that are being brought here: what follows the parent and a person may want the same one at once. */
  const arriving = new Map<EntryId, Promise<Running | null>>();
  function bring(parent: Running, mount: Mount, ...rest: Source): Promise<Running | null> {
    const before = arriving.get(mount.drive);
    if (before) return before;
    const work = bringOnce(parent, mount, ...rest).finally(() => arriving.delete(mount.drive));
    arriving.set(mount.drive, work);
    return work;
  }
  async function bringOnce(
    parent: Running,
    { node, drive: driveId }: Mount,
    ...[from, fromFolder, rows, signal = ended.signal]: Source
  ): Promise<Running | null> {
    const folder = folderOf(parent, node);
    const peers = exchange.members(parent.record.driveId).map((member) => member.peerId);
    if (folder === null || peers.length === 0) return null;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(fetchMs)]);
    const mount: MountPlace = { parent: parent.record.driveId, node, state: 'joining' };
    const record: DriveRecord = { driveId, folder, user: parent.record.user, paused: false, mount };
    const one = await deps.fetch(record, peers, limit, (drive, db) =>
      takeOver(drive, db, from, fromFolder, rows(), parent.sync.status().mode),
    );
    setPlace(record, 'mounted');
    await parent.sync.mounts.letGo(node);
    retries.delete(driveId);
    tell(parent.record.driveId, `“${nameOf(parent, node)}” is a drive of its own now.`);
    return one;
  }

  async function follow(parent: Running, mount: Mount): Promise<void> {
    const { driveId } = parent.record;
    const here = mounted(driveId).find((record) => record.mount?.node === mount.node);
    if (here && here.driveId !== mount.drive) return replace(parent, mount, here);
    const record = records.get(mount.drive);
    if (!record) {
      if (records.declined(driveId, mount.drive) || !mayTry(mount.drive)) return;
      await bring(parent, mount, parent.drive, mount.node, () => parent.sync.mounts.rows(mount.node));
      return;
    }
    // It is kept in a folder of its own, or in that of another parent, and stays there.
    if (record.mount?.parent !== driveId || record.mount.node !== mount.node) return;
    const one = find(mount.drive);
    if (record.mount.state === 'ending') return end(parent, record, true);
    if (record.mount.state === 'making') {
      if (one) await finish(one, parent, record.mount);
      return;
    }
    if (record.mount.state === 'joining' && one) setPlace(record, 'mounted');
    const folder = folderOf(parent, mount.node);
    if (one && folder !== null && folder !== one.record.folder) {
      setPlace(record, 'mounted', folder);
      await deps.restart(mount.drive);
    }
    if (one) {
      for (const _ of parent.sync.mounts.rows(mount.node)) {
        await parent.sync.mounts.letGo(mount.node);
        break;
      }
      await letIn(one, parent.drive);
    }
  }

  /** Two managers made a drive of one folder at the same time, and the other one counts. */
  async function replace(parent: Running, mount: Mount, old: DriveRecord): Promise<void> {
    const one = find(old.driveId);
    if (!one || !mayTry(mount.drive) || records.get(mount.drive)) return;
    await one.sync.stop();
    try {
      await rm(path.join(old.folder, '.extrachain', 'marker.json'), { force: true });
      const brought = await bring(parent, mount, one.drive, rootNode, () =>
        rowsBeneath(createSyncState(one.db), rootNode),
      );
      if (!brought) throw new AppError('unreachable', 'Nobody who has the other drive is connected.');
    } catch (error) {
      // Marks the folder anew.
      setPlace(old, 'joining');
      await deps.restart(old.driveId);
      setPlace(old, old.mount?.state ?? 'mounted');
      throw error;
    }
    // The mark in the folder is the other drive's by now.
    await deps.forget(old, { marked: false });
  }

  // ---- ending one

  async function unshare(one: Running, signal: AbortSignal): Promise<Running> {
    const { mount } = one.record;
    const parent = mount && find(mount.parent);
    if (!mount || !parent)
      throw new AppError('invalid_argument', 'This drive has a folder of its own, not one in another drive.');
    const role = parent.drive.ownRole();
    if (role !== 'owner' && role !== 'manager')
      throw new AppError('forbidden', 'Only owner and managers of the drive around it can do that.');
    refuseOneWay(parent);
    refuseOneWay(one);
    const inside = new Set(parent.drive.members().map((member) => member.userId));
    const outside = one.drive.members().filter((member) => !inside.has(member.userId));
    if (outside.length > 0 && one.drive.ownRole() !== 'owner' && one.drive.ownRole() !== 'manager')
      throw new AppError('forbidden', 'Others have a role in it whom only its owner can remove.');
    await one.sync.scan();
    await one.sync.settled(signal);
    refuseOnlineOnly(one, rootNode, 'The folder');
    for (const { userId } of outside) await one.drive.unshare(userId);
    if (one.drive.visibility() !== 'private') await one.drive.setVisibility('private');
    setPlace(one.record, 'ending');
    for (;;) {
      await looked();
      signal.throwIfAborted();
      const open = parent.drive.tree.get(mount.node)?.mount === one.record.driveId;
      if (!open && !records.get(one.record.driveId)) return parent;
      await pause(100);
    }
  }

  /**
   * Hands the files back to the parent's engine.
   * @param newer this computer brings the parent up to date; otherwise somebody has done so
   */
  async function end(parent: Running, record: DriveRecord, newer: boolean): Promise<void> {
    const { mount } = record;
    const one = find(record.driveId);
    if (!mount || !one) return;
    // Handed back before the program ended: the parent's engine has gone on since.
    if (!parent.sync.mounts.opened().includes(mount.node)) {
      await one.sync.stop();
      const rows = rowsBeneath(createSyncState(one.db), rootNode);
      await parent.sync.mounts.takeBack(mount.node, one.drive, rows, newer);
    }
    await deps.forget(record);
    if (!newer) tell(parent.record.driveId, `“${nameOf(parent, mount.node)}” is an ordinary folder again.`);
  }

  /** Folders taken back here: once everything in them is told, their mount ends for everybody. */
  async function close(parent: Running): Promise<void> {
    const opened = parent.sync.mounts.opened();
    if (opened.length === 0 || parent.sync.status().state !== 'in_step') return;
    await parent.drive.commit(opened.map((node) => ({ t: 'mount', node, drive: null })));
    for (const node of opened) {
      tell(parent.record.driveId, `“${nameOf(parent, node)}” is an ordinary folder again.`);
    }
  }

  // ---- looking

  async function lookAt(parent: Running): Promise<void> {
    const { tree } = parent.drive;
    const { sync } = parent;
    const all = tree.mounts();
    const opened = sync.mounts.opened();
    for (const mount of all) {
      const record = records.get(mount.drive);
      if (opened.includes(mount.node)) {
        if (record?.mount?.state === 'ending') await attempt(mount.drive, () => deps.forget(record));
      } else await attempt(mount.drive, () => follow(parent, mount));
    }
    await attempt(parent.record.driveId, () => close(parent));
    for (const node of sync.mounts.held()) {
      if (all.some((mount) => mount.node === node)) continue;
      const record = mounted(parent.record.driveId).find((one) => one.mount?.node === node);
      await attempt(record?.driveId ?? node, async () => {
        if (record) await end(parent, record, false);
        else await sync.mounts.takeBack(node, parent.drive, [...sync.mounts.rows(node)], false);
      });
    }
    for (const record of mounted(parent.record.driveId)) {
      const one = find(record.driveId);
      if (record.mount?.state !== 'making' || !one) continue;
      if (all.some(({ node }) => node === record.mount?.node)) continue;
      await attempt(record.driveId, () => finish(one, parent, record.mount!));
    }
  }

  async function attempt(driveId: EntryId, work: () => Promise<void>): Promise<void> {
    if (ended.signal.aborted) return;
    try {
      await work();
    } catch (error) {
      if (ended.signal.aborted) return;
      failed(driveId, error);
      if (!isAppError(error))
        logger.error({ err: error, driveId }, 'a mounted drive could not be looked after');
    }
  }

  function looked(): Promise<void> {
    turn = turn
      .catch(() => {})
      .then(async () => {
        for (const parent of deps.running()) {
          if (ended.signal.aborted) return;
          // One that another turn has closed meanwhile is gone from the list.
          if (find(parent.record.driveId) === parent) await lookAt(parent);
        }
      });
    return turn;
  }

  const pause = (ms: number): Promise<void> => new Promise((done) => void clock.after(ms, done));

  function look(): void {
    if (!started || waiting || ended.signal.aborted) return;
    waiting = true;
    clock.after(soon, () => {
      waiting = false;
      void looked().catch((error: unknown) => logger.error({ err: error }, 'mounts could not be looked at'));
    });
  }

  function again(): void {
    cancel = clock.after(lookAgain, () => {
      // Only what a member's computer may have by now; all else tells of itself.
      look();
      again();
    });
  }

  return {
    start() {
      started = true;
      look();
      again();
    },
    async stop() {
      ended.abort(new AppError('shutting_down', 'The node is stopping.'));
      cancel?.();
      await turn.catch(() => {});
    },
    look,
    inOrder(all) {
      const rest = new Map(all.map((record) => [record.driveId, record]));
      const sorted: DriveRecord[] = [];
      const put = (record: DriveRecord): void => {
        if (!rest.delete(record.driveId)) return;
        const parent = record.mount && rest.get(record.mount.parent);
        if (parent) put(parent);
        sorted.push(record);
      };
      for (const record of all) put(record);
      return sorted;
    },
    placed(record) {
      const { mount } = record;
      if (!mount) return record;
      const parent = find(mount.parent);
      if (!parent) {
        throw new AppError('root_missing', 'The drive around this one could not be opened.', {
          details: { path: record.folder },
        });
      }
      const folder = folderOf(parent, mount.node) ?? record.folder;
      // Looked at here because a new mark would make a folder of what is only not there.
      if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
        throw new AppError('root_missing', `The folder ${folder} is not there; nothing was deleted.`, {
          details: { path: folder },
        });
      }
      if (folder !== record.folder) records.setPlace(record.driveId, folder, mount);
      return { ...record, folder };
    },
    share,
    unshare,
    async unshared(one, user) {
      for (const record of mounted(one.record.driveId)) {
        const inner = find(record.driveId);
        if (!inner) continue;
        if (inner.drive.roleOf(user) !== null) {
          await inner.drive.unshare(user).catch((error: unknown) => {
            // Its owner is somebody else: what he gives is his to take.
            if (!isAppError(error, 'forbidden')) throw error;
            tell(
              record.driveId,
              `Somebody who was removed from “${one.drive.name()}” keeps a role in “${inner.drive.name()}”, which only its owner can take away.`,
            );
          });
        }
        await this.unshared(inner, user);
      }
    },
    async leaving(record) {
      if (record.mount) records.setDeclined(record.mount.parent, record.driveId, true);
      for (const inner of mounted(record.driveId)) {
        await this.leaving(inner);
        await deps.forget(inner);
      }
    },
    async accept(driveId, folder, signal) {
      for (const parent of deps.running()) {
        const mount = parent.drive.tree.mounts().find((one) => one.drive === driveId);
        if (!mount || folderOf(parent, mount.node) !== folder) continue;
        records.setDeclined(parent.record.driveId, driveId, false);
        const one = await bring(
          parent,
          mount,
          parent.drive,
          mount.node,
          () => parent.sync.mounts.rows(mount.node),
          signal,
        );
        if (one) return one;
        throw new AppError('unreachable', 'No computer that has this drive can be reached now.');
      }
      return null;
    },
  };
}
