import { migrate } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';

/** The tables of one chain. `state` is what the state root commits to; the rest can be had again from blocks. */
const migrations = [
  `CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE blocks (
     height INTEGER PRIMARY KEY, id BLOB NOT NULL, header BLOB NOT NULL, cert BLOB NOT NULL,
     body BLOB, results BLOB
   ) STRICT;
   CREATE TABLE txs (hash BLOB PRIMARY KEY, height INTEGER NOT NULL, place INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE account_txs (
     address BLOB NOT NULL, height INTEGER NOT NULL, place INTEGER NOT NULL,
     PRIMARY KEY (address, height, place)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE sets (height INTEGER PRIMARY KEY, validators BLOB NOT NULL) STRICT;
   CREATE TABLE history (level INTEGER NOT NULL, place INTEGER NOT NULL, hash BLOB NOT NULL,
     PRIMARY KEY (level, place)) STRICT, WITHOUT ROWID;
   CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE snapshots (height INTEGER PRIMARY KEY, manifest BLOB NOT NULL) STRICT;
   CREATE TABLE chunks (height INTEGER NOT NULL, place INTEGER NOT NULL, bytes BLOB NOT NULL,
     PRIMARY KEY (height, place)) STRICT;`,
];

/** Makes or updates the tables. */
export function migrateLedger(db: Database): void {
  migrate(db, 'ledger', migrations);
}

/** Bytes that a database's rows take of the disk; what was freed in its file already does not count. */
export function bytesOf(db: Database): number {
  const number = (name: string): number => db.pragma(name, { simple: true }) as number;
  return (number('page_count') - number('freelist_count')) * number('page_size');
}
