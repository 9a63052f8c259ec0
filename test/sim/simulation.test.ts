import { appendFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { simulate } from './simulation.ts';

vi.mock('node:fs', async (original) => (await import('./determinism.ts')).fsModule(await original()));
vi.mock('node:crypto', async (original) => (await import('./determinism.ts')).cryptoModule(await original()));

/** `EXTRACHAIN_SEED=n` replays one seed, with its protocol (`EXTRACHAIN_SIM_TRACE=1`: and what the engines do); with `EXTRACHAIN_SIM_RUNS=1000` as many from there. */
const firstSeed = process.env['EXTRACHAIN_SEED'];
const runs = Number(process.env['EXTRACHAIN_SIM_RUNS'] ?? (firstSeed === undefined ? 8 : 1));

/** Where the soak wants each seed noted as it is done. */
const report = process.env['EXTRACHAIN_SIM_REPORT'];
/** `EXTRACHAIN_SIM_ONLINE=1`: people also free files and fetch them again, in each seed. */
const online = process.env['EXTRACHAIN_SIM_ONLINE'] === '1';
const commit = process.env['EXTRACHAIN_SIM_COMMIT'] ?? 'unknown';

describe('computers, networks and disks in trouble', () => {
  it(
    `end with equal folders and nothing lost (${runs} seeds)`,
    async () => {
      const failures: string[] = [];
      const counts: Record<string, number> = {};
      const from = Number(firstSeed ?? 1);
      for (let seed = from; seed < from + runs; seed++) {
        let failure: string | null = null;
        try {
          const result = await simulate(seed, {
            log: runs === 1,
            trace: process.env['EXTRACHAIN_SIM_TRACE'] === '1',
            online,
          });
          for (const [kind, n] of Object.entries(result.counts)) counts[kind] = (counts[kind] ?? 0) + n;
        } catch (error) {
          failure = (error as Error).message;
          failures.push(`EXTRACHAIN_SEED=${seed}: ${failure}`);
          console.log(failures.at(-1));
        }
        if (report !== undefined)
          appendFileSync(report, `${JSON.stringify({ seed, runs: 1, error: failure, commit })}\n`);
      }
      console.log(`simulated ${runs} seeds: ${JSON.stringify(counts)}, ${failures.length} failed`);
      expect(failures).toEqual([]);
    },
    24 * 3_600_000,
  );

  it(
    'end so while files are freed and fetched, too (4 seeds)',
    async () => {
      const counts: Record<string, number> = {};
      for (const seed of [2, 7, 11, 12]) {
        const result = await simulate(seed, { online: true });
        for (const [kind, n] of Object.entries(result.counts)) counts[kind] = (counts[kind] ?? 0) + n;
      }
      // One in which nothing could be freed would show nothing.
      expect(counts['freed'] ?? 0).toBeGreaterThan(5);
    },
    24 * 3_600_000,
  );

  it('replay a seed exactly', async () => {
    const [one, two] = [await simulate(3), await simulate(3)];
    expect(two.protocol).toEqual(one.protocol);
  });
});
