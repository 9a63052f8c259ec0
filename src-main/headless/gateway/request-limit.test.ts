import { expect, test } from 'vitest';
import { createRequestLimit } from './request-limit.ts';

test('requests of one address are bounded, those of another are not touched by it, and time heals', () => {
  let now = 0;
  const limit = createRequestLimit({ now: () => now, after: () => () => {} });
  const taken = (address: string, tries: number): number =>
    Array.from({ length: tries }, () => limit.take(address)).filter(Boolean).length;
  expect(taken('192.0.2.1', 1000)).toBe(300);
  expect(taken('192.0.2.2', 10)).toBe(10);
  now = 1000;
  expect(taken('192.0.2.1', 1000)).toBe(60);
  now = 1_000_000;
  expect(taken('192.0.2.1', 1000)).toBe(300);
  now = 0;
  expect(taken('192.0.2.1', 10)).toBe(0);
});
