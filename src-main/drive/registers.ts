import type { Database } from '../store/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { byteKey, compareBytes } from './codec/bytes.ts';
import { isCollectionKey, maxValueBytes } from './codec/ops.ts';
import type { IndexedOp } from './tree/operations.ts';
import { entryPlace, ordOf, refOf } from './tree/place.ts';
import { createOpNames } from './tree/reader.ts';
import type { OpDraft, Register, RegisterQuery, Registers } from './types.ts';
import type { Translated } from './tree/drafts.ts';

/**
 * Tables of a collection. `register_op` and `register_sup` are sets of operations, as the tables of the tree are: what they say does
 * not depend on the order of arrival, and taking an entry's rows out again undoes it exactly. `register` is what follows
 * from them; a key without a value stays there, so that whoever watches is told.
 */
export const registerMigrations: readonly string[] = [
  `
  CREATE TABLE register_op (key TEXT NOT NULL, ord BLOB NOT NULL, value BLOB, PRIMARY KEY (key, ord)) WITHOUT ROWID;
  CREATE TABLE register_sup (key TEXT NOT NULL, op BLOB NOT NULL, by BLOB NOT NULL, PRIMARY KEY (key, op, by)) WITHOUT ROWID;
  CREATE TABLE register (
    key TEXT PRIMARY KEY, ord BLOB NOT NULL, live INTEGER NOT NULL, heads INTEGER NOT NULL, rev INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX register_rev ON register (rev);
  CREATE TABLE register_mark (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  `,
];

/** The place of a key whose operations were all taken out again. */
const nowhere = new Uint8Array(0);

type Draft = Extract<OpDraft, { t: 'set' }>;
interface OpRow {
  readonly ord: Uint8Array;
  readonly value: Uint8Array | null;
}
interface ShownRow extends OpRow {
  readonly key: string;
  readonly live: number;
  readonly heads: number;
  readonly rev: number;
}

/** Who wrote the entry at a place, as the drive's books have it. */
type FactsOf = (ord: Uint8Array) => { readonly time: number; readonly user: string | null };

export interface RegisterStore extends Registers {
  /** Applies (or takes out) the `set` operations of one entry; part of the caller's transaction. */
  apply(
    entry: { readonly lamport: number; readonly hash: Uint8Array },
    ops: readonly IndexedOp[],
    undo: boolean,
  ): void;
  /** What a batch may hold once only: an operation can't name one beside it. */
  touches(draft: Draft): string;
  /** @throws AppError `invalid_argument`, `too_large` */
  translate(draft: Draft): Translated;
  /** After a transaction that was rolled back. */
  reload(): void;
}

/** The smallest text above all that begin with `prefix`, in the order of UTF-8 bytes; null: there is none. */
function afterPrefix(prefix: string): string | null {
  const points = [...prefix];
  while (points.length > 0) {
    const last = (points.pop() as string).codePointAt(0) as number;
    if (last >= 0x10ffff) continue;
    const next = last + 1 >= 0xd800 && last + 1 <= 0xdfff ? 0xe000 : last + 1;
    return points.join('') + String.fromCodePoint(next);
  }
  return null;
}

/**
 * The keys of a collection: a register for each. Heads are the operations that none in a later place of the order replaces;
 * the last of them is shown.
 */
export function createRegisters(db: Database, factsOf: FactsOf): RegisterStore {
  const insertOp = db.prepare('INSERT OR IGNORE INTO register_op VALUES (?, ?, ?)');
  const deleteOp = db.prepare('DELETE FROM register_op WHERE key = ? AND ord = ?');
  const insertSup = db.prepare('INSERT OR IGNORE INTO register_sup VALUES (?, ?, ?)');
  const deleteSup = db.prepare('DELETE FROM register_sup WHERE key = ? AND op = ? AND by = ?');
  const opsOf = db.prepare<[string], OpRow>('SELECT ord, value FROM register_op WHERE key = ? ORDER BY ord');
  const supsOf = db.prepare<[string], { op: Uint8Array; by: Uint8Array }>(
    'SELECT op, by FROM register_sup WHERE key = ?',
  );
  const headCount = db.prepare<[string], { ord: Uint8Array; heads: number }>(
    'SELECT ord, heads FROM register WHERE key = ?',
  );
  const setShown = db.prepare('INSERT OR REPLACE INTO register VALUES (?, ?, ?, ?, ?)');
  const shownFields = `r.key, r.ord, r.live, r.heads, r.rev, o.value FROM register r
     LEFT JOIN register_op o ON o.key = r.key AND o.ord = r.ord`;
  const shown = db.prepare<[string], ShownRow>(`SELECT ${shownFields} WHERE r.key = ? AND r.live = 1`);
  const changed = db.prepare<[number, number], ShownRow>(
    `SELECT ${shownFields} WHERE r.rev > ? ORDER BY r.rev LIMIT ?`,
  );
  const pageOf = (order: 'ASC' | 'DESC') =>
    db.prepare<[string, string, number], ShownRow>(
      `SELECT ${shownFields} WHERE r.key > ? AND r.key < ? AND r.live = 1 ORDER BY r.key ${order} LIMIT ?`,
    );
  const up = pageOf('ASC');
  const down = pageOf('DESC');
  const countLive = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM register WHERE live = 1');
  const readMark = db.prepare<[], { value: number }>(
    "SELECT value FROM register_mark WHERE key = 'revision'",
  );
  const writeMark = db.prepare("INSERT OR REPLACE INTO register_mark VALUES ('revision', ?)");
  const opName = createOpNames();
  let revision = readMark.get()?.value ?? 0;

  /** Operations on a key that nothing replaces, the last in order first. */
  function headsOf(key: string): OpRow[] {
    const ops = opsOf.all(key);
    if (ops.length < 2) return ops;
    const sups = supsOf.all(key);
    const later = new Map<string, Uint8Array>();
    for (const { op, by } of sups) {
      const known = later.get(byteKey(op));
      if (!known || compareBytes(by, known) > 0) later.set(byteKey(op), by);
    }
    return ops
      .filter(({ ord }) => {
        // Nobody can name what comes after him: such a claim is a lie and replaces nothing.
        const by = later.get(byteKey(refOf(ord)));
        return !by || compareBytes(by, ord) < 0;
      })
      .reverse();
  }

  function refresh(key: string): void {
    const heads = headsOf(key);
    revision += 1;
    const first = heads[0];
    if (first) setShown.run(key, first.ord, first.value === null ? 0 : 1, heads.length, revision);
    else setShown.run(key, nowhere, 0, 0, revision);
  }

  function registerOf({ key, ord, value, heads }: Omit<ShownRow, 'live' | 'rev'>): Register {
    const { time, user } = factsOf(ord);
    return {
      key,
      value: value as Uint8Array,
      version: opName(refOf(ord)),
      user,
      time,
      concurrent: heads > 1,
    };
  }

  return {
    apply({ lamport, hash }, ops, undo) {
      const place = entryPlace(lamport, hash);
      const keys = new Set<string>();
      for (const { index, op } of ops) {
        if (op.t !== 'set') continue;
        const ord = ordOf(place, index);
        keys.add(op.key);
        if (undo) deleteOp.run(op.key, ord);
        else insertOp.run(op.key, ord, op.value);
        for (const parent of op.parents) {
          if (undo) deleteSup.run(op.key, parent, ord);
          else insertSup.run(op.key, parent, ord);
        }
      }
      for (const key of keys) refresh(key);
      writeMark.run(revision);
    },

    touches: ({ key }) => `key ${key}`,

    translate({ key, value }) {
      if (!isCollectionKey(key)) {
        throw new AppError('invalid_argument', 'A key has 1 to 512 bytes of text.', {
          details: { key: key.slice(0, 100) },
        });
      }
      if (value !== null && value.length > maxValueBytes) {
        throw new AppError('too_large', 'A value of a collection has at most 1 MiB.', { details: { key } });
      }
      const known = headCount.get(key);
      const parents = !known
        ? []
        : known.heads < 2
          ? [refOf(known.ord)].slice(0, known.heads)
          : headsOf(key)
              .map(({ ord }) => refOf(ord))
              .sort(compareBytes);
      return { ops: [{ t: 'set', key, value, parents }], main: 0 };
    },

    get(key) {
      const row = shown.get(key);
      return row ? registerOf(row) : null;
    },

    page({ prefix = '', after, limit, reverse = false }: RegisterQuery) {
      const end = afterPrefix(prefix) ?? '\u{10ffff}\u{10ffff}';
      const inside = after !== undefined && after.startsWith(prefix);
      if (reverse) {
        const before = inside ? (after as string) : end;
        // The prefix itself is a key it holds; nothing else lies between it and what precedes it.
        const rows = down.all(prefix, before, limit);
        const itself =
          rows.length < limit && prefix !== '' && prefix !== after ? shown.get(prefix) : undefined;
        return (itself ? [...rows, itself] : rows).map(registerOf);
      }
      const itself = prefix !== '' && after === undefined ? shown.get(prefix) : undefined;
      const rows = up.all(inside ? (after as string) : prefix, end, limit - (itself ? 1 : 0));
      return (itself ? [itself, ...rows] : rows).map(registerOf);
    },

    heads: (key) => {
      const all = headsOf(key);
      return all.map(({ ord, value }) => ({
        ...registerOf({ key, ord, value, heads: all.length }),
        value,
      }));
    },

    revision: () => revision,

    changedSince(from, limit) {
      const rows = changed.all(from, limit);
      return {
        changes: rows.map((row) => ({ key: row.key, register: row.live === 1 ? registerOf(row) : null })),
        revision: rows.at(-1)?.rev ?? revision,
      };
    },

    count: () => countLive.get()!.n,

    reload() {
      revision = readMark.get()?.value ?? 0;
    },
  };
}
