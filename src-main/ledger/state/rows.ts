import { AppError } from '../../../src-shared/errors.ts';
import type { Database } from '../../store/index.ts';
import { sameBytes, sha256 } from '../codec/index.ts';
import type { Hash } from '../types.ts';
import { createCommitment, pathOf } from './commitment.ts';
import type { Leaf, LeafChange, StagedCommitment } from './commitment.ts';
import type { Overlay, RowChange, StateView } from './overlay.ts';
import { createOverlay } from './overlay.ts';
import type { RowProof } from './proof.ts';
import { createRowReader } from './row-reader.ts';
import { keyBytes } from './table.ts';
import type { Key, Table } from './table.ts';

/** Decoded rows kept in memory. A transfer touches about four. */
const cacheRows = 100_000;
/** Rows taken into the commitment at once when a database is opened. */
const loadBatch = 20_000;

/** The changes of one block with the root they lead to. */
export interface StagedState {
  readonly root: Hash;
  readonly changes: readonly RowChange[];
  readonly commitment: StagedCommitment;
}

/** The committed state: rows in SQLite, recently used ones decoded in memory, their commitment in memory. */
export interface RowState extends StateView {
  root(): Hash;
  overlay(): Overlay;
  /** Computes the root that an overlay leads to. */
  stage(overlay: Overlay): StagedState;
  /** Writes rows; inside the caller's transaction. */
  write(staged: StagedState): void;
  /** After the transaction of `write` is done: makes them what is read. */
  adopt(staged: StagedState): void;
  prove(key: Uint8Array): RowProof;
  count(): number;
  /** Reads everything anew, after the rows were replaced. */
  reload(): void;
}

export function createRowState(db: Database): RowState {
  const select = db.prepare<[Uint8Array], { value: Uint8Array }>('SELECT value FROM state WHERE key = ?');
  const all = db.prepare<[Uint8Array, number], { key: Uint8Array; value: Uint8Array }>(
    'SELECT key, value FROM state WHERE key > ? ORDER BY key LIMIT ?',
  );
  const put = db.prepare('INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)');
  const remove = db.prepare('DELETE FROM state WHERE key = ?');

  const cache = new Map<Key, unknown>();
  const reader = createRowReader(db, (key) => cache.get(key));
  const commitment = createCommitment();

  /** Forgets the oldest entry, not the least used one: moving each entry at each use costs more than a miss now and then. */
  function remember(key: Key, value: unknown): void {
    if (cache.size >= cacheRows && !cache.has(key)) cache.delete(cache.keys().next().value as Key);
    cache.set(key, value);
  }

  function reload(): void {
    cache.clear();
    commitment.load(leaves());
  }

  function* leaves(): Generator<Leaf> {
    let after: Uint8Array = new Uint8Array();
    for (;;) {
      const rows = all.all(after, loadBatch);
      for (const { key, value } of rows) yield { path: pathOf(key), valueHash: sha256(value) };
      if (rows.length < loadBatch) return;
      after = (rows.at(-1) as { key: Uint8Array }).key;
    }
  }
  reload();

  const state: RowState = {
    get<T>(table: Table<T>, key: Key): T | null {
      const whole = table.tag + key;
      const known = cache.get(whole);
      if (known !== undefined) return known as T | null;
      const value = reader.get(table, key);
      remember(whole, value);
      return value;
    },

    rows: (table, prefix, from) => reader.rows(table, prefix, from),

    root: () => commitment.root(),
    count: () => commitment.count(),
    overlay: () => createOverlay(state),

    stage(overlay) {
      const changes = overlay.changes();
      const staged = commitment.stage(
        changes.map(({ key, bytes }): LeafChange => ({
          path: pathOf(keyBytes(key)),
          valueHash: bytes === null ? null : sha256(bytes),
        })),
      );
      return { root: staged.root, changes, commitment: staged };
    },

    write({ changes }) {
      for (const { key, bytes } of changes) {
        if (bytes === null) remove.run(keyBytes(key));
        else put.run(keyBytes(key), bytes);
      }
    },

    adopt({ changes, commitment: staged }) {
      staged.apply();
      for (const { key, value } of changes) remember(key, value ?? null);
    },

    prove(key) {
      const path = pathOf(key);
      const { siblings, leaf } = commitment.prove(path);
      if (leaf === null || !sameBytes(leaf.path, path)) return { key, value: null, siblings, other: leaf };
      const row = select.get(key);
      if (!row) throw new AppError('corrupt', 'A row of the ledger is missing in its database.');
      return { key, value: new Uint8Array(row.value), siblings, other: null };
    },

    reload,
  };

  return state;
}
