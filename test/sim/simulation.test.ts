import { describe, expect, it, vi } from 'vitest';
import { simulate } from './simulation.ts';

vi.mock('node:fs', async (original) => (await import('./determinism.ts')).fsModule(await original()));
vi.mock('node:crypto', async (original) => (await import('./determinism.ts')).cryptoModule(await original()));

/** `EXTRACHAIN_SEED=n` replays one seed, with its protocol; with `EXTRACHAIN_SIM_RUNS=1000` as many from there. */
const firstSeed = process.env['EXTRACHAIN_SEED'];
const runs = Number(process.env['EXTRACHAIN_SIM_RUNS'] ?? (firstSeed === undefined ? 8 : 1));

describe('computers, networks and disks in trouble', () => {
  it(
    `end with equal folders and nothing lost (${runs} seeds)`,
    async () => {
      const failures: string[] = [];
      const counts: Record<string, number> = {};
      const from = Number(firstSeed ?? 1);
      for (let seed = from; seed < from + runs; seed++) {
        try {
          const result = await simulate(seed, { log: runs === 1 });
          for (const [kind, n] of Object.entries(result.counts)) counts[kind] = (counts[kind] ?? 0) + n;
        } catch (error) {
          failures.push(`EXTRACHAIN_SEED=${seed}: ${(error as Error).message}`);
          console.log(failures.at(-1));
        }
      }
      console.log(`simulated ${runs} seeds: ${JSON.stringify(counts)}, ${failures.length} failed`);
      expect(failures).toEqual([]);
    },
    24 * 3_600_000,
  );

  it('replay a seed exactly', async () => {
    const [one, two] = [await simulate(3), await simulate(3)];
    expect(two.protocol).toEqual(one.protocol);
  });
});
