import { AppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';

export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** One setting: its name, its value while none is set, and the rule a value must obey. */
export interface Setting<T extends JsonValue> {
  /** Dotted name, e.g. `net.limits`. */
  readonly key: string;
  readonly fallback: T;
  /** Returns the value, typed (a zod schema's `parse`); throws when it does not fit. */
  readonly parse: (value: unknown) => T;
}

export interface Settings {
  /** The value set, or the fallback; also when the stored value does not fit any more (that is logged). */
  get<T extends JsonValue>(setting: Setting<T>): T;
  /** Durable as the database is. Throws `invalid_argument` when the value does not fit. */
  set<T extends JsonValue>(setting: Setting<T>, value: T): void;
  /** Back to the fallback. */
  unset(key: string): void;
  /** What is stored, by key in order; values that are no JSON are left out. */
  entries(): ReadonlyMap<string, JsonValue>;
}

const migrations = [
  'CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID',
];

/** Typed settings in a database; makes its own table. */
export function createSettings(db: Database, deps: { readonly log?: Logger } = {}): Settings {
  const log = deps.log ?? silentLogger;
  migrate(db, 'settings', migrations);
  const select = db.prepare<[string], { value: string }>('SELECT value FROM settings WHERE key = ?');
  const insert = db.prepare('INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)');
  const remove = db.prepare('DELETE FROM settings WHERE key = ?');
  const all = db.prepare<[], { key: string; value: string }>('SELECT key, value FROM settings ORDER BY key');

  return {
    get(setting) {
      const row = select.get(setting.key);
      if (!row) return setting.fallback;
      try {
        return setting.parse(JSON.parse(row.value));
      } catch {
        log.warn({ key: setting.key }, 'a stored setting is not valid; its default is used');
        return setting.fallback;
      }
    },
    set(setting, value) {
      let checked;
      try {
        checked = setting.parse(value);
      } catch (cause) {
        throw new AppError('invalid_argument', `This is not a valid value for the setting ${setting.key}.`, {
          cause,
          details: { key: setting.key },
        });
      }
      insert.run(setting.key, JSON.stringify(checked));
    },
    unset(key) {
      remove.run(key);
    },
    entries() {
      const found = new Map<string, JsonValue>();
      for (const row of all.iterate()) {
        try {
          found.set(row.key, JSON.parse(row.value) as JsonValue);
        } catch {
          log.warn({ key: row.key }, 'a stored setting is not valid; it is left out');
        }
      }
      return found;
    },
  };
}
