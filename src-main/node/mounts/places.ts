import path from 'node:path';
import type { NodeId } from '../../drive/index.ts';
import type { EntryId } from '../../history/index.ts';
import type { Online } from '../core.ts';
import type { DriveRecord, DriveRecords, MountPlace } from '../drive-records.ts';
import type { Running } from '../drives/running.ts';
import type { ActivityWords } from '../activity-words.ts';

/** Where drives have their place in folders of other ones, as noted here. */
export interface MountPlaces {
  /** Drives that have their place in this one. */
  mounted(parent: EntryId): readonly DriveRecord[];
  /** The folder's path in the drive around it; '' when that does not have it any more. */
  nameOf(parent: Running, node: NodeId): string;
  /** The folder's absolute path on this computer; null: it is not there (yet). */
  folderOf(parent: Running, node: NodeId): string | null;
  setPlace(record: DriveRecord, state: MountPlace['state'], folder?: string): void;
  /** Tells the person of this computer. */
  tell(driveId: EntryId, words: ActivityWords): void;
}

export function createMountPlaces(
  records: DriveRecords,
  { events, activity }: Pick<Online, 'events' | 'activity'>,
): MountPlaces {
  return {
    mounted: (parent) => records.all().filter((record) => record.mount?.parent === parent),
    nameOf: (parent, node) => parent.drive.wholeTree.path(node) ?? '',
    folderOf(parent, node) {
      const inside = parent.sync.mounts.path(node);
      return inside === null ? null : path.join(parent.record.folder, inside);
    },
    setPlace(record, state, folder = record.folder) {
      if (record.mount) records.setPlace(record.driveId, folder, { ...record.mount, state });
    },
    tell: (driveId, words) => events.emit('activity', activity.add({ kind: 'drive', driveId, ...words })),
  };
}
