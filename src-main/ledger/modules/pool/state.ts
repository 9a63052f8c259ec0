import { AppError } from '../../../../src-shared/errors.ts';
import { maxTime } from '../../codec/index.ts';
import { amount, positiveAmount, record, unsigned, whole } from '../../codec/shape.ts';
import type { Shape, ValueOf } from '../../codec/shape.ts';
import { day } from '../../codec/token-spec.ts';
import type { StateView } from '../../state/overlay.ts';
import { table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import type { BlockContext } from '../context.ts';
import type { Holder } from '../value.ts';

/*
 * Pools of two tokens. All reserves lie in one pot, `pools`; each pool's row says which part of it is its own. The two tokens
 * stand in the order of their symbols: `a` is the smaller.
 */

/** Ten-thousandths of what a trade brings in. */
export const feeShape: Shape<number> = whole(1000, 1);

const poolShape = record({
  reserveA: positiveAmount,
  reserveB: positiveAmount,
  /** Those nobody owns included. */
  shares: positiveAmount,
  /**
   * Price times ms since the beginning, with 112 binary places: of `a` in `b`, and of `b` in `a`. As in Uniswap v2, the price
   * counts that a block left behind, for as long as it stood.
   */
  sumA: unsigned(40),
  sumB: unsigned(40),
  /** Until when the sums are made, ms. */
  at: whole(maxTime),
  /** What was traded in the day that began at `dayFrom`, and in the one before it; each trade counts once in each token. */
  dayFrom: whole(maxTime),
  tradedA: unsigned(32),
  tradedB: unsigned(32),
  beforeA: unsigned(32),
  beforeB: unsigned(32),
});
export type PoolRow = ValueOf<typeof poolShape>;
export const tradingPools = table('A', 'pools', poolShape);

/** What names a pool. */
export interface PoolId {
  readonly a: TokenSymbol;
  readonly b: TokenSymbol;
  readonly feeBp: number;
}

const byteText = (value: number): string => String.fromCharCode(value >> 8, value & 255);
/** Of both orders of the tokens the same. */
export function poolKeyOf(x: TokenSymbol, y: TokenSymbol, feeBp: number): Key {
  return `${x < y ? `${x}\0${y}` : `${y}\0${x}`}\0${byteText(feeBp)}`;
}
export const pairPrefix = (x: TokenSymbol, y: TokenSymbol): Key => (x < y ? `${x}\0${y}\0` : `${y}\0${x}\0`);

export function poolIdOf(key: Key): PoolId {
  const [a, b] = key.split('\0', 2) as [TokenSymbol, TokenSymbol];
  const fee = key.slice(a.length + b.length + 2);
  return { a, b, feeBp: fee.charCodeAt(0) * 256 + fee.charCodeAt(1) };
}

/** @throws AppError `pool_unknown` */
export function poolAt(state: StateView, key: Key): PoolRow {
  const found = state.get(tradingPools, key);
  if (found) return found;
  const { a, b, feeBp } = poolIdOf(key);
  throw new AppError('pool_unknown', `There is no pool of ${a} and ${b} with a fee of ${feeBp} bp.`);
}

/**
 * The price's past: two earlier sums. The older is at least a window old once the pool is that old, so an average over it
 * can't be made by the price of a few blocks.
 */
const mark = { at: whole(maxTime), sumA: unsigned(40), sumB: unsigned(40) };
const marksShape = record({ older: record(mark), newer: record(mark) });
export const priceMarks = table('B', 'price marks', marksShape);
/** An average price covers one to two of these, ms; more where nobody traded. */
const priceWindow = 600_000;

/** Binary places of a price. */
export const priceBits = 112n;

/** Sums as they are at `time`, with the price of the reserves since they were made. */
function sumsAt(pool: PoolRow, time: number): Pick<PoolRow, 'sumA' | 'sumB' | 'at'> {
  const passed = BigInt(time - pool.at);
  return {
    sumA: pool.sumA + ((pool.reserveB << priceBits) / pool.reserveA) * passed,
    sumB: pool.sumB + ((pool.reserveA << priceBits) / pool.reserveB) * passed,
    at: time,
  };
}

/**
 * The average price over the window: of `a` in `b` and of `b` in `a`, with 112 binary places. Null: the pool is younger than
 * a window.
 */
export function averagePrices(
  state: StateView,
  key: Key,
  pool: PoolRow,
  time: number,
): { readonly a: bigint; readonly b: bigint } | null {
  const marks = state.get(priceMarks, key);
  if (!marks) return null;
  const { older } = marks;
  const span = time - older.at;
  if (span < priceWindow) return null;
  const now = sumsAt(pool, time);
  return { a: (now.sumA - older.sumA) / BigInt(span), b: (now.sumB - older.sumB) / BigInt(span) };
}

/** The pool as it stands at `time`: sums made, days moved on. */
export function advanced(pool: PoolRow, time: number): PoolRow {
  if (time === pool.at) return pool;
  const after: PoolRow = { ...pool, ...sumsAt(pool, time) };
  const days = Math.floor((time - pool.dayFrom) / day);
  if (days <= 0) return after;
  return {
    ...after,
    dayFrom: pool.dayFrom + days * day,
    tradedA: 0n,
    tradedB: 0n,
    beforeA: days === 1 ? pool.tradedA : 0n,
    beforeB: days === 1 ? pool.tradedB : 0n,
  };
}

/** Writes a pool that was advanced to the block's time. */
export function putPool(ctx: BlockContext, key: Key, pool: PoolRow): void {
  const marks = ctx.state.get(priceMarks, key);
  if (marks && ctx.time - marks.newer.at >= priceWindow) {
    const { sumA, sumB, at } = pool;
    ctx.state.set(priceMarks, key, { older: marks.newer, newer: { at, sumA, sumB } });
  }
  ctx.state.set(tradingPools, key, pool);
}

/** What was traded in the last 24 hours, in both tokens: today's, and of yesterday's the part that is not yet a day ago. */
export function tradedInDay(pool: PoolRow, time: number): { readonly a: Amount; readonly b: Amount } {
  const passed = time - pool.dayFrom;
  if (passed >= 2 * day) return { a: 0n, b: 0n };
  const [today, before] =
    passed < day
      ? [
          { a: pool.tradedA, b: pool.tradedB },
          { a: pool.beforeA, b: pool.beforeB },
        ]
      : [
          { a: 0n, b: 0n },
          { a: pool.tradedA, b: pool.tradedB },
        ];
  const left = BigInt(day - (passed % day));
  return {
    a: today.a + (before.a * left) / BigInt(day),
    b: today.b + (before.b * left) / BigInt(day),
  };
}

/** A part in a pool, with what it was paid of the emission for liquidity. */
const positionShape = record({
  shares: amount,
  paidA: unsigned(32),
  paidB: unsigned(32),
  fractionA: unsigned(8),
  fractionB: unsigned(8),
});
export type Position = ValueOf<typeof positionShape>;
/** By holder, then pool. */
export const positions = table('C', 'positions', positionShape);
export const positionKey = (holder: Holder, pool: Key): Key => holder + pool;

/** Emission of either token to those who hold shares, by share and in 2^-64 of a unit; see staking-pools.ts. */
export const liquidityRewards = table(
  'D',
  'rewards of liquidity',
  record({ accA: unsigned(32), remA: unsigned(32), accB: unsigned(32), remB: unsigned(32) }),
);
export const noRewards = { accA: 0n, remA: 0n, accB: 0n, remB: 0n };
