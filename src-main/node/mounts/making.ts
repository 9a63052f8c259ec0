import { AppError } from '../../../src-shared/errors.ts';
import type { MountPlace } from '../drive-records.ts';
import type { Running } from '../drives/running.ts';
import type { MountsDeps } from '../mounts.ts';
import { checkFolder, refuseOneWay, refuseOnlineOnly } from './checks.ts';
import { letIn, takeOver } from './handing-over.ts';
import type { MountPlaces } from './places.ts';
import { activityWords } from '../activity-words.ts';

/** Making a drive of its own of a folder; its files stay where they are. */
export interface Making {
  /** Answers when the other members are told. What is begun goes on after a failure or a restart. */
  share(parent: Running, folder: string, signal: AbortSignal): Promise<Running>;
  /** Once the files of a drive that is being made are taken in: tells the parent. */
  finish(one: Running, parent: Running, mount: MountPlace): Promise<void>;
}

/** @param looked resolves when what is where was looked at once more */
export function createMaking(
  deps: Pick<MountsDeps, 'node' | 'records' | 'find' | 'make'>,
  places: MountPlaces,
  looked: () => Promise<void>,
  pause: (ms: number) => Promise<void>,
): Making {
  const { records, find } = deps;
  const { events } = deps.node;
  const { mounted, nameOf, folderOf, setPlace, tell } = places;

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
    tell(parent.record.driveId, activityWords.folderShared(nameOf(parent, mount.node)));
    events.emit('drives', { driveId: one.record.driveId });
  }

  return { share, finish };
}
