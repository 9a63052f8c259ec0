import { expect, it } from 'vitest';
import { seeded } from '../support/trees.ts';
import { simulateFetches } from './fetch-simulation.ts';
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
  expect(fetched.whole.p99).toBeLessThan(1.2 * fetchedFromCopies.whole.p99);
  expect(fetched.whole.median).toBeLessThan(fetchedFromNearest.whole.median / 2);
  expect(fetched.whole.p99).toBeLessThan(fetchedFromNearest.whole.p99 / 4);
  expect(simulateHosting(small)).toEqual(result);
});

it('spreads a crowd that wants one file over all who have a part of it', () => {
  const random = seeded(9);
  const nodes = Array.from({ length: 300 }, () => ({ x: random(), y: random(), upload: 4 * 1024 * 1024 }));
  const crowd = (sharing: boolean) =>
    simulateFetches({
      random: seeded(10),
      holders: [nodes.slice(0, 2)],
      nodes,
      sharing,
      rtt: (a, b) => 5 + 200 * Math.hypot(a.x - b.x, a.y - b.y),
      // Six times what the two can send.
      demand: 6,
      seconds: 30,
      choice: 'measured',
    });
  const [alone, together] = [crowd(false), crowd(true)];
  expect(together.fetches).toBeGreaterThan(60);
  expect(together.whole.p99).toBeLessThan(alone.whole.p99 / 8);
  expect(together.spread).toBeLessThan(6);
});
