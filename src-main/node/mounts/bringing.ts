import { rm } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../../src-shared/errors.ts';
import { rootNode, type Drive, type Mount, type NodeId } from '../../drive/index.ts';
import type { EntryId } from '../../history/index.ts';
import { createSyncState, rowsBeneath, type HandedRow } from '../../sync/index.ts';
import type { DriveRecord, MountPlace } from '../drive-records.ts';
import type { Running } from '../drives/running.ts';
import type { MountsDeps } from '../mounts.ts';
import { takeOver } from './handing-over.ts';
import type { MountPlaces } from './places.ts';
import { activityWords } from '../activity-words.ts';

/** The drive and folder that held the files so far, what is on disk of them, and until when it may take. */
export type Source = [from: Drive, folder: NodeId, rows: () => Iterable<HandedRow>, signal?: AbortSignal];

/** Brings drives here that others made of a folder. */
export interface Bringing {
  /** @returns null when the folder, or those who have the drive, are not there. @throws AppError of the exchange and of the folder */
  bring(parent: Running, mount: Mount, ...source: Source): Promise<Running | null>;
  /** Two managers made a drive of one folder at the same time, and the other one counts. */
  replace(parent: Running, mount: Mount, old: DriveRecord): Promise<void>;
}

const fetchMs = 30_000;

/** @param ended aborted when the node stops */
export function createBringing(
  deps: Pick<MountsDeps, 'node' | 'records' | 'find' | 'fetch' | 'restart' | 'forget'>,
  places: MountPlaces,
  ended: AbortSignal,
): Bringing {
  const { records, find } = deps;
  const { exchange } = deps.node;
  const { nameOf, folderOf, setPlace, tell } = places;

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
    ...[from, fromFolder, rows, signal = ended]: Source
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
    tell(parent.record.driveId, activityWords.folderShared(nameOf(parent, node)));
    return one;
  }

  async function replace(parent: Running, mount: Mount, old: DriveRecord): Promise<void> {
    const one = find(old.driveId);
    if (!one || records.get(mount.drive)) return;
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

  return { bring, replace };
}
