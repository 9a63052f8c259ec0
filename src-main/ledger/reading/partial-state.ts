import { AppError } from '../../../src-shared/errors.ts';
import type { StateView } from '../state/overlay.ts';
import type { Key, Table } from '../state/table.ts';

/** Rows of one state that are known here, by whole keys (with the table's tag). */
export interface KnownRows {
  /** Null: it is known that there is none. */
  readonly rows: Map<Key, Uint8Array | null>;
  /** Whole prefixes whose rows are all here; `more`: there are further ones that nobody asked for. */
  readonly scans: Map<Key, { readonly keys: readonly Key[]; readonly more: boolean }>;
}

export const noRows = (): KnownRows => ({ rows: new Map(), scans: new Map() });

/** What was looked for and is not known here. */
export interface MissingRows {
  readonly keys: Set<Key>;
  readonly prefixes: Set<Key>;
}

/**
 * The state as far as it is known. Whoever looks for something else is told there is nothing, and it is noted in `missing`: what he
 * works out is worth nothing then, but one run finds most of what has to be fetched for the next one.
 */
export function createPartialState(known: KnownRows, missing: MissingRows): StateView {
  return {
    get<T>(table: Table<T>, key: Key): T | null {
      const whole = table.tag + key;
      const bytes = known.rows.get(whole);
      if (bytes === undefined) missing.keys.add(whole);
      return bytes ? table.decode(bytes) : null;
    },
    *rows<T>(table: Table<T>, prefix: Key = '', from: Key = prefix) {
      const scan = known.scans.get(table.tag + prefix);
      if (!scan) {
        missing.prefixes.add(table.tag + prefix);
        return;
      }
      for (const key of scan.keys) {
        const bytes = known.rows.get(key);
        if (bytes && key >= table.tag + from) yield [key.slice(1), table.decode(bytes)] as const;
      }
      if (scan.more) {
        throw new AppError(
          'too_large',
          `This network has more ${table.name} than a light node looks through.`,
        );
      }
    },
  };
}
