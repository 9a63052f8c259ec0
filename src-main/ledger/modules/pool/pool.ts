import { AppError } from '../../../../src-shared/errors.ts';
import { maxTime, sameBytes } from '../../codec/index.ts';
import { amount, listOf, positiveAmount, record, refined, whole } from '../../codec/shape.ts';
import { symbolShape } from '../../codec/tx.ts';
import type { Key } from '../../state/table.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import { kind } from '../context.ts';
import type { BlockContext, Module, TxContext } from '../context.ts';
import { account, balanceOf, frozen, frozenKey, move, pot, tokenOf } from '../value.ts';
import { firstShares, lockedShares } from './maths.ts';
import {
  changePosition,
  favouredPools,
  owedToLiquidity,
  poolOfPosition,
  settleLiquidity,
} from './rewards.ts';
import {
  advanced,
  feeShape,
  poolAt,
  poolIdOf,
  poolKeyOf,
  positions,
  priceMarks,
  tradingPools,
} from './state.ts';
import { noteFeePool } from './fee-pool.ts';
import { addLiquidity, removeLiquidity, tradeIn, tradeOut } from './trade.ts';

/** Pools of two tokens, trading through up to four of them. */

export const maxHops = 4;
const pairFields = { a: symbolShape, b: symbolShape, feeBp: feeShape };
const twoTokens = ({ a, b }: { readonly a: TokenSymbol; readonly b: TokenSymbol }): string | null =>
  a === b ? 'a pool has two different tokens' : null;
const hopsShape = listOf(record({ to: symbolShape, feeBp: feeShape }), maxHops, 1);
const deadline = whole(maxTime);

/** @throws AppError `deadline_passed` */
export function checkDeadline(ctx: BlockContext, until: number): void {
  if (ctx.time <= until) return;
  throw new AppError('deadline_passed', 'The deadline of the transaction has passed.', {
    details: { deadline: until, time: ctx.time },
  });
}

/** Nobody buys by mistake what can't be moved afterwards. @throws AppError `token_frozen` */
function checkNotFrozen(ctx: TxContext, symbol: TokenSymbol): void {
  if (!tokenOf(ctx.state, symbol).spec.flags.freeze) return;
  if (ctx.state.get(frozen, frozenKey(symbol, ctx.sender))) {
    throw new AppError('token_frozen', `This account's ${symbol} is frozen by the token's owner.`);
  }
}

/** @throws AppError `slippage_exceeded` */
export function atLeast(value: Amount, least: Amount, what: string): void {
  if (value >= least) return;
  throw new AppError('slippage_exceeded', `${what} would be less than the least that was asked for.`, {
    details: { value: value.toString(), least: least.toString() },
  });
}

/** The amounts of a message in the order of the pool. */
const ordered = <T>(
  message: { readonly a: TokenSymbol; readonly b: TokenSymbol },
  a: T,
  b: T,
): readonly [T, T] => (message.a < message.b ? [a, b] : [b, a]);
const keyOf = ({
  a,
  b,
  feeBp,
}: {
  readonly a: TokenSymbol;
  readonly b: TokenSymbol;
  readonly feeBp: number;
}): Key => poolKeyOf(a, b, feeBp);

/** @throws AppError `pool_exists`, `amount_too_small`, `token_unknown`, and as `move` */
function create(ctx: TxContext, key: Key, a: Amount, b: Amount): void {
  const { state } = ctx;
  const id = poolIdOf(key);
  if (state.get(tradingPools, key)) {
    throw new AppError('pool_exists', `There is a pool of ${id.a} and ${id.b} with that fee already.`);
  }
  const shares = firstShares(a, b);
  if (shares <= 0n) {
    throw new AppError(
      'amount_too_small',
      `A first deposit must be worth more than ${lockedShares} shares.`,
      {
        details: { shares: (shares + lockedShares).toString(), minimum: (lockedShares + 1n).toString() },
      },
    );
  }
  for (const [symbol, value] of [
    [id.a, a],
    [id.b, b],
  ] as const) {
    move(ctx, account(ctx.sender), pot('pools'), symbol, value);
    // Its own emission for liquidity goes to the first pool an owner makes, until another is named.
    if (!state.get(favouredPools, symbol) && sameBytes(tokenOf(state, symbol).owner, ctx.sender)) {
      state.set(favouredPools, symbol, key);
    }
  }
  const { time } = ctx;
  const empty = { reserveA: a, reserveB: b, shares: lockedShares, sumA: 0n, sumB: 0n, at: time };
  const traded = { dayFrom: time, tradedA: 0n, tradedB: 0n, beforeA: 0n, beforeB: 0n };
  const pool = { ...empty, ...traded };
  changePosition(ctx, account(ctx.sender), key, pool, shares);
  state.set(tradingPools, key, { ...pool, shares: shares + lockedShares });
  const mark = { at: time, sumA: 0n, sumB: 0n };
  state.set(priceMarks, key, { older: mark, newer: mark });
  noteFeePool(ctx, key);
}

export const poolModule = {
  name: 'pool',
  messages: {
    'pool.create': kind({
      shape: refined(record({ ...pairFields, amountA: positiveAmount, amountB: positiveAmount }), twoTokens),
      weight: 20_000,
      delegable: true,
      run(ctx, message) {
        create(ctx, keyOf(message), ...ordered(message, message.amountA, message.amountB));
      },
    }),
    'pool.deposit': kind({
      shape: refined(
        record({
          ...pairFields,
          maxA: positiveAmount,
          maxB: positiveAmount,
          minShares: amount,
          deadline,
        }),
        twoTokens,
      ),
      weight: 800,
      delegable: true,
      run(ctx, message) {
        checkDeadline(ctx, message.deadline);
        const key = keyOf(message);
        const [maxA, maxB] = ordered(message, message.maxA, message.maxB);
        const { shares } = addLiquidity(ctx, account(ctx.sender), key, maxA, maxB);
        atLeast(shares, message.minShares, 'The part in the pool');
        noteFeePool(ctx, key);
      },
    }),
    'pool.withdraw': kind({
      shape: refined(
        record({ ...pairFields, shares: positiveAmount, minA: amount, minB: amount, deadline }),
        twoTokens,
      ),
      weight: 800,
      delegable: true,
      run(ctx, message) {
        checkDeadline(ctx, message.deadline);
        const key = keyOf(message);
        const { a, b } = removeLiquidity(ctx, account(ctx.sender), key, message.shares);
        const [minA, minB] = ordered(message, message.minA, message.minB);
        const id = poolIdOf(key);
        atLeast(a, minA, `What comes out of ${id.a}`);
        atLeast(b, minB, `What comes out of ${id.b}`);
        noteFeePool(ctx, key);
      },
    }),
    /** Pays what the sender's part in a pool earned by emission. */
    'pool.claim': kind({
      shape: refined(record(pairFields), twoTokens),
      weight: 800,
      delegable: true,
      run(ctx, message) {
        const key = keyOf(message);
        const pool = advanced(poolAt(ctx.state, key), ctx.time);
        if (!ctx.state.get(positions, account(ctx.sender) + key)) {
          throw new AppError('shares_exceeded', 'The account has no part in this pool.');
        }
        changePosition(ctx, account(ctx.sender), key, pool, 0n);
      },
    }),
    'pool.swapIn': kind({
      shape: record({
        from: symbolShape,
        amount: positiveAmount,
        hops: hopsShape,
        minOut: amount,
        deadline,
      }),
      weight: ({ hops }) => 200 + 200 * hops.length,
      delegable: true,
      run(ctx, message) {
        checkDeadline(ctx, message.deadline);
        checkNotFrozen(ctx, (message.hops.at(-1) as { to: TokenSymbol }).to);
        tradeIn(ctx, account(ctx.sender), account(ctx.sender), message);
      },
    }),
    'pool.swapOut': kind({
      shape: record({
        from: symbolShape,
        hops: hopsShape,
        out: positiveAmount,
        maxIn: positiveAmount,
        deadline,
      }),
      weight: ({ hops }) => 200 + 200 * hops.length,
      delegable: true,
      run(ctx, message) {
        checkDeadline(ctx, message.deadline);
        checkNotFrozen(ctx, (message.hops.at(-1) as { to: TokenSymbol }).to);
        tradeOut(ctx, account(ctx.sender), account(ctx.sender), message);
      },
    }),
    /** Names the pool that a token's emission for liquidity goes to; what is due until now goes to the one before. */
    'pool.favour': kind({
      shape: refined(record({ symbol: symbolShape, ...pairFields }), (message) =>
        message.symbol === message.a || message.symbol === message.b
          ? twoTokens(message)
          : 'the pool is not one of the token',
      ),
      weight: 800,
      delegable: false,
      run(ctx, message) {
        const { state } = ctx;
        if (!sameBytes(tokenOf(state, message.symbol).owner, ctx.sender)) {
          throw new AppError('not_owner', `Only the owner of ${message.symbol} can do that.`);
        }
        const key = keyOf(message);
        poolAt(state, key);
        const before = state.get(favouredPools, message.symbol);
        if (before) settleLiquidity(ctx, before, advanced(poolAt(state, before), ctx.time));
        state.set(favouredPools, message.symbol, key);
      },
    }),
  },
  invariants: {
    'the pot of pools holds their reserves'(state) {
      const sums = new Map<TokenSymbol, Amount>();
      for (const [key, pool] of state.rows(tradingPools)) {
        const { a, b } = poolIdOf(key);
        sums.set(a, (sums.get(a) ?? 0n) + pool.reserveA);
        sums.set(b, (sums.get(b) ?? 0n) + pool.reserveB);
      }
      for (const [symbol, sum] of sums) {
        const held = balanceOf(state, pot('pools'), symbol);
        if (held !== sum) return `${symbol}: held ${held}, reserves ${sum}`;
      }
      return null;
    },
    'the shares of a pool are those of its positions and the locked ones'(state) {
      const sums = new Map<Key, Amount>();
      for (const [at, { shares }] of state.rows(positions)) {
        const key = poolOfPosition(at);
        if (shares === 0n) return 'a position without shares';
        sums.set(key, (sums.get(key) ?? 0n) + shares);
      }
      for (const [key, pool] of state.rows(tradingPools)) {
        const sum = (sums.get(key) ?? 0n) + lockedShares;
        if (sum !== pool.shares) return `${poolIdOf(key).a}: ${pool.shares}, positions ${sum}`;
        sums.delete(key);
      }
      return sums.size === 0 ? null : 'a position in no pool';
    },
    'the pot of liquidity holds exactly what positions earned, to the fraction of a unit'(state) {
      for (const [symbol, owed] of owedToLiquidity(state)) {
        const held = balanceOf(state, pot('liquidity'), symbol) << 64n;
        if (held !== owed) return `${symbol}: held ${held}, owed ${owed}`;
      }
      return null;
    },
    'a share is never worth less than the root of one of each'(state) {
      for (const [key, pool] of state.rows(tradingPools)) {
        if (pool.reserveA * pool.reserveB < pool.shares * pool.shares) return poolIdOf(key).a;
      }
      return null;
    },
  },
} satisfies Module;
