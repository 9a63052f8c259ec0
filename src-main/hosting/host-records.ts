import { migrate } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import type { EntryId } from '../history/index.ts';
import type { KeptBlock } from './types.ts';

/** What a host remembers: the contracts it took and the blocks they name. */
export interface HostRecords {
  contracts(): readonly { readonly drive: EntryId; readonly bytes: Uint8Array }[];
  putContract(drive: EntryId, bytes: Uint8Array): void;
  /** Its keeper released the drive while contracts on a ledger still pay for blocks of it; `takeBack`: he wants it again. */
  putReleased(drive: EntryId): void;
  takeBack(drive: EntryId): void;
  isReleased(drive: EntryId): boolean;
  /** Forgets the drive and its blocks; returns the ids of those it had. */
  removeDrive(drive: EntryId): Uint8Array[];
  /** Adds blocks to keep; known ones stay as they are. Returns the bytes that come to what is reserved. */
  keep(drive: EntryId, blocks: readonly KeptBlock[]): number;
  /** Bytes that `keep` would add. */
  bytesOfNew(drive: EntryId, blocks: readonly KeptBlock[]): number;
  /** Returns those that were really there. */
  drop(drive: EntryId, ids: readonly Uint8Array[]): Uint8Array[];
  /** Remembers encoded stripes, whose blocks are `shards`. */
  addStripe(drive: EntryId, id: Uint8Array, bytes: Uint8Array, shards: readonly Uint8Array[]): void;
  removeStripe(drive: EntryId, id: Uint8Array): void;
  /** The encoded stripe that holds a block; null: none does, or it is not known here. */
  stripeOf(drive: EntryId, block: Uint8Array): Uint8Array | null;
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
    /** Bytes of all named blocks, there or not, and of stripes. */
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
  `CREATE TABLE host_stripes (
     drive TEXT NOT NULL,
     id BLOB NOT NULL,
     bytes BLOB NOT NULL,
     PRIMARY KEY (drive, id)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE host_shards (
     drive TEXT NOT NULL,
     block BLOB NOT NULL,
     stripe BLOB NOT NULL,
     PRIMARY KEY (drive, block)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX host_shards_of ON host_shards (drive, stripe);`,
  'CREATE TABLE host_released (drive TEXT PRIMARY KEY) STRICT, WITHOUT ROWID',
];

/** Opens the host's tables in a database of the data folder. */
export function createHostRecords(db: Database): HostRecords {
  migrate(db, 'hosting.host', migrations);
  type Row = { id: Uint8Array; size: number };
  const contracts = db.prepare<[], { drive: string; bytes: Uint8Array }>('SELECT * FROM host_contracts');
  const putContract = db.prepare('INSERT OR REPLACE INTO host_contracts (drive, bytes) VALUES (?, ?)');
  const removeContract = db.prepare('DELETE FROM host_contracts WHERE drive = ?');
  const putReleased = db.prepare('INSERT OR IGNORE INTO host_released (drive) VALUES (?)');
  const takeBack = db.prepare('DELETE FROM host_released WHERE drive = ?');
  const released = db.prepare<[string], { drive: string }>('SELECT drive FROM host_released WHERE drive = ?');
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
  const addStripe = db.prepare('INSERT OR REPLACE INTO host_stripes (drive, id, bytes) VALUES (?, ?, ?)');
  const removeStripe = db.prepare('DELETE FROM host_stripes WHERE drive = ? AND id = ?');
  const addShard = db.prepare('INSERT OR REPLACE INTO host_shards (drive, block, stripe) VALUES (?, ?, ?)');
  const removeShards = db.prepare('DELETE FROM host_shards WHERE drive = ? AND stripe = ?');
  const stripeOf = db.prepare<[string, Uint8Array], { bytes: Uint8Array }>(
    `SELECT s.bytes FROM host_shards b JOIN host_stripes s ON s.drive = b.drive AND s.id = b.stripe
      WHERE b.drive = ? AND b.block = ?`,
  );
  const stripeBytes = db
    .prepare<[string], number>('SELECT coalesce(sum(length(bytes)), 0) FROM host_stripes WHERE drive = ?')
    .pluck();
  const removeAllStripes = ['host_stripes', 'host_shards'].map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE drive = ?`),
  );
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
    putReleased: (drive) => void putReleased.run(drive),
    takeBack: (drive) => void takeBack.run(drive),
    isReleased: (drive) => released.get(drive) !== undefined,
    removeDrive: db.transaction((drive: EntryId) => {
      const ids = here.all(drive).map(({ id }) => id);
      removeAll.run(drive);
      for (const remove of removeAllStripes) remove.run(drive);
      removeContract.run(drive);
      takeBack.run(drive);
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
    addStripe: db.transaction(
      (drive: EntryId, id: Uint8Array, bytes: Uint8Array, shards: readonly Uint8Array[]) => {
        addStripe.run(drive, id, bytes);
        for (const block of shards) addShard.run(drive, block, id);
      },
    ),
    removeStripe: db.transaction((drive: EntryId, id: Uint8Array) => {
      removeStripe.run(drive, id);
      removeShards.run(drive, id);
    }),
    stripeOf: (drive, block) => stripeOf.get(drive, block)?.bytes ?? null,
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
    totals(drive) {
      const { named, ...rest } = totals.get(drive)!;
      return { ...rest, named: named + stripeBytes.get(drive)! };
    },
  };
}
