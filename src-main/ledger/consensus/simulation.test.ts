import { describe, expect, test } from 'vitest';
import { tendermint } from './reducer.ts';
import { simulate } from './testing/simulation.ts';
import type { SimResult } from './testing/simulation.ts';

const first = Number(process.env['EXTRACHAIN_CONSENSUS_SEED'] ?? 1);
const runs = Number(process.env['EXTRACHAIN_CONSENSUS_RUNS'] ?? 200);

function mustHold(seed: number, validators: number, faultsFor?: number): SimResult {
  const result = simulate({ seed, validators, ...(faultsFor === undefined ? {} : { faultsFor }) });
  const replay = `EXTRACHAIN_CONSENSUS_SEED=${seed} EXTRACHAIN_CONSENSUS_RUNS=1, ${validators} validators`;
  expect(result.violation, replay).toBeNull();
  expect(result.falselyAccused, replay).toBe(0);
  return result;
}

/** A long run (`npm run soak -- --consensus N`) has its time. */
const limit = { timeout: 60_000 + runs * 5000 };

describe('consensus over a bad network, with crashes and Byzantine validators below a third', () => {
  test(
    `never two blocks at a height, always progress after healing: ${runs} seeds of 4 and 7 validators`,
    limit,
    () => {
      const results: SimResult[] = [];
      for (let seed = first; seed < first + runs; seed++)
        results.push(mustHold(seed, seed % 2 === 0 ? 4 : 7));
      const sum = (pick: (one: SimResult) => number): number =>
        results.reduce((total, one) => total + pick(one), 0);
      const total = {
        heights: sum((one) => one.heights),
        crashes: sum((one) => one.crashes),
        byzantine: sum((one) => one.byzantine),
        accused: sum((one) => one.accused),
      };
      if (runs > 200) process.stdout.write(`${JSON.stringify(total)}\n`);
      // The faults must have happened, or the test says nothing.
      if (runs >= 100) {
        for (const value of Object.values(total)) expect(value).toBeGreaterThan(runs / 4);
      }
    },
  );

  test('100 validators', limit, () => {
    const seeds = Math.max(1, Math.floor(runs / 1000));
    for (let seed = first; seed < first + seeds; seed++) {
      expect(mustHold(seed, 100, runs > 200 ? undefined : 3000).heights).toBeGreaterThan(2);
    }
  });

  test('a seed replays exactly', () => {
    expect(simulate({ seed: 31, validators: 7 })).toEqual(simulate({ seed: 31, validators: 7 }));
  });
});

/** The simulator must be able to find what it looks for. */
describe('negative controls', () => {
  const seeds = Array.from({ length: 60 }, (_, i) => i + 1);

  test('without the locking rule two blocks are decided; with it the same attack does nothing', () => {
    const attack = (seed: number, lock: boolean): string | null =>
      simulate({ seed, validators: 4, lockAttack: true, faultsFor: 25_000, rules: { ...tendermint, lock } })
        .violation;
    const broken = seeds.find((seed) => attack(seed, false)?.startsWith('two blocks'));
    expect(broken).toBeDefined();
    for (const seed of seeds.slice(0, 10)) expect(attack(seed, true)).toBeNull();
    expect(attack(broken as number, true)).toBeNull();
  });

  test('with half the power as quorum two blocks are decided', () => {
    const half = (power: bigint, total: bigint): boolean => 2n * power >= total;
    const found = seeds.some((seed) =>
      simulate({
        seed,
        validators: seed % 2 === 0 ? 4 : 7,
        rules: { ...tendermint, quorum: half },
      }).violation?.startsWith('two blocks'),
    );
    expect(found).toBe(true);
  });
});
