import type { EntryId } from '../../history/index.ts';
import type { DeviceId } from '../../identity/index.ts';
import { migrate } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';

/** What is paid for copies of a drive. Amounts are units of the network's base coin. */
export interface PayTerms {
  readonly drive: EntryId;
  /** For a GiB, copy and period. */
  readonly price: bigint;
  /** What a host puts down for each contract. */
  readonly collateral: bigint;
  /** So long a contract runs, in periods. */
  readonly periods: number;
  /** What contracts and fuel may come to in all, and what they came to less what came back. */
  readonly budget: bigint;
  readonly spent: bigint;
}

/** A contract of a drive with one of its hosts. */
export interface PaidRow {
  readonly drive: EntryId;
  readonly host: DeviceId;
  /** Account that is paid. */
  readonly account: string;
  readonly root: Uint8Array;
  /** Of its blocks, in their order, one after another. */
  readonly ids: Uint8Array;
  /** First period that is not paid any more, and the one in which it was opened. */
  readonly until: number;
  readonly opened: number;
  /** Put into escrow; paid to the host so far. */
  readonly escrow: bigint;
  readonly paid: bigint;
  /** Its number is this or a later one; the height at which it was sent. */
  readonly from: number;
  readonly height: number;
  /** Its number; null: not found in a block yet. */
  readonly contract: number | null;
}

export interface PaidRecords {
  /** Drives with terms, or with contracts that are not over. */
  drives(chain: string): readonly EntryId[];
  termsOf(chain: string, drive: EntryId): PayTerms | null;
  /** null ends it: contracts that run go on to their end. */
  setTerms(chain: string, drive: EntryId, terms: Omit<PayTerms, 'drive' | 'spent'> | null): void;
  /** Adds to what was spent; negative: it came back. */
  spend(chain: string, drive: EntryId, amount: bigint): void;
  rows(chain: string, drive: EntryId): readonly PaidRow[];
  add(chain: string, row: PaidRow): void;
  setContract(chain: string, row: PaidRow, contract: number): void;
  setPaid(chain: string, row: PaidRow, paid: bigint): void;
  remove(chain: string, row: PaidRow): void;
}

const migrations = [
  `CREATE TABLE paid_terms (
     chain TEXT NOT NULL,
     drive TEXT NOT NULL,
     price TEXT NOT NULL,
     collateral TEXT NOT NULL,
     periods INTEGER NOT NULL,
     budget TEXT NOT NULL,
     spent TEXT NOT NULL DEFAULT '0',
     PRIMARY KEY (chain, drive)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE paid_contracts (
     chain TEXT NOT NULL,
     drive TEXT NOT NULL,
     host TEXT NOT NULL,
     account TEXT NOT NULL,
     root BLOB NOT NULL,
     ids BLOB NOT NULL,
     until INTEGER NOT NULL,
     opened INTEGER NOT NULL,
     escrow TEXT NOT NULL,
     paid TEXT NOT NULL,
     first INTEGER NOT NULL,
     height INTEGER NOT NULL,
     contract INTEGER,
     PRIMARY KEY (chain, drive, host, root, until)
   ) STRICT;`,
];

/** The terms a person set for his drives, and the contracts that came of them, in the node's database. */
export function createPaidRecords(db: Database): PaidRecords {
  migrate(db, 'paid hosting', migrations);
  interface TermsDbRow {
    drive: string;
    price: string;
    collateral: string;
    periods: number;
    budget: string;
    spent: string;
  }
  const drives = db
    .prepare<[string, string], EntryId>(
      'SELECT drive FROM paid_terms WHERE chain = ? UNION SELECT drive FROM paid_contracts WHERE chain = ?',
    )
    .pluck();
  const oneTerms = db.prepare<[string, string], TermsDbRow>(
    'SELECT * FROM paid_terms WHERE chain = ? AND drive = ?',
  );
  const putTerms = db.prepare(
    `INSERT INTO paid_terms (chain, drive, price, collateral, periods, budget) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET price = excluded.price, collateral = excluded.collateral, periods = excluded.periods, budget = excluded.budget`,
  );
  const removeTerms = db.prepare('DELETE FROM paid_terms WHERE chain = ? AND drive = ?');
  const setSpent = db.prepare('UPDATE paid_terms SET spent = ? WHERE chain = ? AND drive = ?');
  interface RowDbRow {
    drive: string;
    host: string;
    account: string;
    root: Buffer;
    ids: Buffer;
    until: number;
    opened: number;
    escrow: string;
    paid: string;
    first: number;
    height: number;
    contract: number | null;
  }
  const rows = db.prepare<[string, string], RowDbRow>(
    'SELECT * FROM paid_contracts WHERE chain = ? AND drive = ? ORDER BY opened, host',
  );
  const add = db.prepare(
    `INSERT INTO paid_contracts (chain, drive, host, account, root, ids, until, opened, escrow, paid, first, height, contract)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const at = 'WHERE chain = ? AND drive = ? AND host = ? AND root = ? AND until = ?';
  const setContract = db.prepare(`UPDATE paid_contracts SET contract = ? ${at}`);
  const setPaid = db.prepare(`UPDATE paid_contracts SET paid = ? ${at}`);
  const remove = db.prepare(`DELETE FROM paid_contracts ${at}`);
  const key = (chain: string, { drive, host, root, until }: PaidRow) =>
    [chain, drive, host, root, until] as const;
  const termsFrom = (row: TermsDbRow): PayTerms => ({
    drive: row.drive,
    price: BigInt(row.price),
    collateral: BigInt(row.collateral),
    periods: row.periods,
    budget: BigInt(row.budget),
    spent: BigInt(row.spent),
  });

  return {
    drives: (chain) => drives.all(chain, chain),
    termsOf(chain, drive) {
      const row = oneTerms.get(chain, drive);
      return row ? termsFrom(row) : null;
    },
    setTerms(chain, drive, terms) {
      if (terms === null) return void removeTerms.run(chain, drive);
      const { price, collateral, periods, budget } = terms;
      putTerms.run(chain, drive, price.toString(), collateral.toString(), periods, budget.toString());
    },
    spend(chain, drive, amount) {
      const row = oneTerms.get(chain, drive);
      if (row) setSpent.run((BigInt(row.spent) + amount).toString(), chain, drive);
    },
    rows: (chain, drive) =>
      rows.all(chain, drive).map(({ first, ...row }) => ({
        ...row,
        root: new Uint8Array(row.root),
        ids: new Uint8Array(row.ids),
        escrow: BigInt(row.escrow),
        paid: BigInt(row.paid),
        from: first,
      })),
    add(chain, row) {
      add.run(
        ...[chain, row.drive, row.host, row.account, row.root, row.ids, row.until, row.opened],
        ...[row.escrow.toString(), row.paid.toString(), row.from, row.height, row.contract],
      );
    },
    setContract: (chain, row, contract) => void setContract.run(contract, ...key(chain, row)),
    setPaid: (chain, row, paid) => void setPaid.run(paid.toString(), ...key(chain, row)),
    remove: (chain, row) => void remove.run(...key(chain, row)),
  };
}
