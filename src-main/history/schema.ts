/**
 * Tables of the index, for `migrate(db, 'history', schema)`. All of it can be rebuilt from the log.
 * - `entries`: every readable entry, keyed by where its record begins; link lists are 32-byte hashes end to end.
 * - `heads`: entries no other names as parent or prev. `tips`: entries no other names as prev.
 * - `holes`: hashes named as parent or prev whose entry can't be read (damaged); feed and seq when known (named as prev).
 * - `forks`: feed positions with more than one entry.
 * - `damaged`: regions of the log that are no good record, with what stood there, if that is known.
 * - `meta`: `end` (the log is indexed up to here), `incarnation` (this device's feed).
 */
export const historySchema: readonly string[] = [
  `
  CREATE TABLE history_feeds (
    id INTEGER PRIMARY KEY,
    writer BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    UNIQUE (writer, incarnation)
  ) STRICT;
  CREATE TABLE history_entries (
    offset INTEGER PRIMARY KEY,
    length INTEGER NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    feed INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    lamport INTEGER NOT NULL,
    kind TEXT NOT NULL,
    prev BLOB,
    parents BLOB NOT NULL,
    access BLOB NOT NULL
  ) STRICT;
  CREATE INDEX history_order ON history_entries (lamport, hash);
  CREATE INDEX history_positions ON history_entries (feed, seq);
  CREATE TABLE history_heads (hash BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE history_tips (hash BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE history_holes (hash BLOB PRIMARY KEY, feed INTEGER, seq INTEGER) STRICT, WITHOUT ROWID;
  CREATE TABLE history_forks (feed INTEGER, seq INTEGER, PRIMARY KEY (feed, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE history_damaged (
    offset INTEGER PRIMARY KEY,
    length INTEGER NOT NULL,
    hash BLOB,
    writer BLOB,
    seq INTEGER,
    reason TEXT NOT NULL
  ) STRICT;
  CREATE TABLE history_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
];
