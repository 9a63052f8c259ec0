import { AppError } from '../../../src-shared/errors.ts';
import { rootNode } from '../../drive/index.ts';
import { createSyncState, rowsBeneath } from '../../sync/index.ts';
import type { DriveRecord } from '../drive-records.ts';
import type { Running } from '../drives/running.ts';
import type { MountsDeps } from '../mounts.ts';
import { refuseOneWay, refuseOnlineOnly } from './checks.ts';
import type { MountPlaces } from './places.ts';
import { activityWords } from '../activity-words.ts';

/** Making an ordinary folder of its parent of a drive again. */
export interface Ending {
  /** Answers when the other members are told. @returns the parent */
  unshare(one: Running, signal: AbortSignal): Promise<Running>;
  /**
   * Hands the files back to the parent's engine.
   * @param newer this computer brings the parent up to date; otherwise somebody has done so
   */
  end(parent: Running, record: DriveRecord, newer: boolean): Promise<void>;
  /** Folders taken back here: once everything in them is told, their mount ends for everybody. */
  close(parent: Running): Promise<void>;
}

/** @param looked resolves when what is where was looked at once more */
export function createEnding(
  deps: Pick<MountsDeps, 'records' | 'find' | 'forget'>,
  places: MountPlaces,
  looked: () => Promise<void>,
  pause: (ms: number) => Promise<void>,
): Ending {
  const { records, find } = deps;
  const { nameOf, setPlace, tell } = places;

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
    if (!newer) tell(parent.record.driveId, activityWords.folderJoined(nameOf(parent, mount.node)));
  }

  async function close(parent: Running): Promise<void> {
    const opened = parent.sync.mounts.opened();
    if (opened.length === 0 || parent.sync.status().state !== 'in_step') return;
    await parent.drive.commit(opened.map((node) => ({ t: 'mount', node, drive: null })));
    for (const node of opened) {
      tell(parent.record.driveId, activityWords.folderJoined(nameOf(parent, node)));
    }
  }

  return { unshare, end, close };
}
