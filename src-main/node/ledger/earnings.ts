import { formatAmount } from '../../../src-shared/amount.ts';
import { baseSymbol, fundView, ownPools, tokenOf } from '../../ledger/index.ts';
import type { Address, LedgerView, PoolView } from '../../ledger/index.ts';
import { migrate } from '../../store/index.ts';
import type { Database } from '../../store/index.ts';

/*
 * What an account earned when, by hour: the ledger remembers sums only. A pool's fees make every share worth more, so they are what the
 * account's shares are worth more than at the last look, counted in one token of the pair; relays are paid by funds, whose sums grow.
 */

/** A pool's part of what was seen after a block. */
export interface PoolSeen {
  /** Product of the reserves, all shares, and those of the account. */
  readonly k: bigint;
  readonly all: bigint;
  readonly shares: bigint;
  /** Of the token it is counted in. */
  readonly reserve: bigint;
}

/** Where the sum of an hour began, and what was seen last. */
export interface PoolMark {
  readonly hour: number;
  /** Earned in the hour before `from`. */
  readonly base: bigint;
  readonly from: PoolSeen;
  readonly last: PoolSeen;
}

const bits = 64n;
function rootOf(value: bigint): bigint {
  if (value < 2n) return value;
  let guess = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

/** Fees between two looks, of the shares that were there at both, in units of one token; both sides of the pool together. Down. */
export function feesBetween(before: PoolSeen, after: PoolSeen): bigint {
  const shares = before.shares < after.shares ? before.shares : after.shares;
  if (shares === 0n || before.k === 0n || after.k === 0n) return 0n;
  // What a share was worth, as a part of what it is worth now: the roots of the products, which prices alone do not move.
  const ratio = rootOf(
    ((before.k * after.all * after.all) << (2n * bits)) / (after.k * before.all * before.all),
  );
  const grown = (1n << bits) - ratio;
  if (grown <= 0n) return 0n;
  return ((2n * shares * after.reserve * grown) / after.all) >> bits;
}

/** What is earned in the hour of a new look, and what to remember. */
function poolEarned(
  mark: PoolMark | null,
  hour: number,
  now: PoolSeen,
): { readonly mark: PoolMark; readonly amount: bigint } {
  if (!mark) return { mark: { hour, base: 0n, from: now, last: now }, amount: 0n };
  if (mark.hour === hour && mark.from.shares === now.shares) {
    return { mark: { ...mark, last: now }, amount: mark.base + feesBetween(mark.from, now) };
  }
  const since = feesBetween(mark.last, now);
  // Shares came or went: what was earned until then stands.
  const base = mark.hour === hour ? mark.base + feesBetween(mark.from, mark.last) + since : since;
  return { mark: { hour, base, from: now, last: now }, amount: base };
}

/** What an account earned in one way, by hour. */
export interface EarnedSeries {
  readonly of: 'fees' | 'liquidity' | 'relays';
  readonly pool: { readonly a: string; readonly b: string; readonly fee: number } | null;
  readonly symbol: string;
  /** Beginnings of hours, ms, and amounts; the oldest first. */
  readonly hours: readonly { readonly time: number; readonly pay: string }[];
}

/** What is looked at after a block. */
export interface Seen {
  readonly time: number;
  readonly base: string;
  readonly decimals: ReadonlyMap<string, number>;
  /** Paid by each fund for relays, by its number. */
  readonly relays: ReadonlyMap<string, bigint>;
  readonly pools: readonly PoolView[];
}

/** Looks at what an account has; does nothing else. @param funds that it was paid by */
export function seenOf(view: LedgerView, address: Address, funds: readonly number[]): Seen {
  const base = baseSymbol(view.state);
  const pools = ownPools(view, address).slice(0, maxPools);
  const symbols = new Set([base, ...pools.flatMap(({ a, b }) => [a, b])]);
  return {
    ...{ time: view.time, base, pools },
    decimals: new Map([...symbols].map((one) => [one, tokenOf(view.state, one).spec.decimals])),
    relays: new Map(
      funds.map((number) => [String(number), fundView(view.state, number, address)?.paid ?? 0n]),
    ),
  };
}

export interface Earnings {
  /** Notes what an account has after a block. */
  note(chainId: string, user: string, seen: Seen): void;
  list(chainId: string, user: string): readonly EarnedSeries[];
  forget(chainId: string): void;
}

const migrations = [
  `CREATE TABLE earned (chain TEXT NOT NULL, user TEXT NOT NULL, source TEXT NOT NULL, symbol TEXT NOT NULL, hour INTEGER NOT NULL,
    units TEXT NOT NULL, amount TEXT NOT NULL, PRIMARY KEY (chain, user, source, symbol, hour)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE earned_marks (chain TEXT NOT NULL, user TEXT NOT NULL, source TEXT NOT NULL, mark TEXT NOT NULL,
    PRIMARY KEY (chain, user, source)) STRICT, WITHOUT ROWID`,
];
const hourMs = 3_600_000;
/** A month of hours is kept, of so many pools at the most. */
const keptHours = 24 * 31;
const maxPools = 64;

const withBigints = (_: string, value: unknown): unknown =>
  typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one));

export function createEarnings(db: Database): Earnings {
  migrate(db, 'earnings', migrations);
  const getMark = db.prepare<[string, string, string], { mark: string }>(
    'SELECT mark FROM earned_marks WHERE chain = ? AND user = ? AND source = ?',
  );
  const putMark = db.prepare(
    'INSERT OR REPLACE INTO earned_marks (chain, user, source, mark) VALUES (?, ?, ?, ?)',
  );
  const getUnits = db.prepare<[string, string, string, string, number], { units: string }>(
    'SELECT units FROM earned WHERE chain = ? AND user = ? AND source = ? AND symbol = ? AND hour = ?',
  );
  const put = db.prepare(
    'INSERT OR REPLACE INTO earned (chain, user, source, symbol, hour, units, amount) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const drop = db.prepare('DELETE FROM earned WHERE chain = ? AND hour < ?');
  const all = db.prepare<[string, string], { source: string; symbol: string; hour: number; amount: string }>(
    'SELECT source, symbol, hour, amount FROM earned WHERE chain = ? AND user = ? ORDER BY source, symbol, hour',
  );
  const forgetRows = db.prepare('DELETE FROM earned WHERE chain = ?');
  const forgetMarks = db.prepare('DELETE FROM earned_marks WHERE chain = ?');
  const droppedAt = new Map<string, number>();

  function note(chainId: string, user: string, { time, base, decimals, relays, pools }: Seen): void {
    const hour = Math.floor(time / hourMs);
    const markOf = <T>(source: string): T | null => {
      const row = getMark.get(chainId, user, source);
      return row ? (JSON.parse(row.mark, withBigints) as T) : null;
    };
    const remember = (source: string, before: unknown, mark: unknown): void => {
      const text = textOf(mark);
      if (before === null || textOf(before) !== text) putMark.run(chainId, user, source, text);
    };
    const write = (source: string, symbol: string, units: bigint): void => {
      if (units === 0n) return;
      const amount = formatAmount(units, decimals.get(symbol) ?? 0);
      put.run(chainId, user, source, symbol, hour, units.toString(), amount);
    };
    const add = (source: string, symbol: string, more: bigint): void => {
      if (more === 0n) return;
      const before = getUnits.get(chainId, user, source, symbol, hour)?.units ?? '0';
      write(source, symbol, BigInt(before) + more);
    };

    const before = markOf<Record<string, bigint>>('relays');
    let sum = 0n;
    for (const [number, total] of relays) sum += total - (before?.[number] ?? 0n);
    if (before) add('relays', base, sum);
    const funds = Object.fromEntries([...relays].filter(([, total]) => total > 0n));
    // An account that relays nothing has nothing to remember but that it was looked at.
    remember('relays', before, funds);

    for (const one of pools) notePool(one);

    function notePool({ a, b, feeBp, row, position }: PoolView): void {
      const name = `${a} ${b} ${feeBp}`;
      const counted = b === base ? b : a;
      const now: PoolSeen = {
        k: row.reserveA * row.reserveB,
        all: row.shares,
        shares: position!.shares,
        reserve: counted === a ? row.reserveA : row.reserveB,
      };
      const mark = markOf<PoolMark>(`fees ${name}`);
      const found = poolEarned(mark, hour, now);
      write(`fees ${name}`, counted, found.amount);
      remember(`fees ${name}`, mark, found.mark);

      const emission = markOf<{ readonly a: bigint; readonly b: bigint }>(`liquidity ${name}`);
      const { earnedA, earnedB } = position!;
      if (emission) {
        // Less than before: it was paid out meanwhile, and what is there came since.
        add(`liquidity ${name}`, a, earnedA >= emission.a ? earnedA - emission.a : earnedA);
        add(`liquidity ${name}`, b, earnedB >= emission.b ? earnedB - emission.b : earnedB);
      }
      remember(`liquidity ${name}`, emission, { a: earnedA, b: earnedB });
    }

    if (droppedAt.get(chainId) === hour) return;
    droppedAt.set(chainId, hour);
    drop.run(chainId, hour - keptHours);
  }

  return {
    note: (...what) => db.transaction(() => note(...what))(),
    list(chainId, user) {
      const series = new Map<string, EarnedSeries & { hours: { time: number; pay: string }[] }>();
      for (const { source, symbol, hour, amount } of all.all(chainId, user)) {
        const [of, a, b, fee] = source.split(' ');
        const key = `${source} ${symbol}`;
        const one = series.get(key) ?? {
          of: of as EarnedSeries['of'],
          pool: a === undefined || b === undefined ? null : { a, b, fee: Number(fee) },
          ...{ symbol, hours: [] },
        };
        one.hours.push({ time: hour * hourMs, pay: amount });
        series.set(key, one);
      }
      return [...series.values()];
    },
    forget(chainId) {
      forgetRows.run(chainId);
      forgetMarks.run(chainId);
    },
  };
}
