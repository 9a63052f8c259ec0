import { AppError } from '../../../src-shared/errors.ts';
import { maxAmount } from '../codec/index.ts';
import { amount, record, unsigned, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { allParts, day } from '../codec/token-spec.ts';
import type { StateView } from '../state/overlay.ts';
import { bytesKey, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, Amount, TokenSymbol } from '../types.ts';
import type { BlockContext, SettleContext } from './context.ts';
import { settleMining } from './mining.ts';
import { account, move, pot, roomOf, tokenOf } from './value.ts';

/*
 * Stake lies in pools: one for each validator (base coin), one for each other token. A pool has shares, so slashing lowers
 * what every share is worth at once; what leaves lies in a second set of shares of the same pool and is slashed alike. Rewards
 * never enter the pool's tokens, so a share is never worth more than one unit and no share can be made dear by a gift.
 *
 * Rewards: `acc` is the reward of one share since the beginning, times 2^64. `acc += (reward * 2^64 + rem) / shares`, the
 * remainder of the division is carried; a staker's fraction of a unit is kept with the stake, and goes back into the remainder
 * when the last share goes. So nothing of a reward is ever lost (the F1 scheme, Ojha and others 2019, in whole numbers).
 */

const unit = 1n << 64n;
const year = BigInt(365 * day);

const poolShape = record({
  tokens: amount,
  shares: amount,
  acc: unsigned(32),
  /** Not yet spread, in 2^-64 of a unit. */
  rem: unsigned(32),
  leavingTokens: amount,
  leavingShares: amount,
  /** Until when the yearly rate is settled, ms, and what its division left over. */
  rateAt: whole(),
  rateRem: unsigned(32),
});
export type Pool = ValueOf<typeof poolShape>;
export const pools = table('p', 'stake pools', poolShape);

const stakeShape = record({
  shares: amount,
  /** `acc` of the pool when this stake was last paid. */
  paid: unsigned(32),
  /** Earned fraction of a unit, in 2^-64. */
  fraction: unsigned(8),
});
export type Stake = ValueOf<typeof stakeShape>;
export const stakes = table('k', 'stakes', stakeShape);

const noValidator = '\0'.repeat(32);
/** Whose pool: a validator's operator, or null for tokens other than the base coin. */
export type PoolOf = Address | null;
export const poolKey = (symbol: TokenSymbol, of: PoolOf): Key =>
  `${symbol}\0${of === null ? noValidator : bytesKey(of)}`;
export const stakeKey = (address: Address, symbol: TokenSymbol, of: PoolOf): Key =>
  bytesKey(address) + poolKey(symbol, of);

export const emptyPool = (time: number): Pool => ({
  tokens: 0n,
  shares: 0n,
  acc: 0n,
  rem: 0n,
  leavingTokens: 0n,
  leavingShares: 0n,
  rateAt: time,
  rateRem: 0n,
});

/** Spreads a reward over a pool's shares; null when it has none. */
export function withReward<P extends Pick<Pool, 'shares' | 'acc' | 'rem'>>(
  pool: P,
  reward: Amount,
): P | null {
  if (pool.shares === 0n) return null;
  const total = reward * unit + pool.rem;
  return { ...pool, acc: pool.acc + total / pool.shares, rem: total % pool.shares };
}

/** What a stake has earned and not been paid, in 2^-64 of a unit. */
export const earnedOf = (pool: Pick<Pool, 'acc'>, stake: Stake): bigint =>
  stake.shares * (pool.acc - stake.paid) + stake.fraction;

/** Of shares, rounded down. */
export const worthOf = (shares: Amount, tokens: Amount, all: Amount): Amount =>
  all === 0n ? 0n : (shares * tokens) / all;

/** Shares for tokens that come in: rounded down, against who brings them. One for one while there are none. */
export function sharesFor(value: Amount, tokens: Amount, shares: Amount): Amount {
  if (shares === 0n) return value;
  if (tokens === 0n)
    throw new AppError('not_allowed', 'All stake of this pool was slashed; nothing can be added.');
  const made = (value * shares) / tokens;
  if (made + shares <= maxAmount) return made;
  throw new AppError('too_large', 'The pool can not take so much.');
}

/**
 * Shares that go for tokens that go out: rounded up, against who takes them; all of them for all they are worth.
 * @throws AppError `underfunded` when the stake is smaller
 */
export function sharesOf(value: Amount, own: Amount, tokens: Amount, shares: Amount): Amount {
  const worth = worthOf(own, tokens, shares);
  if (value > worth) throw new AppError('underfunded', 'Less than that is staked.');
  return value === worth ? own : (value * shares + tokens - 1n) / tokens;
}

export const poolOf = (state: StateView, symbol: TokenSymbol, of: PoolOf): Pool | null =>
  state.get(pools, poolKey(symbol, of));

/**
 * What the yearly rate comes to since it was last settled, rounded down with the remainder carried.
 */
export function rateDue(
  pool: Pool,
  rateBp: number,
  time: number,
): { readonly reward: Amount; readonly rem: bigint } {
  const total = pool.tokens * BigInt(rateBp) * BigInt(time - pool.rateAt) + pool.rateRem;
  const whole = BigInt(allParts) * year;
  return { reward: total / whole, rem: total % whole };
}

/**
 * Mints the yearly rate of a pool up to now; hands the reward, which lies in the pot `rewards`, to `spread`.
 * @param earning false: time passes without reward (a jailed validator)
 */
export function settleRate(
  ctx: SettleContext,
  symbol: TokenSymbol,
  pool: Pool,
  earning: boolean,
  spread: (pool: Pool, reward: Amount) => Pool,
): Pool {
  const token = tokenOf(ctx.state, symbol);
  const rateBp = token.spec.staking?.rateBp ?? 0;
  if (rateBp === 0) return pool;
  if (!earning) return { ...pool, rateAt: ctx.time };
  const { reward, rem } = rateDue(pool, rateBp, ctx.time);
  const settled = { ...pool, rateAt: ctx.time, rateRem: rem };
  const room = roomOf(ctx.state, token);
  const minted = reward < room ? reward : room;
  if (minted === 0n) return settled;
  move(ctx, null, pot('rewards'), symbol, minted);
  return spread(settled, minted);
}

/** Brings the one pool of a token, and its mining, up to now. The base coin has no such pool: its mining goes by blocks. */
export function settleTokenPool(ctx: SettleContext, symbol: TokenSymbol): Pool {
  const { state } = ctx;
  const before = poolOf(state, symbol, null) ?? emptyPool(ctx.time);
  if (symbol === ctx.base) return before;
  let pool = settleRate(
    ctx,
    symbol,
    before,
    true,
    (settled, reward) => withReward(settled, reward) ?? settled,
  );
  settleMining(ctx, symbol, (part) => {
    const after = withReward(pool, part);
    if (after) pool = after;
    return after !== null;
  });
  if (poolOf(state, symbol, null) !== null) state.set(pools, poolKey(symbol, null), pool);
  return pool;
}

/**
 * Pays a staker what the stake has earned; before any change of its shares.
 * @returns the stake with nothing but a fraction outstanding
 */
export function payStake(
  ctx: BlockContext,
  address: Address,
  symbol: TokenSymbol,
  pool: Pool,
  stake: Stake,
): { readonly stake: Stake; readonly paid: Amount } {
  const earned = earnedOf(pool, stake);
  const paid = earned / unit;
  move(ctx, pot('rewards'), account(address), symbol, paid);
  return { stake: { ...stake, paid: pool.acc, fraction: earned % unit }, paid };
}

/** Writes a stake; the fraction of one without shares goes back into the pool's remainder. */
export function putStake(ctx: BlockContext, key: Key, pool: Pool, stake: Stake): Pool {
  ctx.state.set(stakes, key, stake.shares === 0n ? null : stake);
  return stake.shares === 0n ? { ...pool, rem: pool.rem + stake.fraction } : pool;
}
