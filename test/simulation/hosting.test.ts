import { expect, it } from 'vitest';
import { simulateHosting } from './hosting-simulation.ts';

const small = { nodes: 100, drivesPerNode: 3, copies: 3, hours: 96, seed: 5 };

it('keeps hosted drives available and spread while a third of the nodes is away', () => {
  const result = simulateHosting(small);
  expect(result.lost).toBe(0);
  expect(result.spread).toBeLessThan(3);
  expect(result.availability).toBeGreaterThan(0.999);
  // Load moves off busy nodes: fetches are sooner done than from the nearest copy, and no node sends far more than others.
  const { fetched, fetchedFromCopies, fetchedFromNearest } = result;
  expect(fetched.fetches).toBeGreaterThan(300);
  expect(fetched.fetches).toBe(fetchedFromNearest.fetches);
  expect(fetched.spread).toBeLessThan(3);
  expect(fetched.whole.p99).toBeLessThan(fetchedFromCopies.whole.p99);
  expect(fetched.whole.median).toBeLessThan(fetchedFromNearest.whole.median / 2);
  expect(fetched.whole.p99).toBeLessThan(fetchedFromNearest.whole.p99 / 4);
  expect(simulateHosting(small)).toEqual(result);
});
