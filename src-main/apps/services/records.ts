import type { Database } from '../../store/index.ts';
import { migrate } from '../../store/index.ts';
import type { UserId } from '../../identity/index.ts';
import { unrated } from './choice.ts';
import type { Rating } from './choice.ts';
import type { Receipt, Use } from './frames.ts';

const migrations = [
  `CREATE TABLE service_ratings (peer TEXT NOT NULL, interface TEXT NOT NULL, success REAL NOT NULL, ms REAL, calls INTEGER NOT NULL,
     time INTEGER NOT NULL, PRIMARY KEY (peer, interface)) STRICT, WITHOUT ROWID;
   CREATE TABLE service_receipts (id INTEGER PRIMARY KEY, user TEXT NOT NULL, peer TEXT NOT NULL, app TEXT, owner TEXT NOT NULL,
     service TEXT NOT NULL, method TEXT NOT NULL, symbol TEXT, amount TEXT, time INTEGER NOT NULL, receipt TEXT NOT NULL) STRICT;
   CREATE TABLE service_debts (user TEXT NOT NULL, owner TEXT NOT NULL, peer TEXT NOT NULL, symbol TEXT NOT NULL, amount TEXT NOT NULL,
     PRIMARY KEY (user, owner, peer, symbol)) STRICT, WITHOUT ROWID;
   CREATE TABLE service_credit (owner TEXT NOT NULL, caller TEXT NOT NULL, symbol TEXT NOT NULL, owed TEXT NOT NULL,
     PRIMARY KEY (owner, caller, symbol)) STRICT, WITHOUT ROWID;
   CREATE TABLE service_untold (user TEXT NOT NULL, owner TEXT NOT NULL, peer TEXT NOT NULL, tx TEXT NOT NULL,
     PRIMARY KEY (user, owner, peer, tx)) STRICT, WITHOUT ROWID;
   CREATE TABLE service_payments (owner TEXT NOT NULL, tx TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (owner, tx)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE service_uses (user TEXT NOT NULL, peer TEXT NOT NULL, interface TEXT NOT NULL, day INTEGER NOT NULL, word TEXT NOT NULL,
     PRIMARY KEY (user, peer, interface)) STRICT, WITHOUT ROWID`,
];

/** Receipts and ratings kept; the oldest give way. */
const mostReceipts = 10_000;
const mostRatings = 2000;

export interface Debt {
  readonly owner: UserId;
  readonly peer: string;
  readonly symbol: string;
  readonly amount: bigint;
}

/** What calls cost and how providers did, in node.db. */
export function createServiceRecords(db: Database) {
  migrate(db, 'services', migrations);
  const rating = db.prepare<[string, string], Rating>(
    'SELECT success, ms, calls FROM service_ratings WHERE peer = ? AND interface = ?',
  );
  const rate = db.prepare('INSERT OR REPLACE INTO service_ratings VALUES (?, ?, ?, ?, ?, ?)');
  const thinRatings = db.prepare(
    `DELETE FROM service_ratings WHERE time < (SELECT time FROM service_ratings ORDER BY time DESC LIMIT 1 OFFSET ${mostRatings})`,
  );
  const use = db.prepare<[string, string, string], { word: string }>(
    'SELECT word FROM service_uses WHERE user = ? AND peer = ? AND interface = ?',
  );
  const setUse = db.prepare('INSERT OR REPLACE INTO service_uses VALUES (?, ?, ?, ?, ?)');
  const thinUses = db.prepare(
    `DELETE FROM service_uses WHERE day < (SELECT day FROM service_uses ORDER BY day DESC LIMIT 1 OFFSET ${mostRatings})`,
  );
  const insert = db.prepare(
    `INSERT INTO service_receipts (user, peer, app, owner, service, method, symbol, amount, time, receipt)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const thin = db.prepare('DELETE FROM service_receipts WHERE id <= ?');
  const receipts = db.prepare<[string, number], { peer: string; receipt: string }>(
    'SELECT peer, receipt FROM service_receipts WHERE user = ? ORDER BY id DESC LIMIT ?',
  );
  const debts = db.prepare<[string], { owner: string; peer: string; symbol: string; amount: string }>(
    'SELECT owner, peer, symbol, amount FROM service_debts WHERE user = ?',
  );
  const setDebt = db.prepare('INSERT OR REPLACE INTO service_debts VALUES (?, ?, ?, ?, ?)');
  const dropDebt = db.prepare(
    'DELETE FROM service_debts WHERE user = ? AND owner = ? AND peer = ? AND symbol = ?',
  );
  const owed = db.prepare<[string, string, string], { owed: string }>(
    'SELECT owed FROM service_credit WHERE owner = ? AND caller = ? AND symbol = ?',
  );
  const setOwed = db.prepare('INSERT OR REPLACE INTO service_credit VALUES (?, ?, ?, ?)');
  const pay = db.prepare('INSERT OR IGNORE INTO service_payments VALUES (?, ?, ?)');

  const addUntold = db.prepare('INSERT OR IGNORE INTO service_untold VALUES (?, ?, ?, ?)');
  const untold = db.prepare<[string, string, string], { tx: string }>(
    'SELECT tx FROM service_untold WHERE user = ? AND owner = ? AND peer = ?',
  );
  const dropUntold = db.prepare(
    'DELETE FROM service_untold WHERE user = ? AND owner = ? AND peer = ? AND tx = ?',
  );

  const debtOf = (user: UserId, owner: UserId, peer: string, symbol: string): bigint =>
    BigInt(
      debts.all(user).find((one) => one.owner === owner && one.peer === peer && one.symbol === symbol)
        ?.amount ?? 0,
    );
  const owedOf = (owner: UserId, caller: UserId, symbol: string): bigint =>
    BigInt(owed.get(owner, caller, symbol)?.owed ?? 0);

  return {
    rating: (peer: string, hash: string): Rating => rating.get(peer, hash) ?? unrated,
    rate(peer: string, hash: string, { success, ms, calls }: Rating, time: number): void {
      rate.run(peer, hash, success, ms, calls, time);
      if (calls % 100 === 1) thinRatings.run();
    },
    /** The word of a provider that this user has called it; null: none. */
    use(user: UserId, peer: string, hash: string): Use | null {
      const row = use.get(user, peer, hash);
      return row ? (JSON.parse(row.word) as Use) : null;
    },
    keepUse(user: UserId, peer: string, word: Use): void {
      setUse.run(user, peer, word.interface, word.day, JSON.stringify(word));
      thinUses.run();
    },
    /** Keeps a receipt; what it costs is owed from now on. */
    keep(user: UserId, peer: string, receipt: Receipt): void {
      const { fee, app, owner, service, method, time } = receipt;
      db.transaction(() => {
        const { lastInsertRowid } = insert.run(
          ...[user, peer, app, owner, service, method],
          ...[fee?.symbol ?? null, fee?.amount ?? null, time, JSON.stringify(receipt)],
        );
        thin.run(Number(lastInsertRowid) - mostReceipts);
        if (fee) {
          const amount = debtOf(user, owner, peer, fee.symbol) + BigInt(fee.amount);
          setDebt.run(user, owner, peer, fee.symbol, amount.toString());
        }
      })();
    },
    receipts: (user: UserId, limit: number): readonly { peer: string; receipt: Receipt }[] =>
      receipts
        .all(user, limit)
        .map((row) => ({ peer: row.peer, receipt: JSON.parse(row.receipt) as Receipt })),
    debts: (user: UserId): readonly Debt[] =>
      debts.all(user).map((row) => ({ ...row, amount: BigInt(row.amount) })),
    /** So much was sent, by a transaction of which the provider has to be told. */
    paid(user: UserId, { owner, peer, symbol, amount }: Debt, tx: string): void {
      db.transaction(() => {
        const left = debtOf(user, owner, peer, symbol) - amount;
        if (left > 0n) setDebt.run(user, owner, peer, symbol, left.toString());
        else dropDebt.run(user, owner, peer, symbol);
        addUntold.run(user, owner, peer, tx);
      })();
    },
    untold: (user: UserId, owner: UserId, peer: string): readonly string[] =>
      untold.all(user, owner, peer).map(({ tx }) => tx),
    told: (user: UserId, owner: UserId, peer: string, tx: string): void =>
      void dropUntold.run(user, owner, peer, tx),
    /** Of the provider: what a caller owes an owner. */
    owed: owedOf,
    charge(owner: UserId, caller: UserId, symbol: string, amount: bigint): void {
      setOwed.run(owner, caller, symbol, (owedOf(owner, caller, symbol) + amount).toString());
    },
    /** Counts a payment once. @returns what is owed after it; below zero: paid ahead */
    received(
      owner: UserId,
      caller: UserId,
      tx: string,
      symbol: string,
      amount: bigint,
      time: number,
    ): bigint {
      return db.transaction(() => {
        const before = owedOf(owner, caller, symbol);
        if (pay.run(owner, tx, time).changes === 0) return before;
        setOwed.run(owner, caller, symbol, (before - amount).toString());
        return before - amount;
      })();
    },
  };
}
export type ServiceRecords = ReturnType<typeof createServiceRecords>;
