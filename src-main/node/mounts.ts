import { lstatSync } from 'node:fs';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Mount } from '../drive/index.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { Online } from './core.ts';
import type { DriveRecord, DriveRecords } from './drive-records.ts';
import type { Prepare } from './drives/arrivals.ts';
import type { Running } from './drives/running.ts';
import { createBringing } from './mounts/bringing.ts';
import { createEnding } from './mounts/ending.ts';
import { letIn } from './mounts/handing-over.ts';
import { createMaking } from './mounts/making.ts';
import { createMountPlaces } from './mounts/places.ts';
import { activityWords } from './activity-words.ts';

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

export function createMounts(deps: MountsDeps): Mounts {
  const { records, find } = deps;
  const { clock, logger } = deps.node;
  const retries = new Map<EntryId, { at: number; wait: number }>();
  const ended = new AbortController();
  let started = false;
  let turn: Promise<void> = Promise.resolve();
  let cancel: (() => void) | null = null;
  let waiting = false;

  const pause = (ms: number): Promise<void> => new Promise((done) => void clock.after(ms, done));
  const places = createMountPlaces(records, deps.node);
  const { mounted, folderOf, setPlace, tell } = places;
  const { share, finish } = createMaking(deps, places, looked, pause);
  const { bring, replace } = createBringing(deps, places, ended.signal);
  const { unshare, end, close } = createEnding(deps, places, looked, pause);

  function mayTry(driveId: EntryId): boolean {
    return (retries.get(driveId)?.at ?? 0) <= clock.now();
  }

  function failed(driveId: EntryId, error: unknown): void {
    const wait = Math.min(longestRetry, 2 * (retries.get(driveId)?.wait ?? firstRetry / 2));
    retries.set(driveId, { at: clock.now() + wait, wait });
    logger.debug({ err: error, driveId }, 'a drive in a folder of another one could not be brought here');
  }

  async function follow(parent: Running, mount: Mount): Promise<void> {
    const { driveId } = parent.record;
    const here = mounted(driveId).find((record) => record.mount?.node === mount.node);
    if (here && here.driveId !== mount.drive) {
      if (!mayTry(mount.drive)) return;
      await replace(parent, mount, here);
      retries.delete(mount.drive);
      return;
    }
    const record = records.get(mount.drive);
    if (!record) {
      if (records.declined(driveId, mount.drive) || !mayTry(mount.drive)) return;
      const rows = () => parent.sync.mounts.rows(mount.node);
      if (await bring(parent, mount, parent.drive, mount.node, rows)) retries.delete(mount.drive);
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
            tell(record.driveId, activityWords.roleKept(one.drive.name(), inner.drive.name()));
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
        if (!one) throw new AppError('unreachable', 'No computer that has this drive can be reached now.');
        retries.delete(driveId);
        return one;
      }
      return null;
    },
  };
}
