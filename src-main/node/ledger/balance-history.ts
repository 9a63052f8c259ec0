import type { Database } from '../../store/index.ts';
import { migrate } from '../../store/index.ts';

/** What an account of this computer had of a token at a time: kept beside the ledger, which remembers the present only. */
export interface BalanceHistory {
  /**
   * Notes balances after a block; what did not change since the last note costs one look-up.
   * @param time of the block, ms since the epoch
   * @param balances decimal texts by symbol
   */
  note(chainId: string, user: string, time: number, balances: ReadonlyMap<string, string>): void;
  /** At most so many points, oldest first, thinned evenly; the newest always among them. */
  points(chainId: string, user: string, symbol: string, limit: number): { time: number; amount: string }[];
  forget(chainId: string): void;
}

const migrations = [
  `CREATE TABLE balance_history (
    chain TEXT NOT NULL, user TEXT NOT NULL, symbol TEXT NOT NULL, time INTEGER NOT NULL, amount TEXT NOT NULL,
    PRIMARY KEY (chain, user, symbol, time)
  ) STRICT, WITHOUT ROWID`,
];
/** Points of one token that are kept; beyond it every other one of the older half goes. */
const maxPoints = 10_000;

export function createBalanceHistory(db: Database): BalanceHistory {
  migrate(db, 'balance_history', migrations);
  type Point = { time: number; amount: string };
  const last = db.prepare<[string, string, string], Point>(
    'SELECT time, amount FROM balance_history WHERE chain = ? AND user = ? AND symbol = ? ORDER BY time DESC LIMIT 1',
  );
  const all = db.prepare<[string, string, string], Point>(
    'SELECT time, amount FROM balance_history WHERE chain = ? AND user = ? AND symbol = ? ORDER BY time',
  );
  const insert = db.prepare(
    'INSERT OR REPLACE INTO balance_history (chain, user, symbol, time, amount) VALUES (?, ?, ?, ?, ?)',
  );
  const drop = db.prepare(
    'DELETE FROM balance_history WHERE chain = ? AND user = ? AND symbol = ? AND time = ?',
  );
  const dropChain = db.prepare('DELETE FROM balance_history WHERE chain = ?');
  const counts = new Map<string, number>();

  function thin(chainId: string, user: string, symbol: string): number {
    const rows = all.all(chainId, user, symbol);
    if (rows.length <= maxPoints) return rows.length;
    const older = rows.slice(0, rows.length >> 1);
    db.transaction(() => {
      for (const [i, { time }] of older.entries()) if (i % 2 === 1) drop.run(chainId, user, symbol, time);
    })();
    return rows.length - (older.length >> 1);
  }

  return {
    note(chainId, user, time, balances) {
      for (const [symbol, amount] of balances) {
        if (last.get(chainId, user, symbol)?.amount === amount) continue;
        insert.run(chainId, user, symbol, time, amount);
        const key = `${chainId} ${user} ${symbol}`;
        const count = (counts.get(key) ?? maxPoints) + 1;
        counts.set(key, count > maxPoints ? thin(chainId, user, symbol) : count);
      }
    },
    points(chainId, user, symbol, limit) {
      const rows = all.all(chainId, user, symbol);
      if (rows.length <= limit) return rows;
      const step = (rows.length - 1) / (limit - 1);
      return Array.from({ length: limit }, (_, i) => rows[Math.round(i * step)]!);
    },
    forget: (chainId) => void dropChain.run(chainId),
  };
}
