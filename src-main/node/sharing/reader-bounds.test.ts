import { expect, test } from 'vitest';
import { createBlockCache } from './reader-bounds.ts';

test('keeps the blocks used last, within a budget that may change, and forgets a drive', () => {
  let budget = 30;
  const cache = createBlockCache(() => budget);
  for (const key of ['1', '2', '3']) cache.put('a', key, new Uint8Array(10));
  expect(cache.get('a', '1')).toHaveLength(10);
  cache.put('b', '1', new Uint8Array(10));
  expect(cache.get('a', '2')).toBeNull();
  expect(cache.get('a', '1')).not.toBeNull();
  expect(cache.held()).toBe(30);
  budget = 10;
  cache.put('b', '2', new Uint8Array(10));
  expect(cache.held()).toBe(10);
  expect(cache.get('b', '2')).not.toBeNull();
  cache.forget('b');
  expect(cache.held()).toBe(0);
  cache.put('c', '1', new Uint8Array(11));
  expect([cache.get('c', '1'), cache.held()]).toEqual([null, 0]);
});
