import { migrate, type Database } from '../store/index.ts';
import type { NodeId } from '../drive/index.ts';
import type { EntryId } from '../history/index.ts';
import type { UserId } from '../identity/index.ts';

/** Where a drive has its place in a folder of another one. */
export interface MountPlace {
  readonly parent: EntryId;
  /** The folder, in the parent's tree. */
  readonly node: NodeId;
  /**
   * `making`: its files are being taken in, the parent does not say so yet. `joining`: about to take over files known from the parent.
   * `mounted`: at work. `ending`: its files are being handed back to the parent, which does not say so yet.
   */
  readonly state: 'making' | 'joining' | 'mounted' | 'ending';
}

/** A drive this node keeps, as remembered from start to start. */
export interface DriveRecord {
  readonly driveId: EntryId;
  readonly folder: string;
  /** The actor it was created or joined as. */
  readonly user: UserId;
  readonly paused: boolean;
  /** null: it has a folder of its own. */
  readonly mount: MountPlace | null;
}

export interface DriveRecords {
  all(): readonly DriveRecord[];
  get(driveId: EntryId): DriveRecord | null;
  add(record: DriveRecord): void;
  setPaused(driveId: EntryId, paused: boolean): void;
  setPlace(driveId: EntryId, folder: string, mount: MountPlace | null): void;
  remove(driveId: EntryId): void;
  /** Drives the person does not want here although a drive has them in a folder. */
  declined(parent: EntryId, driveId: EntryId): boolean;
  setDeclined(parent: EntryId, driveId: EntryId, declined: boolean): void;
}

const migrations = [
  `CREATE TABLE drives (
    drive TEXT PRIMARY KEY,
    folder TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID`,
  `ALTER TABLE drives ADD COLUMN mount_parent TEXT;
   ALTER TABLE drives ADD COLUMN mount_node TEXT;
   ALTER TABLE drives ADD COLUMN mount_state TEXT;
   CREATE TABLE drives_declined (parent TEXT NOT NULL, drive TEXT NOT NULL, PRIMARY KEY (parent, drive)) STRICT, WITHOUT ROWID`,
];

interface Row {
  drive: string;
  folder: string;
  user: string;
  paused: number;
  mount_parent: string | null;
  mount_node: string | null;
  mount_state: MountPlace['state'] | null;
}

function recordOf(row: Row): DriveRecord {
  const { mount_parent: parent, mount_node: node, mount_state: state } = row;
  return {
    driveId: row.drive,
    folder: row.folder,
    user: row.user,
    paused: row.paused === 1,
    mount: parent !== null && node !== null && state !== null ? { parent, node, state } : null,
  };
}

export function createDriveRecords(db: Database): DriveRecords {
  migrate(db, 'drives', migrations);
  const all = db.prepare<[], Row>('SELECT * FROM drives ORDER BY drive');
  const one = db.prepare<[string], Row>('SELECT * FROM drives WHERE drive = ?');
  const insert = db.prepare(
    `INSERT INTO drives (drive, folder, user, paused, mount_parent, mount_node, mount_state)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const pause = db.prepare('UPDATE drives SET paused = ? WHERE drive = ?');
  const place = db.prepare(
    'UPDATE drives SET folder = ?, mount_parent = ?, mount_node = ?, mount_state = ? WHERE drive = ?',
  );
  const remove = db.prepare('DELETE FROM drives WHERE drive = ?');
  const decline = db.prepare('INSERT OR IGNORE INTO drives_declined VALUES (?, ?)');
  const accept = db.prepare('DELETE FROM drives_declined WHERE parent = ? AND drive = ?');
  const isDeclined = db.prepare<[string, string], unknown>(
    'SELECT 1 FROM drives_declined WHERE parent = ? AND drive = ?',
  );
  return {
    all: () => all.all().map(recordOf),
    get(driveId) {
      const row = one.get(driveId);
      return row === undefined ? null : recordOf(row);
    },
    add({ driveId, folder, user, paused, mount }) {
      const { parent = null, node = null, state = null } = mount ?? {};
      insert.run(driveId, folder, user, paused ? 1 : 0, parent, node, state);
    },
    setPaused: (driveId, paused) => void pause.run(paused ? 1 : 0, driveId),
    setPlace: (driveId, folder, mount) =>
      void place.run(folder, mount?.parent ?? null, mount?.node ?? null, mount?.state ?? null, driveId),
    remove: (driveId) => void remove.run(driveId),
    declined: (parent, driveId) => isDeclined.get(parent, driveId) !== undefined,
    setDeclined: (parent, driveId, declined) => void (declined ? decline : accept).run(parent, driveId),
  };
}
