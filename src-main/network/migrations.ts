/** Tables of this layer in node.db; namespace `network` (see `migrate` of the store). */
export const networkMigrations: readonly string[] = [
  `CREATE TABLE peer_addresses (
     peer TEXT NOT NULL,
     address TEXT NOT NULL,
     seen INTEGER NOT NULL,
     success INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (peer, address)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE peer_scores (
     peer TEXT PRIMARY KEY,
     score REAL NOT NULL,
     at INTEGER NOT NULL,
     refused_until INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE cards (
     user TEXT PRIMARY KEY,
     number INTEGER NOT NULL,
     bytes BLOB NOT NULL,
     at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE card_devices (
     device TEXT NOT NULL,
     user TEXT NOT NULL,
     PRIMARY KEY (device, user)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX card_devices_by_user ON card_devices (user);
   CREATE TABLE device_claims (
     device TEXT PRIMARY KEY,
     user TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];
