import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { History } from './types.ts';
import type { World } from './testing.ts';
import { allBytes, createWorld, exchange, opsDraft } from './testing.ts';

let world: World;
let all: readonly Uint8Array[];
let expected: ReturnType<typeof stateOf>;

const stateOf = (history: History) => ({
  order: [...history.inOrder()].map((entry) => entry.id),
  heads: history.heads(),
  frontier: history.frontier(),
  forks: history.forks(),
});

beforeAll(async () => {
  world = createWorld();
  const sameRandom = (n: number): Uint8Array => new Uint8Array(n);
  const replicas = [
    await world.replica('ann'),
    await world.replica('bob'),
    await world.replica('eve', { random: sameRandom }),
    await world.replica('eve', { random: sameRandom }),
  ];
  for (let i = 0; i < 24; i++) {
    const one = replicas[(i * 7) % 4]?.history as History;
    const other = replicas[(i * 5 + 1) % 3]?.history as History;
    await one.append([opsDraft([world.genesis.hash], `entry ${i}`)]);
    if (i % 3 === 0 && one !== other) await exchange(one, other);
  }
  const collector = (await world.replica('collector')).history;
  for (const { history } of replicas) await exchange(collector, history);
  all = allBytes(collector);
  expected = stateOf(collector);
});
afterAll(() => world.end());

test('any order, batching and repetition of delivery gives one state', async () => {
  expect(expected.forks.length).toBeGreaterThan(0);
  const deliveries = fc
    .tuple(
      fc.shuffledSubarray([...Array(all.length).keys()], { minLength: all.length }),
      fc.array(fc.nat(all.length - 1)),
    )
    .chain(([order, repeats]) =>
      fc.tuple(fc.constant([...order, ...repeats]), fc.integer({ min: 1, max: 9 })),
    );
  await fc.assert(
    fc.asyncProperty(deliveries, async ([order, size]) => {
      const replica = await world.replica('reader');
      const { history } = replica;
      for (let i = 0; i < order.length; i += size) {
        const { rejected } = await history.ingest(order.slice(i, i + size).map((n) => all[n] as Uint8Array));
        expect(rejected).toEqual([]);
      }
      expect(stateOf(history)).toEqual(expected);
      // The incrementally kept index equals the one built from the log.
      await replica.reopen({ loseIndex: true });
      expect(stateOf(replica.history)).toEqual(expected);
      replica.close();
    }),
    { seed: 11, numRuns: 12 },
  );
});

test('two replicas with any parts of the set come to hold its union', async () => {
  const subset = fc.subarray([...Array(all.length).keys()]);
  await fc.assert(
    fc.asyncProperty(subset, subset, async (left, right) => {
      const a = await world.replica('a');
      const b = await world.replica('b');
      await a.history.ingest(left.map((n) => all[n] as Uint8Array));
      await b.history.ingest(right.map((n) => all[n] as Uint8Array));
      const union = new Set([...a.history.inOrder(), ...b.history.inOrder()].map((entry) => entry.id));
      await exchange(a.history, b.history);
      for (const { history } of [a, b]) for (const id of union) expect(stateOf(history).order).toContain(id);
      expect(stateOf(a.history)).toEqual(stateOf(b.history));
      a.close();
      b.close();
    }),
    { seed: 12, numRuns: 15 },
  );
});
