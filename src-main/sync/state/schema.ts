/** Tables of one drive's sync engine, namespace `sync` in `drive.db`. All but `sync_synced` can be rebuilt from disk. */
export const syncMigrations: readonly string[] = [
  `
  CREATE TABLE sync_local (
    id TEXT PRIMARY KEY, parent TEXT NOT NULL, name TEXT NOT NULL,
    raw TEXT, kind INTEGER NOT NULL, content TEXT NOT NULL, exec INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, birth INTEGER NOT NULL,
    ino INTEGER NOT NULL, dev INTEGER NOT NULL, mode INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX sync_local_place ON sync_local (parent, name);
  CREATE INDEX sync_local_raw ON sync_local (parent) WHERE raw IS NOT NULL;
  CREATE INDEX sync_local_ino ON sync_local (ino);
  CREATE INDEX sync_local_content ON sync_local (content) WHERE kind = 1;
  CREATE TABLE sync_synced (
    id TEXT PRIMARY KEY, parent TEXT NOT NULL, name TEXT NOT NULL,
    kind INTEGER NOT NULL, content TEXT NOT NULL, exec INTEGER NOT NULL, version TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sync_synced_parent ON sync_synced (parent);
  CREATE TABLE sync_blocks (
    block BLOB NOT NULL, node TEXT NOT NULL, at INTEGER NOT NULL,
    len INTEGER NOT NULL, plain BLOB NOT NULL, weak INTEGER NOT NULL, epoch TEXT NOT NULL,
    PRIMARY KEY (block, node, at)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sync_blocks_node ON sync_blocks (node);
  CREATE TABLE sync_staging (
    name TEXT PRIMARY KEY, node TEXT NOT NULL, content TEXT NOT NULL, have BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sync_trash (
    id TEXT PRIMARY KEY, path TEXT NOT NULL, content TEXT NOT NULL, size INTEGER NOT NULL,
    at INTEGER NOT NULL, reason TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sync_trash_at ON sync_trash (at);
  CREATE INDEX sync_trash_content ON sync_trash (content);
  CREATE TABLE sync_retained (
    content TEXT PRIMARY KEY, how TEXT NOT NULL, bytes INTEGER NOT NULL, at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sync_retained_at ON sync_retained (at);
  CREATE TABLE sync_retained_blocks (
    block BLOB NOT NULL, content TEXT NOT NULL, PRIMARY KEY (block, content)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sync_retained_content ON sync_retained_blocks (content);
  CREATE TABLE sync_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  // Contents that no device of the drive has (any more).
  'CREATE TABLE sync_lost (content TEXT PRIMARY KEY) STRICT, WITHOUT ROWID',
  // Online-only: `held` 0 here, 1 online, 2 wanted, 3 freeing. `sync_policy` says of folders whether what comes into them is kept here.
  `
  ALTER TABLE sync_local ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sync_synced ADD COLUMN online INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX sync_local_held ON sync_local (held, id) WHERE held > 0;
  CREATE TABLE sync_policy (node TEXT PRIMARY KEY, keep INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
];
