import type { Database } from '../store/index.ts';
import type { UserId } from '../identity/index.ts';

/** How much one member may write into a collection. */
export interface Budget {
  /** Bytes of entries, as they are stored. */
  readonly bytes: number;
  readonly entries: number;
}

/** Of every collection. Part of the protocol: with other numbers replicas would show different things. */
export const memberBudget: Budget = { bytes: 256 * 1024 ** 2, entries: 500_000 };

/** A row for each entry of a member that counts or would; `over`: it lies beyond what the member may write. */
export const budgetMigrations: readonly string[] = [
  `
  CREATE TABLE drive_budget (
    user TEXT NOT NULL, lamport INTEGER NOT NULL, hash BLOB NOT NULL, bytes INTEGER NOT NULL, over INTEGER NOT NULL,
    PRIMARY KEY (user, lamport, hash)
  ) WITHOUT ROWID;
  `,
];

/** Entries that fit or do not fit any more, by hash. */
export interface BudgetChange {
  readonly cut: readonly Uint8Array[];
  readonly back: readonly Uint8Array[];
}

interface Spent {
  bytes: number;
  entries: number;
}
interface Row {
  readonly lamport: number;
  readonly hash: Uint8Array;
  readonly bytes: number;
  readonly over: number;
}
const nothing: BudgetChange = { cut: [], back: [] };

/**
 * What members may write: of each one's entries, in the one order of the drive, as many count as fit. What fits follows from the set of
 * entries alone, so every replica shows the same, in whatever order they came: one that comes late may push out others behind it.
 */
export function createBudgets(db: Database, limit: Budget) {
  const insert = db.prepare('INSERT OR IGNORE INTO drive_budget VALUES (?, ?, ?, ?, 0)');
  const remove = db.prepare('DELETE FROM drive_budget WHERE user = ? AND lamport = ? AND hash = ?');
  const setOver = db.prepare('UPDATE drive_budget SET over = ? WHERE user = ? AND lamport = ? AND hash = ?');
  const rowOf = db.prepare<[string, number, Uint8Array], Row>(
    'SELECT * FROM drive_budget WHERE user = ? AND lamport = ? AND hash = ?',
  );
  const rows = db.prepare<[string], Row>('SELECT * FROM drive_budget WHERE user = ? ORDER BY lamport, hash');
  const sums = db.prepare<[], { user: string; bytes: number; entries: number }>(
    'SELECT user, sum(bytes) AS bytes, count(*) AS entries FROM drive_budget GROUP BY user',
  );
  let spent: Map<string, Spent> | null = null;

  function all(): Map<string, Spent> {
    return (spent ??= new Map(sums.all().map(({ user, bytes, entries }) => [user, { bytes, entries }])));
  }
  const isOver = ({ bytes, entries }: Spent, times = 1): boolean =>
    bytes > limit.bytes * times || entries > limit.entries * times;

  /** Looks through all of a member's entries: needed only while they are more than fit. */
  function sort(user: UserId): BudgetChange {
    const cut: Uint8Array[] = [];
    const back: Uint8Array[] = [];
    const sum: Spent = { bytes: 0, entries: 0 };
    for (const { lamport, hash, bytes, over } of rows.all(user)) {
      sum.bytes += bytes;
      sum.entries += 1;
      const now = isOver(sum) ? 1 : 0;
      if (now === over) continue;
      setOver.run(now, user, lamport, hash);
      (now === 1 ? cut : back).push(hash);
    }
    return { cut, back };
  }

  return {
    /** Counts an entry. @returns what does not fit any more, perhaps the entry itself */
    add(user: UserId, lamport: number, hash: Uint8Array, bytes: number): BudgetChange {
      // Summed up before the row is there, or it would count twice.
      const known = all();
      if (insert.run(user, lamport, hash, bytes).changes === 0) return nothing;
      const sum = known.get(user) ?? { bytes: 0, entries: 0 };
      sum.bytes += bytes;
      sum.entries += 1;
      known.set(user, sum);
      return isOver(sum) ? sort(user) : nothing;
    },
    /** An entry counts no more for another reason. @returns what fits now, never the entry itself */
    remove(user: UserId, lamport: number, hash: Uint8Array): BudgetChange {
      const row = rowOf.get(user, lamport, hash);
      if (!row) return nothing;
      const sum = all().get(user)!;
      remove.run(user, lamport, hash);
      const wasOver = isOver(sum);
      sum.bytes -= row.bytes;
      sum.entries -= 1;
      return wasOver ? sort(user) : nothing;
    },
    isOver: (user: UserId, lamport: number, hash: Uint8Array): boolean =>
      rowOf.get(user, lamport, hash)?.over === 1,
    /** Whether so much more would fit. */
    fits(user: UserId, bytes: number, entries: number): boolean {
      const { bytes: used, entries: made } = all().get(user) ?? { bytes: 0, entries: 0 };
      return !isOver({ bytes: used + bytes, entries: made + entries });
    },
    /** Members of whom twice as much is here as counts: no app does that by mistake. */
    flooding: (): readonly UserId[] => [...all()].filter(([, sum]) => isOver(sum, 2)).map(([user]) => user),
    /** After a transaction that was rolled back. */
    reload(): void {
      spent = null;
    },
  };
}
export type Budgets = ReturnType<typeof createBudgets>;
