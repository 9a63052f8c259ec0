import type { Grant, PermissionName } from '../../../src-shared/apps/index.ts';
import { formatAmount, parseAmount } from '../../../src-shared/amount.ts';

/** What bounds a day counts in: the smallest step that any token can have. */
const decimals = 18;

/** Adds amounts as they are written, exactly. */
export function addAmounts(...amounts: readonly string[]): string {
  return formatAmount(
    amounts.reduce((sum, one) => sum + parseAmount(one, decimals), 0n),
    decimals,
  );
}

/** What is left of an amount; never less than nothing. */
export function subtractAmount(from: string, amount: string): string {
  const left = parseAmount(from, decimals) - parseAmount(amount, decimals);
  return formatAmount(left > 0n ? left : 0n, decimals);
}

/** Whether `amount` more, on top of what the last 24 hours took, stays within a bound. */
export function fits(used: string, amount: string, perDay: string): boolean {
  const read = (text: string): bigint => parseAmount(text, decimals);
  return read(used) + read(amount) <= read(perDay);
}

/** Most payments that an app makes in 24 hours without asking: each costs a fee besides. */
const mostUnasked = 100;

/**
 * Whether a payment may go out without asking.
 * @param amount the payment and, where it is of the same token, its fee
 * @param used what the app spent of that token in the last 24 hours without asking
 * @param payments how many those were, of all tokens
 */
export function maySpendUnasked(
  grants: readonly Grant[],
  { symbol, amount, used, payments }: { symbol: string; amount: string; used: string; payments: number },
): boolean {
  if (payments >= mostUnasked) return false;
  return grants.some(
    ({ name, caveats }) =>
      name === 'tokens.spend' &&
      caveats.symbol === symbol &&
      typeof caveats.perDay === 'string' &&
      fits(used, amount, caveats.perDay),
  );
}

/** Whether one more of what is counted (messages, notices) stays within the widest bound that was granted. */
export function mayCount(grants: readonly Grant[], permission: PermissionName, used: number): boolean {
  return grants.some(
    ({ name, caveats }) =>
      name === permission && (typeof caveats.perDay !== 'number' || used < caveats.perDay),
  );
}
