import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAmount, maxAmount, maxDecimals, parseAmount } from './amount.ts';

describe('amounts', () => {
  test('are read and written exactly', () => {
    expect(parseAmount('12.5', 6)).toBe(12_500_000n);
    expect(parseAmount('0.000001', 6)).toBe(1n);
    expect(parseAmount('7', 0)).toBe(7n);
    expect(parseAmount('1.500', 1)).toBe(15n);
    expect(formatAmount(12_500_000n, 6)).toBe('12.5');
    expect(formatAmount(1n, 18)).toBe('0.000000000000000001');
    expect(formatAmount(0n, 6)).toBe('0');
    expect(formatAmount(-1_500_000n, 6)).toBe('-1.5');
  });

  test('survive any round trip', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: maxAmount }),
        fc.integer({ min: 0, max: maxDecimals }),
        (amount, decimals) => {
          expect(parseAmount(formatAmount(amount, decimals), decimals)).toBe(amount);
        },
      ),
    );
  });

  test.each(['', '-1', '+1', '1e3', '1,5', '.5', '5.', '0x10', '1 000', 'NaN', '١'])('refuse %j', (text) => {
    expect(() => parseAmount(text, 6)).toThrow(/is not an amount/);
  });

  test('refuse what the token cannot hold', () => {
    expect(() => parseAmount('0.0000001', 6)).toThrow('more than 6 decimals');
    expect(() => parseAmount('1.5', 0)).toThrow('whole ones');
    expect(() => parseAmount((maxAmount + 1n).toString(), 0)).toThrow('more than any amount');
  });
});
