import type { Database } from '../../store/index.ts';
import type { StateView } from './overlay.ts';
import { afterPrefix, bytesKey, keyBytes } from './table.ts';
import type { Key, Table } from './table.ts';

/** Rows read at once by a scan. */
const page = 256;

/**
 * Reads rows straight from the database: as of now, or as of the read transaction the caller is in.
 * @param known a row that is decoded already, by its whole key; null and undefined: it is not
 */
export function createRowReader(db: Database, known: (key: Key) => unknown = () => null): StateView {
  const select = db.prepare<[Uint8Array], { value: Uint8Array }>('SELECT value FROM state WHERE key = ?');
  const scan = db.prepare<[Uint8Array, Uint8Array, number], { key: Uint8Array; value: Uint8Array }>(
    'SELECT key, value FROM state WHERE key >= ? AND key < ? ORDER BY key LIMIT ?',
  );
  return {
    get<T>(table: Table<T>, key: Key): T | null {
      const row = select.get(keyBytes(table.tag + key));
      return row ? table.decode(new Uint8Array(row.value)) : null;
    },

    *rows<T>(table: Table<T>, prefix: Key = '', from: Key = prefix) {
      const end = keyBytes(afterPrefix(table.tag + prefix) ?? '\xff'.repeat(300));
      let start = table.tag + from;
      for (;;) {
        const rows = scan.all(keyBytes(start), end, page);
        for (const { key, value } of rows) {
          const whole = bytesKey(key);
          const decoded = (known(whole) ?? null) as T | null;
          yield [whole.slice(1), decoded ?? table.decode(new Uint8Array(value))] as const;
        }
        if (rows.length < page) return;
        start = bytesKey((rows.at(-1) as { key: Uint8Array }).key) + '\0';
      }
    },
  };
}
