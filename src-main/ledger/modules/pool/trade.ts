import { AppError } from '../../../../src-shared/errors.ts';
import type { StateView } from '../../state/overlay.ts';
import type { Key } from '../../state/table.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import type { BlockContext } from '../context.ts';
import { move, pot } from '../value.ts';
import type { Holder } from '../value.ts';
import { inFor, matching, outFor, partOf, sharesOfDeposit } from './maths.ts';
import { changePosition } from './rewards.ts';
import { advanced, poolAt, poolIdOf, poolKeyOf, positionKey, positions, putPool } from './state.ts';
import type { PoolRow } from './state.ts';

/*
 * What can be done with a pool, for all modules: trading along a path, adding and removing liquidity. Value comes from a holder
 * and goes to one; between the pools of a path nothing moves, as all reserves lie in one pot.
 */

/** One step of a path: into which token, through the pool with which fee. */
export interface Hop {
  readonly to: TokenSymbol;
  readonly feeBp: number;
}

/** What pools are asked as of. */
export interface Reading {
  readonly state: StateView;
  readonly time: number;
}

/** The pools of a path, each at most once. @throws AppError `path_repeats`, `invalid_argument`, `pool_unknown` */
function poolsOfPath(
  ctx: Reading,
  from: TokenSymbol,
  hops: readonly Hop[],
): readonly {
  readonly key: Key;
  readonly pool: PoolRow;
  readonly into: TokenSymbol;
  readonly fee: number;
}[] {
  const seen = new Set<Key>();
  let token = from;
  return hops.map(({ to, feeBp }) => {
    if (to === token) throw new AppError('invalid_argument', `A path can't go from ${to} to ${to}.`);
    const key = poolKeyOf(token, to, feeBp);
    if (seen.has(key)) throw new AppError('path_repeats', 'The path goes through one pool twice.');
    seen.add(key);
    token = to;
    return { key, pool: advanced(poolAt(ctx.state, key), ctx.time), into: to, fee: feeBp };
  });
}

/** Changes one pool's reserves by a trade. */
function put(
  ctx: BlockContext,
  key: Key,
  pool: PoolRow,
  into: TokenSymbol,
  taken: Amount,
  given: Amount,
): void {
  const outIsA = poolIdOf(key).a === into;
  const [a, b] = outIsA ? [given, taken] : [taken, given];
  const reserveA = outIsA ? pool.reserveA - given : pool.reserveA + taken;
  const reserveB = outIsA ? pool.reserveB + taken : pool.reserveB - given;
  const tradedA = pool.tradedA + a;
  const tradedB = pool.tradedB + b;
  putPool(ctx, key, { ...pool, reserveA, reserveB, tradedA, tradedB });
}

const sides = (
  key: Key,
  pool: PoolRow,
  into: TokenSymbol,
): readonly [reserveIn: Amount, reserveOut: Amount] =>
  poolIdOf(key).a === into ? [pool.reserveB, pool.reserveA] : [pool.reserveA, pool.reserveB];

const dust = (): AppError =>
  new AppError('amount_too_small', 'The amount is so small that nothing would come out.');

/** What comes out of each pool of a path for `amount` at its beginning; nothing changes. @throws AppError as `tradeIn` */
export function amountsOf(
  ctx: Reading,
  from: TokenSymbol,
  hops: readonly Hop[],
  amount: Amount,
): { readonly pools: ReturnType<typeof poolsOfPath>; readonly amounts: readonly Amount[] } {
  const pools = poolsOfPath(ctx, from, hops);
  const amounts: Amount[] = [amount];
  for (const { key, pool, into, fee } of pools) {
    const [reserveIn, reserveOut] = sides(key, pool, into);
    const out = outFor(amounts.at(-1) as Amount, reserveIn, reserveOut, fee);
    if (out === 0n) throw dust();
    amounts.push(out);
  }
  return { pools, amounts };
}

/**
 * Trades exactly `amount` along a path; what comes out goes to `to`.
 * @returns what came out
 * @throws AppError `pool_unknown`, `path_repeats`, `amount_too_small`, `slippage_exceeded`, and as `move`
 */
export function tradeIn(
  ctx: BlockContext,
  holder: Holder,
  to: Holder,
  trade: {
    readonly from: TokenSymbol;
    readonly amount: Amount;
    readonly hops: readonly Hop[];
    readonly minOut: Amount;
  },
): Amount {
  const { pools, amounts } = amountsOf(ctx, trade.from, trade.hops, trade.amount);
  const amount = amounts.at(-1) as Amount;
  if (amount < trade.minOut) {
    throw new AppError('slippage_exceeded', 'The trade would bring less than the least that was asked for.', {
      details: { out: amount.toString(), minOut: trade.minOut.toString() },
    });
  }
  for (const [i, { key, pool, into }] of pools.entries()) {
    put(ctx, key, pool, into, amounts[i] as Amount, amounts[i + 1] as Amount);
  }
  move(ctx, holder, pot('pools'), trade.from, trade.amount);
  move(ctx, pot('pools'), to, (trade.hops.at(-1) as Hop).to, amount);
  return amount;
}

/** What must come in at each pool of a path for `out` at its end; nothing changes. @throws AppError as `inFor`, `poolsOfPath` */
export function amountsFor(
  ctx: Reading,
  from: TokenSymbol,
  hops: readonly Hop[],
  out: Amount,
): { readonly pools: ReturnType<typeof poolsOfPath>; readonly amounts: readonly Amount[] } {
  const pools = poolsOfPath(ctx, from, hops);
  const amounts: Amount[] = [out];
  for (const { key, pool, into, fee } of pools.toReversed()) {
    const [reserveIn, reserveOut] = sides(key, pool, into);
    amounts.unshift(inFor(amounts[0] as Amount, reserveIn, reserveOut, fee));
  }
  return { pools, amounts };
}

/**
 * Trades along a path for exactly `out`.
 * @returns what went in
 * @throws AppError `pool_unknown`, `path_repeats`, `reserve_exceeded`, `too_large`, `slippage_exceeded`, and as `move`
 */
export function tradeOut(
  ctx: BlockContext,
  holder: Holder,
  to: Holder,
  trade: {
    readonly from: TokenSymbol;
    readonly out: Amount;
    readonly hops: readonly Hop[];
    readonly maxIn: Amount;
  },
): Amount {
  const { pools, amounts } = amountsFor(ctx, trade.from, trade.hops, trade.out);
  const needed = amounts[0] as Amount;
  if (needed > trade.maxIn) {
    throw new AppError('slippage_exceeded', 'The trade would take more than the most that was allowed.', {
      details: { in: needed.toString(), maxIn: trade.maxIn.toString() },
    });
  }
  for (const [i, { key, pool, into }] of pools.entries()) {
    put(ctx, key, pool, into, amounts[i] as Amount, amounts[i + 1] as Amount);
  }
  move(ctx, holder, pot('pools'), trade.from, needed);
  move(ctx, pot('pools'), to, (trade.hops.at(-1) as Hop).to, trade.out);
  return needed;
}

/** What went into a pool or came out of it. */
export interface Liquidity {
  readonly a: Amount;
  readonly b: Amount;
  readonly shares: Amount;
}

/**
 * Adds as much as the price allows of at most these amounts.
 * @throws AppError `pool_unknown`, `amount_too_small`, `too_large`, and as `move`
 */
export function addLiquidity(
  ctx: BlockContext,
  holder: Holder,
  key: Key,
  maxA: Amount,
  maxB: Amount,
): Liquidity {
  const pool = advanced(poolAt(ctx.state, key), ctx.time);
  const forA = matching(maxA, pool.reserveA, pool.reserveB);
  const [a, b] = forA <= maxB ? [maxA, forA] : [matching(maxB, pool.reserveB, pool.reserveA), maxB];
  const shares = sharesOfDeposit(a, b, pool);
  if (a === 0n || b === 0n || shares === 0n) {
    throw new AppError('amount_too_small', 'The amounts are so small that they would bring no share.');
  }
  const id = poolIdOf(key);
  move(ctx, holder, pot('pools'), id.a, a);
  move(ctx, holder, pot('pools'), id.b, b);
  changePosition(ctx, holder, key, pool, shares);
  putPool(ctx, key, {
    ...pool,
    reserveA: pool.reserveA + a,
    reserveB: pool.reserveB + b,
    shares: pool.shares + shares,
  });
  return { a, b, shares };
}

/**
 * Takes shares out of a pool for their part of both reserves, rounded down.
 * @throws AppError `pool_unknown`, `shares_exceeded`, `amount_too_small`
 */
export function removeLiquidity(ctx: BlockContext, holder: Holder, key: Key, shares: Amount): Liquidity {
  const pool = advanced(poolAt(ctx.state, key), ctx.time);
  const own = ctx.state.get(positions, positionKey(holder, key))?.shares ?? 0n;
  if (shares > own) {
    throw new AppError('shares_exceeded', 'That is more shares than there are.', {
      details: { wanted: shares.toString(), owned: own.toString() },
    });
  }
  const a = partOf(shares, pool.reserveA, pool.shares);
  const b = partOf(shares, pool.reserveB, pool.shares);
  if (a === 0n || b === 0n) {
    throw new AppError('amount_too_small', 'So few shares are worth nothing in one of the tokens.');
  }
  const id = poolIdOf(key);
  changePosition(ctx, holder, key, pool, -shares);
  putPool(ctx, key, {
    ...pool,
    reserveA: pool.reserveA - a,
    reserveB: pool.reserveB - b,
    shares: pool.shares - shares,
  });
  move(ctx, pot('pools'), holder, id.a, a);
  move(ctx, pot('pools'), holder, id.b, b);
  return { a, b, shares };
}
