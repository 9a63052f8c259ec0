/**
 * What became of each entry (`status`, see `entryStatus`), who stands behind each feed, and how many bytes of the chain file
 * are dealt with. `root` is the first entry below an entry in its feed, which says who writes: a forked feed may have several. All of it can be rebuilt from the chain. No keys are stored.
 */
export const driveMigrations: readonly string[] = [
  `
  CREATE TABLE drive_entry (
    hash BLOB PRIMARY KEY, lamport INTEGER NOT NULL, access INTEGER NOT NULL, status INTEGER NOT NULL, reason TEXT,
    writer BLOB NOT NULL, incarnation INTEGER NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL, root BLOB
  ) WITHOUT ROWID;
  CREATE INDEX drive_entry_status ON drive_entry (status) WHERE status <> 1;
  CREATE INDEX drive_entry_access ON drive_entry (lamport) WHERE access = 1;
  CREATE INDEX drive_entry_writer ON drive_entry (writer, incarnation, seq);
  CREATE TABLE drive_writer (
    root BLOB PRIMARY KEY, writer BLOB NOT NULL, incarnation INTEGER NOT NULL, user TEXT NOT NULL, device_key BLOB NOT NULL,
    device TEXT NOT NULL, name TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX drive_writer_feed ON drive_writer (writer, incarnation);
  CREATE INDEX drive_writer_user ON drive_writer (user);
  CREATE TABLE drive_mark (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  `,
];

/** 0: its key is not here yet. 2: cut off by a removal. 3: its writer had no right to it. 4: its body makes no sense. */
export const entryStatus = { locked: 0, counts: 1, quarantined: 2, forbidden: 3, malformed: 4 } as const;
export type EntryStatus = (typeof entryStatus)[keyof typeof entryStatus];
