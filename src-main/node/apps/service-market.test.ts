import { expect, it } from 'vitest';
import { partWithin } from './service-market.ts';

it('parts of a payment stay within the limit, and together are all of it', () => {
  const limit = 700n;
  let left = 10_000n;
  let parts = 0;
  while (left > 0n) {
    const part = partWithin(left, (amount) => amount <= limit);
    expect(part).toBeGreaterThan(0n);
    expect(part).toBeLessThanOrEqual(limit);
    left -= part;
    parts += 1;
  }
  expect(left).toBe(0n);
  // No more than twice as many as there had to be, and a few for the rest.
  expect(parts).toBeLessThan(40);
  expect(partWithin(700n, (amount) => amount <= limit)).toBe(700n);
  expect(partWithin(5n, () => false)).toBe(0n);
});
