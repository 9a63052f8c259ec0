import { AppError } from '../../../../src-shared/errors.ts';
import { maxAmount } from '../../codec/index.ts';
import type { Amount } from '../../types.ts';

/*
 * The constant product of Uniswap v2 (Adams, Zinsmeister, Robinson 2020) in whole numbers. Every division is rounded against
 * whoever trades, deposits or withdraws, so the product of the reserves, measured by share, never falls.
 */

/** Fees are in ten-thousandths of what comes in. */
export const wholeFee = 10_000n;
/** Shares of the first deposit that nobody owns: so no share can be made so dear that later deposits round to nothing. */
export const lockedShares = 1000n;

/** The greatest whole number whose square is at most `value`. */
export function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  // Newton's method from above: each step falls until the root is reached.
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/**
 * What comes out for exactly that much in, rounded down; the fee stays in the pool.
 * @param feeBp in ten-thousandths
 */
export function outFor(amountIn: Amount, reserveIn: Amount, reserveOut: Amount, feeBp: number): Amount {
  const counted = amountIn * (wholeFee - BigInt(feeBp));
  return (counted * reserveOut) / (reserveIn * wholeFee + counted);
}

/**
 * What must come in for exactly that much out, rounded up.
 * @throws AppError `reserve_exceeded` when the pool has not so much, `too_large` when no amount would do
 */
export function inFor(amountOut: Amount, reserveIn: Amount, reserveOut: Amount, feeBp: number): Amount {
  if (amountOut >= reserveOut) {
    throw new AppError('reserve_exceeded', 'The pool holds less than what is to come out.', {
      details: { wanted: amountOut.toString(), reserve: reserveOut.toString() },
    });
  }
  const counted = (reserveOut - amountOut) * (wholeFee - BigInt(feeBp));
  const needed = (reserveIn * amountOut * wholeFee) / counted + 1n;
  if (needed + reserveIn <= maxAmount) return needed;
  throw new AppError('too_large', 'No amount would be enough for so much out of this pool.');
}

/** Shares of the first deposit: the geometric mean, rounded down, without those that are locked; may be 0 or less. */
export const firstShares = (a: Amount, b: Amount): bigint => squareRoot(a * b) - lockedShares;

/** Shares of a later deposit: by the side that brings less, rounded down. */
export function sharesOfDeposit(
  a: Amount,
  b: Amount,
  pool: { readonly reserveA: Amount; readonly reserveB: Amount; readonly shares: Amount },
): Amount {
  const byA = (a * pool.shares) / pool.reserveA;
  const byB = (b * pool.shares) / pool.reserveB;
  const made = byA < byB ? byA : byB;
  if (made + pool.shares <= maxAmount) return made;
  throw new AppError('too_large', 'The pool can not take so much.');
}

/** How much of the other token goes with so much of one, at the price of the reserves, rounded down. */
export const matching = (amount: Amount, reserve: Amount, otherReserve: Amount): Amount =>
  (amount * otherReserve) / reserve;

/** What shares are worth in one token, rounded down. */
export const partOf = (shares: Amount, reserve: Amount, all: Amount): Amount => (shares * reserve) / all;
