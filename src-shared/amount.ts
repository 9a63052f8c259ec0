import { AppError } from './errors.ts';

/** Amounts are integers below 2^128 in the smallest unit of their token; people write them in whole tokens. */
export const maxAmount = 2n ** 128n - 1n;
/** Decimals a token may have. */
export const maxDecimals = 18;

/**
 * `12.5` of a token with 6 decimals -> 12500000n.
 * @param text digits with at most one point; no sign, no exponent, no separators
 * @throws AppError `invalid_argument` when it is no such number, has more decimals than the token or is too large
 */
export function parseAmount(text: string, decimals: number): bigint {
  const match = /^(\d{1,39})(?:\.(\d{1,18}))?$/.exec(text.trim());
  if (!match) throw new AppError('invalid_argument', `"${text}" is not an amount like 12.5.`);
  const fraction = match[2] ?? '';
  if (fraction.replace(/0+$/, '').length > decimals) {
    throw new AppError(
      'invalid_argument',
      decimals === 0
        ? `"${text}" has a fraction; this token is counted in whole ones.`
        : `"${text}" has more than ${decimals} decimals.`,
    );
  }
  const digits = fraction.slice(0, decimals).padEnd(decimals, '0');
  const amount = BigInt(match[1]! + digits);
  if (amount > maxAmount) throw new AppError('invalid_argument', `"${text}" is more than any amount can be.`);
  return amount;
}

/** 12500000n of a token with 6 decimals -> `12.5`. The shortest text that `parseAmount` reads back as the same amount. */
export function formatAmount(amount: bigint, decimals: number): string {
  const sign = amount < 0n ? '-' : '';
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return sign + whole + (fraction === '' ? '' : `.${fraction}`);
}
