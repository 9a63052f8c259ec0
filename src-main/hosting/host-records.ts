import { migrate } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import type { EntryId } from '../history/index.ts';
import type { KeptBlock } from './types.ts';

/** What a host remembers: the contracts it took and the blocks they name. */
export interface HostRecords {
  contracts(): readonly { readonly drive: EntryId; readonly bytes: Uint8Array }[];
  putContract(drive: EntryId, bytes: Uint8Array): void;
  /** Forgets the drive and its blocks; returns the ids of those it had. */
  removeDrive(drive: EntryId): Uint8Array[];
  /** Adds blocks to keep; known ones stay as they are. Returns the bytes that come to what is reserved. */
  keep(drive: EntryId, blocks: readonly KeptBlock[]): number;
  /** Bytes that `keep` would add. */
  bytesOfNew(drive: EntryId, blocks: readonly KeptBlock[]): number;
  /** Returns those that were really there. */
  drop(drive: EntryId, ids: readonly Uint8Array[]): Uint8Array[];
  isKept(drive: EntryId, id: Uint8Array): boolean;
  stored(drive: EntryId, id: Uint8Array, size: number): void;
  lost(ids: readonly Uint8Array[]): void;
  /** Up to `limit` blocks to fetch. */
  missing(drive: EntryId, limit: number): readonly KeptBlock[];
  /** Every block said to be there is one of these; called at start. */
  eachStored(look: (id: Uint8Array) => boolean): void;
  totals(drive: EntryId): {
    readonly bytes: number;
    readonly blocks: number;
    readonly missing: number;
    /** Bytes of all named blocks, there or not. */
    readonly named: number;
  };
}

const migrations = [
  `CREATE TABLE host_contracts (drive TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE host_blocks (
     drive TEXT NOT NULL,
     id BLOB NOT NULL,
     size INTEGER NOT NULL,
     here INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (drive, id)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX host_missing ON host_blocks (drive) WHERE here = 0;`,
];

/** Opens the host's tables in a database of the data folder. */
export function createHostRecords(db: Database): HostRecords {
  migrate(db, 'hosting.host', migrations);
  type Row = { id: Uint8Array; size: number };
  const contracts = db.prepare<[], { drive: string; bytes: Uint8Array }>('SELECT * FROM host_contracts');
  const putContract = db.prepare('INSERT OR REPLACE INTO host_contracts (drive, bytes) VALUES (?, ?)');
  const removeContract = db.prepare('DELETE FROM host_contracts WHERE drive = ?');
  const insert = db.prepare('INSERT OR IGNORE INTO host_blocks (drive, id, size) VALUES (?, ?, ?)');
  const one = db.prepare<[string, Uint8Array], { here: number }>(
    'SELECT here FROM host_blocks WHERE drive = ? AND id = ?',
  );
  const remove = db.prepare('DELETE FROM host_blocks WHERE drive = ? AND id = ?');
  const stored = db.prepare('UPDATE host_blocks SET here = 1, size = ? WHERE drive = ? AND id = ?');
  const lost = db.prepare('UPDATE host_blocks SET here = 0 WHERE id = ? AND drive = ?');
  const missing = db.prepare<[string, number], Row>(
    'SELECT id, size FROM host_blocks WHERE drive = ? AND here = 0 LIMIT ?',
  );
  const here = db.prepare<[string], { id: Uint8Array }>(
    'SELECT id FROM host_blocks WHERE drive = ? AND here = 1',
  );
  const removeAll = db.prepare('DELETE FROM host_blocks WHERE drive = ?');
  const totals = db.prepare<[string], { bytes: number; blocks: number; missing: number; named: number }>(
    `SELECT coalesce(sum(size * here), 0) AS bytes, count(*) AS blocks, coalesce(sum(here = 0), 0) AS missing,
            coalesce(sum(size), 0) AS named
       FROM host_blocks WHERE drive = ?`,
  );

  const bytesOfNew = (drive: EntryId, blocks: readonly KeptBlock[]): number =>
    blocks.reduce((sum, { id, size }) => (one.get(drive, id) ? sum : sum + size), 0);

  return {
    contracts: () => contracts.all(),
    putContract: (drive, bytes) => void putContract.run(drive, bytes),
    removeDrive: db.transaction((drive: EntryId) => {
      const ids = here.all(drive).map(({ id }) => id);
      removeAll.run(drive);
      removeContract.run(drive);
      return ids;
    }),
    bytesOfNew,
    keep: db.transaction((drive: EntryId, blocks: readonly KeptBlock[]) => {
      const added = bytesOfNew(drive, blocks);
      for (const { id, size } of blocks) insert.run(drive, id, size);
      return added;
    }),
    drop: db.transaction((drive: EntryId, ids: readonly Uint8Array[]) => {
      const there = ids.filter((id) => one.get(drive, id)?.here === 1);
      for (const id of ids) remove.run(drive, id);
      return there;
    }),
    isKept: (drive, id) => one.get(drive, id)?.here === 1,
    stored: (drive, id, size) => void stored.run(size, drive, id),
    lost: db.transaction((ids: readonly Uint8Array[]) => {
      for (const { drive } of contracts.all()) for (const id of ids) lost.run(id, drive);
    }),
    missing: (drive, limit) => missing.all(drive, limit),
    eachStored: db.transaction((look: (id: Uint8Array) => boolean) => {
      for (const { drive } of contracts.all()) {
        for (const { id } of here.all(drive)) if (!look(id)) lost.run(id, drive);
      }
    }),
    totals: (drive) => totals.get(drive)!,
  };
}
