import type { StateView } from '../../state/overlay.ts';
import { table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import { pattern } from '../../codec/shape.ts';
import type { BlockContext, SettleContext } from '../context.ts';
import { earnedOf, settleTokenPool, withReward } from '../staking-pools.ts';
import { balanceOf, move, pot } from '../value.ts';
import type { Holder } from '../value.ts';
import { lockedShares } from './maths.ts';
import { liquidityRewards, noRewards, poolIdOf, positionKey, positions } from './state.ts';
import type { PoolRow, Position } from './state.ts';

/*
 * A token's emission for liquidity goes to those who hold shares of one pool of it, which its owner names. Who was first with a
 * pool of a token that makes nothing for liquidity gets nothing, so there is no race to be first.
 */

const unit = 1n << 64n;

// eslint-disable-next-line no-control-regex
const keyShape = pattern(/^[A-Z0-9]+\0[A-Z0-9]+\0[\0-\xff]{2}$/u, 'the name of a pool');
/** The pool that a token's emission for liquidity goes to. */
export const favouredPools = table('E', 'favoured pools', keyShape);

/** The shares that somebody owns. */
const owned = (pool: PoolRow): Amount => pool.shares - lockedShares;

type Rewards = typeof noRewards;
interface Side {
  readonly symbol: TokenSymbol;
  readonly acc: 'accA' | 'accB';
  readonly rem: 'remA' | 'remB';
  readonly paid: 'paidA' | 'paidB';
  readonly fraction: 'fractionA' | 'fractionB';
}
function sidesOf(key: Key): readonly Side[] {
  const { a, b } = poolIdOf(key);
  return [
    { symbol: a, acc: 'accA', rem: 'remA', paid: 'paidA', fraction: 'fractionA' },
    { symbol: b, acc: 'accB', rem: 'remB', paid: 'paidB', fraction: 'fractionB' },
  ];
}

export const rewardsOf = (state: StateView, key: Key): Rewards =>
  state.get(liquidityRewards, key) ?? noRewards;

/**
 * Mints what is due for the liquidity of this pool and spreads it over its shares; before any change of them.
 */
export function settleLiquidity(ctx: SettleContext, key: Key, pool: PoolRow): Rewards {
  const before = rewardsOf(ctx.state, key);
  let rewards = before;
  for (const { symbol, acc, rem } of sidesOf(key)) {
    if (ctx.state.get(favouredPools, symbol) !== key) continue;
    settleTokenPool(ctx, symbol);
    const waiting = balanceOf(ctx.state, pot('mining/liquidity'), symbol);
    const after = withReward({ shares: owned(pool), acc: rewards[acc], rem: rewards[rem] }, waiting);
    if (!after || waiting === 0n) continue;
    move(ctx, pot('mining/liquidity'), pot('liquidity'), symbol, waiting);
    rewards = { ...rewards, [acc]: after.acc, [rem]: after.rem };
  }
  if (rewards !== before) ctx.state.set(liquidityRewards, key, rewards);
  return rewards;
}

/** What a position has earned and was not paid, in whole units of `a` and `b`. */
export function earnedByPosition(
  rewards: Rewards,
  position: Position,
): { readonly a: Amount; readonly b: Amount } {
  const of = (side: Side): Amount =>
    earnedOf(
      { acc: rewards[side.acc] },
      { shares: position.shares, paid: position[side.paid], fraction: position[side.fraction] },
    ) / unit;
  const [a, b] = sidesOf('A\0B\0\0\0') as [Side, Side];
  return { a: of(a), b: of(b) };
}

/**
 * Pays a holder what its position earned and changes its shares by `change` (less than zero: they go).
 * The pool's row is the caller's to write, with the shares changed likewise.
 */
export function changePosition(
  ctx: BlockContext,
  holder: Holder,
  key: Key,
  pool: PoolRow,
  change: bigint,
): void {
  let rewards = settleLiquidity(ctx, key, pool);
  const at = positionKey(holder, key);
  let position = ctx.state.get(positions, at) ?? {
    shares: 0n,
    paidA: rewards.accA,
    paidB: rewards.accB,
    fractionA: 0n,
    fractionB: 0n,
  };
  for (const { symbol, acc, paid, fraction } of sidesOf(key)) {
    const earned = earnedOf(
      { acc: rewards[acc] },
      { shares: position.shares, paid: position[paid], fraction: position[fraction] },
    );
    move(ctx, pot('liquidity'), holder, symbol, earned / unit);
    position = { ...position, [paid]: rewards[acc], [fraction]: earned % unit };
  }
  position = { ...position, shares: position.shares + change };
  if (position.shares > 0n) {
    ctx.state.set(positions, at, position);
    return;
  }
  // The fractions of who left go back to be spread.
  rewards = {
    ...rewards,
    remA: rewards.remA + position.fractionA,
    remB: rewards.remB + position.fractionB,
  };
  ctx.state.set(positions, at, null);
  ctx.state.set(liquidityRewards, key, rewards);
}

/** What the pot `liquidity` must hold of each token, in 2^-64 of a unit. */
export function owedToLiquidity(state: StateView): Map<TokenSymbol, bigint> {
  const owed = new Map<TokenSymbol, bigint>();
  const add = (symbol: TokenSymbol, value: bigint): void => {
    if (value > 0n) owed.set(symbol, (owed.get(symbol) ?? 0n) + value);
  };
  for (const [key, row] of state.rows(liquidityRewards)) {
    const { a, b } = poolIdOf(key);
    add(a, row.remA);
    add(b, row.remB);
  }
  for (const [at, position] of state.rows(positions)) {
    const key = poolOfPosition(at);
    const rewards = rewardsOf(state, key);
    for (const { symbol, acc, paid, fraction } of sidesOf(key)) {
      add(symbol, position.shares * (rewards[acc] - position[paid]) + position[fraction]);
    }
  }
  return owed;
}

/** The pool in the key of a position: what follows its holder. */
export function poolOfPosition(at: Key): Key {
  return at.startsWith('\0') ? at.slice(33) : at.slice(at.indexOf('\0', 1) + 1);
}
