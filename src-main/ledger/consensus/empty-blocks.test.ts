import { expect, test } from 'vitest';
import { emptyBlockWait } from './empty-blocks.ts';
import { defaultParams } from './reducer.ts';

const day = 86_400_000;

test('a chain that nobody uses makes some empty blocks at its usual pace, then ever fewer', () => {
  const params = { ...defaultParams, blockInterval: 1000, emptyBlockInterval: 3_600_000, eagerBlocks: 120 };
  expect(emptyBlockWait(params, 0)).toBe(1000);
  expect(emptyBlockWait(params, 119)).toBe(1000);
  expect(emptyBlockWait(params, 120)).toBe(2000);
  expect(emptyBlockWait(params, 130)).toBe(4000);
  expect(emptyBlockWait(params, 10_000)).toBe(3_600_000);
  let blocks = 0;
  for (let time = 0; time < 365 * day; blocks++) time += emptyBlockWait(params, blocks);
  // One an hour makes 8,760 of them.
  expect(blocks).toBeLessThan(9000);
});

test('whoever wants one interval for all of them has it', () => {
  const params = { ...defaultParams, emptyBlockInterval: 15_000, eagerBlocks: 0 };
  expect([0, 5, 5000].map((quiet) => emptyBlockWait(params, quiet))).toEqual([15_000, 15_000, 15_000]);
  const quick = { ...defaultParams, blockInterval: 1000, emptyBlockInterval: 500, eagerBlocks: 10 };
  expect([0, 5000].map((quiet) => emptyBlockWait(quick, quiet))).toEqual([500, 500]);
});
