import type { AppDeed, AppPermission } from '../../../src-shared/contract/index.ts';
import type { Caveats, Grant, PermissionName, PermissionRequest } from '../../../src-shared/apps/index.ts';
import { grant as grantSchema } from '../../../src-shared/apps/index.ts';
import { createEmitter } from '../../../src-shared/emitter.ts';
import type { Clock, Events } from '../../../src-shared/runtime.ts';
import { migrate, type Database } from '../../store/index.ts';
import { addAmounts } from './spending.ts';

/** Something an app did. */
export type Deed = Pick<AppDeed, 'method' | 'permission' | 'about' | 'outcome'>;

type PermissionEvents = {
  /** `less`: something was taken back. */
  changed: { readonly appId: string; readonly less: boolean };
};

/** What the person gave to each app, and what each did with it. */
export interface PermissionRecords extends Events<PermissionEvents> {
  grants(appId: string): readonly Grant[];
  /** Adds it; bounds of a day take the place of earlier ones for the same thing. */
  grant(appId: string, grant: Grant): void;
  /** Takes back all of a name, or exactly one. @returns whether there was any */
  revoke(appId: string, name: PermissionName, caveats?: Caveats): boolean;
  /** Forgets everything of an app. */
  forget(appId: string): void;
  /** For people: what the manifest asks for, and what became of it. */
  shown(
    appId: string,
    asked: {
      readonly required: readonly PermissionRequest[];
      readonly optional: readonly PermissionRequest[];
    },
  ): AppPermission[];
  /** Counts something against a bound of a day. @returns takes it back */
  use(appId: string, name: PermissionName, symbol: string, amount: string): () => void;
  /** What the last 24 hours took. */
  used(
    appId: string,
    name: PermissionName,
    symbol?: string,
  ): { readonly amount: string; readonly times: number };
  /** Notes what an app did. Repetitions in a row become one entry. */
  note(appId: string, deed: Deed): void;
  /** The last ones, newest first. */
  deeds(appId: string | null, limit: number): AppDeed[];
  /** Writes what is counted in memory only. */
  flush(): void;
}

/** Entries that are kept of each app. */
const mostDeeds = 2000;
const day = 86_400_000;

const migrations = [
  `CREATE TABLE app_grants (
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    caveats TEXT NOT NULL,
    time INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, name, caveats)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE app_uses (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    symbol TEXT NOT NULL,
    amount TEXT NOT NULL,
    time INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX app_uses_of ON app_uses (app, name, symbol, time);
  CREATE TABLE app_deeds (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    time INTEGER NOT NULL,
    method TEXT NOT NULL,
    permission TEXT,
    about TEXT NOT NULL,
    outcome TEXT NOT NULL,
    times INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX app_deeds_of ON app_deeds (app, id);`,
];

interface GrantRow {
  readonly name: PermissionName;
  readonly caveats: string;
  readonly time: number;
  readonly revoked: number;
}
interface DeedRow extends Omit<AppDeed, 'appId' | 'at'> {
  readonly app: string;
  readonly time: number;
}
/** The newest entry of an app, whose repetitions are counted in memory. */
interface Last extends Deed {
  readonly id: number;
  times: number;
  time: number;
  dirty: boolean;
}

/** One text for equal bounds. */
function keyOf(caveats: Caveats): string {
  const sorted = Object.entries(caveats)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(sorted));
}

export function createPermissionRecords(db: Database, clock: Clock): PermissionRecords {
  migrate(db, 'app-permissions', migrations);
  const events = createEmitter<PermissionEvents>();
  const sql = {
    grants: db.prepare<[string], GrantRow>(
      'SELECT name, caveats, time, revoked FROM app_grants WHERE app = ?',
    ),
    put: db.prepare(
      'INSERT OR REPLACE INTO app_grants (app, name, caveats, time, revoked) VALUES (?, ?, ?, ?, 0)',
    ),
    drop: db.prepare('DELETE FROM app_grants WHERE app = ? AND name = ? AND caveats = ?'),
    revoke: db.prepare('UPDATE app_grants SET revoked = 1 WHERE app = ? AND name = ? AND revoked = 0'),
    revokeOne: db.prepare(
      'UPDATE app_grants SET revoked = 1 WHERE app = ? AND name = ? AND caveats = ? AND revoked = 0',
    ),
    use: db.prepare('INSERT INTO app_uses (app, name, symbol, amount, time) VALUES (?, ?, ?, ?, ?)'),
    unuse: db.prepare('DELETE FROM app_uses WHERE id = ?'),
    old: db.prepare('DELETE FROM app_uses WHERE app = ? AND time <= ?'),
    used: db.prepare<[string, string, string, number], { amount: string }>(
      'SELECT amount FROM app_uses WHERE app = ? AND name = ? AND symbol = ? AND time > ?',
    ),
    usedAny: db.prepare<[string, string, number], { amount: string }>(
      'SELECT amount FROM app_uses WHERE app = ? AND name = ? AND time > ?',
    ),
    note: db.prepare(
      'INSERT INTO app_deeds (app, time, method, permission, about, outcome, times) VALUES (?, ?, ?, ?, ?, ?, 1)',
    ),
    again: db.prepare('UPDATE app_deeds SET times = ?, time = ? WHERE id = ?'),
    thin: db.prepare(
      `DELETE FROM app_deeds WHERE app = @appId AND id <=
        (SELECT id FROM app_deeds WHERE app = @appId ORDER BY id DESC LIMIT 1 OFFSET ${mostDeeds})`,
    ),
    deeds: db.prepare<[string, number], DeedRow>(
      'SELECT * FROM app_deeds WHERE app = ? ORDER BY id DESC LIMIT ?',
    ),
    allDeeds: db.prepare<[number], DeedRow>('SELECT * FROM app_deeds ORDER BY time DESC, id DESC LIMIT ?'),
    lastUse: db.prepare<[string, string], { time: number | null }>(
      'SELECT max(time) AS time FROM app_deeds WHERE app = ? AND permission = ?',
    ),
  };
  /** Asked for at every call of every app. */
  const cache = new Map<string, readonly Grant[]>();
  const last = new Map<string, Last>();
  /** Entries made since the start, by app. */
  const made = new Map<string, number>();

  function grants(appId: string): readonly Grant[] {
    let found = cache.get(appId);
    if (!found) {
      found = sql.grants
        .all(appId)
        .filter((row) => row.revoked === 0)
        .map((row) => grantSchema.parse({ name: row.name, caveats: JSON.parse(row.caveats) as unknown }));
      cache.set(appId, found);
    }
    return found;
  }
  function changed(appId: string, less: boolean): void {
    cache.delete(appId);
    events.emit('changed', { appId, less });
  }
  function flushOne(one: Last): void {
    if (!one.dirty) return;
    sql.again.run(one.times, one.time, one.id);
    one.dirty = false;
  }
  function flush(): void {
    for (const one of last.values()) flushOne(one);
  }
  const used: PermissionRecords['used'] = (appId, name, symbol) => {
    const since = clock.now() - day;
    const rows =
      symbol === undefined ? sql.usedAny.all(appId, name, since) : sql.used.all(appId, name, symbol, since);
    return { amount: addAmounts('0', ...rows.map(({ amount }) => amount)), times: rows.length };
  };

  return {
    on: events.on,
    grants,
    grant(appId, { name, caveats }) {
      db.transaction(() => {
        // Of what differs in the amount only, the newest counts.
        const { perDay: _, ...what } = caveats;
        for (const row of sql.grants.all(appId)) {
          const { perDay: __, ...before } = JSON.parse(row.caveats) as Caveats;
          if (row.name === name && keyOf(before) === keyOf(what)) sql.drop.run(appId, name, row.caveats);
        }
        sql.put.run(appId, name, keyOf(caveats), clock.now());
      })();
      changed(appId, false);
    },
    revoke(appId, name, caveats) {
      const { changes } = caveats
        ? sql.revokeOne.run(appId, name, keyOf(caveats))
        : sql.revoke.run(appId, name);
      if (changes > 0) changed(appId, true);
      return changes > 0;
    },
    forget(appId) {
      db.transaction(() => {
        for (const table of ['app_grants', 'app_uses', 'app_deeds']) {
          db.prepare(`DELETE FROM ${table} WHERE app = ?`).run(appId);
        }
      })();
      last.delete(appId);
      changed(appId, true);
    },
    shown(appId, asked) {
      flush();
      const rows = sql.grants.all(appId);
      return (['required', 'optional'] as const).flatMap((kind) =>
        asked[kind].flatMap((wish) => {
          const mine = rows.filter(({ name }) => name === wish.name);
          const given = mine.filter(({ revoked }) => revoked === 0);
          const bounds: Caveats[] =
            given.length > 0 ? given.map(({ caveats }) => JSON.parse(caveats) as Caveats) : [wish.caveats];
          const state =
            wish.name === 'identity' || given.length > 0
              ? ('granted' as const)
              : mine.length > 0
                ? ('revoked' as const)
                : ('off' as const);
          const at = sql.lastUse.get(appId, wish.name)?.time ?? null;
          return bounds.map((caveats): AppPermission => ({
            name: wish.name,
            required: kind === 'required',
            state,
            caveats,
            reason: wish.reason ?? null,
            used:
              caveats.perDay === undefined
                ? null
                : typeof caveats.perDay === 'number'
                  ? String(used(appId, wish.name).times)
                  : used(appId, wish.name, caveats.symbol).amount,
            lastUsed: at === null ? null : new Date(at).toISOString(),
          }));
        }),
      );
    },
    use(appId, name, symbol, amount) {
      sql.old.run(appId, clock.now() - day);
      const { lastInsertRowid } = sql.use.run(appId, name, symbol, amount, clock.now());
      return () => void sql.unuse.run(lastInsertRowid);
    },
    used,
    note(appId, deed) {
      const now = clock.now();
      const before = last.get(appId);
      if (
        before?.method === deed.method &&
        before.about === deed.about &&
        before.outcome === deed.outcome &&
        before.permission === deed.permission
      ) {
        before.times += 1;
        before.time = now;
        before.dirty = true;
        return;
      }
      if (before) flushOne(before);
      const { lastInsertRowid } = sql.note.run(
        appId,
        now,
        deed.method,
        deed.permission,
        deed.about,
        deed.outcome,
      );
      const id = Number(lastInsertRowid);
      last.set(appId, { ...deed, id, times: 1, time: now, dirty: false });
      const count = made.get(appId) ?? 0;
      made.set(appId, count + 1);
      if (count % 100 === 0) sql.thin.run({ appId });
    },
    deeds(appId, limit) {
      flush();
      const rows = appId === null ? sql.allDeeds.all(limit) : sql.deeds.all(appId, limit);
      return rows.map(({ app, time, method, permission, about, outcome, times }) => ({
        appId: app,
        at: new Date(time).toISOString(),
        method,
        permission,
        about,
        outcome,
        times,
      }));
    },
    flush,
  };
}
