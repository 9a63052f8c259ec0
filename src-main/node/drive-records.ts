import { migrate, type Database } from '../store/index.ts';
import type { EntryId } from '../history/index.ts';
import type { UserId } from '../identity/index.ts';

/** A drive this node keeps, as remembered from start to start. */
export interface DriveRecord {
  readonly driveId: EntryId;
  readonly folder: string;
  /** The actor it was created or joined as. */
  readonly user: UserId;
  readonly paused: boolean;
}

export interface DriveRecords {
  all(): readonly DriveRecord[];
  add(record: DriveRecord): void;
  setPaused(driveId: EntryId, paused: boolean): void;
  remove(driveId: EntryId): void;
}

const migrations = [
  `CREATE TABLE drives (
    drive TEXT PRIMARY KEY,
    folder TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID`,
];

export function createDriveRecords(db: Database): DriveRecords {
  migrate(db, 'drives', migrations);
  type Row = { drive: string; folder: string; user: string; paused: number };
  const all = db.prepare<[], Row>('SELECT * FROM drives ORDER BY drive');
  const insert = db.prepare('INSERT INTO drives (drive, folder, user, paused) VALUES (?, ?, ?, ?)');
  const pause = db.prepare('UPDATE drives SET paused = ? WHERE drive = ?');
  const remove = db.prepare('DELETE FROM drives WHERE drive = ?');
  return {
    all: () =>
      all
        .all()
        .map((row) => ({ driveId: row.drive, folder: row.folder, user: row.user, paused: row.paused === 1 })),
    add: (record) => void insert.run(record.driveId, record.folder, record.user, record.paused ? 1 : 0),
    setPaused: (driveId, paused) => void pause.run(paused ? 1 : 0, driveId),
    remove: (driveId) => void remove.run(driveId),
  };
}
