import { AppError } from '../../../src-shared/errors.ts';
import { maxValueBytes } from './proof.ts';
import type { Key, Table } from './table.ts';

/** Reading rows. Values are never altered in place. */
export interface StateView {
  /** Null: no such row. `key` is without the table's tag. */
  get<T>(table: Table<T>, key: Key): T | null;
  /** Rows whose keys begin with `prefix`, in the order of their keys, from `from` on (a whole key without the tag). */
  rows<T>(table: Table<T>, prefix?: Key, from?: Key): Iterable<readonly [key: Key, value: T]>;
}

export interface StateWriter extends StateView {
  /** Null removes the row. */
  set<T>(table: Table<T>, key: Key, value: T | null): void;
  /** The rows of a table that were set, as they were before and as they are now. */
  touched<T>(table: Table<T>): Iterable<readonly [key: Key, before: T | null, after: T | null]>;
}

/** A row that changed: its whole key, and its bytes or null. */
export interface RowChange {
  readonly key: Key;
  readonly table: Table<unknown>;
  readonly value: unknown;
  readonly bytes: Uint8Array | null;
}

/** Changes on top of a state. Savepoints nest only one deep: a transaction's. */
export interface Overlay extends StateWriter {
  /** Begins to note what is changed, so that it can be taken back. */
  mark(): void;
  /** Takes back everything since `mark`. */
  revert(): void;
  /**
   * Lets everything since `mark` stand.
   * @throws AppError `too_large` when a row set since then can't be encoded; nothing is kept or taken back then
   */
  keep(): void;
  /** All rows set, in the order of their keys, encoded. */
  changes(): readonly RowChange[];
}

interface Slot {
  readonly table: Table<unknown>;
  readonly rows: Map<Key, unknown>;
  /** Of values that `keep` looked at; good while the row still has that value. */
  readonly encoded: Map<Key, { readonly value: unknown; readonly bytes: Uint8Array }>;
}

/** Errors of the state that an overlay lies on: faults of this node, not of what reads it. */
const baseErrors = new WeakSet<object>();

/** Whether an error came out of the committed state (its database, its decoding) and so says nothing about a transaction. */
export const isBaseError = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && baseErrors.has(error);

function noteBaseError(error: unknown): unknown {
  if (typeof error === 'object' && error !== null) baseErrors.add(error);
  return error;
}

/** Reads of a state whose errors are known again by `isBaseError`. */
const watched = (base: StateView): StateView => ({
  get(table, key) {
    try {
      return base.get(table, key);
    } catch (error) {
      throw noteBaseError(error);
    }
  },
  *rows(table, prefix, from) {
    try {
      yield* base.rows(table, prefix, from);
    } catch (error) {
      throw noteBaseError(error);
    }
  },
});

/** The bytes of a row; null for one that goes. @throws AppError `too_large`, always with the same words */
function bytesOf({ table, encoded }: Slot, key: Key, value: unknown): Uint8Array | null {
  if (value === null || value === undefined) return null;
  const known = encoded.get(key);
  if (known?.value === value) return known.bytes;
  let bytes: Uint8Array | null = null;
  let cause: unknown;
  try {
    bytes = table.encode(value);
  } catch (error) {
    cause = error;
  }
  // A longer row would be written and never be read again.
  if (bytes === null || bytes.length > maxValueBytes) {
    throw new AppError('too_large', `It would make a row of ${table.name} that the ledger can't hold.`, {
      cause,
    });
  }
  encoded.set(key, { value, bytes });
  return bytes;
}

export function createOverlay(committed: StateView): Overlay {
  const base = watched(committed);
  const tables = new Map<string, Slot>();
  let journal: { slot: Slot; key: Key; had: boolean; before: unknown }[] | null = null;

  const slotOf = (table: Table<unknown>): Slot => {
    let slot = tables.get(table.tag);
    if (!slot) {
      slot = { table, rows: new Map(), encoded: new Map() };
      tables.set(table.tag, slot);
    }
    return slot;
  };

  const overlay: Overlay = {
    get<T>(table: Table<T>, key: Key): T | null {
      const value = tables.get(table.tag)?.rows.get(key);
      return value === undefined ? base.get(table, key) : (value as T | null);
    },

    set<T>(table: Table<T>, key: Key, value: T | null) {
      const slot = slotOf(table as Table<unknown>);
      journal?.push({ slot, key, had: slot.rows.has(key), before: slot.rows.get(key) });
      slot.rows.set(key, value);
    },

    *touched<T>(table: Table<T>) {
      for (const [key, value] of tables.get(table.tag)?.rows ?? []) {
        yield [key, base.get(table, key), (value ?? null) as T | null];
      }
    },

    *rows<T>(table: Table<T>, prefix: Key = '', from: Key = prefix) {
      const changed = tables.get(table.tag)?.rows;
      if (!changed || changed.size === 0) {
        yield* base.rows(table, prefix, from);
        return;
      }
      const own = [...changed.keys()].filter((key) => key.startsWith(prefix) && key >= from).sort();
      let next = 0;
      for (const [key, value] of base.rows(table, prefix, from)) {
        for (; next < own.length && (own[next] as Key) < key; next++) {
          const mine = changed.get(own[next] as Key) as T | null | undefined;
          if (mine !== null && mine !== undefined) yield [own[next] as Key, mine];
        }
        if (own[next] === key) continue;
        yield [key, value];
      }
      for (; next < own.length; next++) {
        const mine = changed.get(own[next] as Key) as T | null | undefined;
        if (mine !== null && mine !== undefined) yield [own[next] as Key, mine];
      }
    },

    mark() {
      journal = [];
    },
    revert() {
      for (const { slot, key, had, before } of (journal ?? []).reverse()) {
        if (had) slot.rows.set(key, before);
        else slot.rows.delete(key);
      }
      journal = null;
    },
    keep() {
      for (const { slot, key } of journal ?? []) {
        const value = slot.rows.get(key);
        // Most rows change again before the block ends: they are encoded once, then.
        if (value === null || value === undefined || slot.table.fits(value)) continue;
        bytesOf(slot, key, value);
      }
      journal = null;
    },

    changes() {
      const all: RowChange[] = [];
      for (const slot of tables.values()) {
        for (const [key, value] of slot.rows) {
          all.push({ key: slot.table.tag + key, table: slot.table, value, bytes: bytesOf(slot, key, value) });
        }
      }
      return all.sort((a, b) => (a.key < b.key ? -1 : 1));
    },
  };
  return overlay;
}
