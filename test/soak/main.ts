/**
 * `npm run soak`: what is too long for `npm test`. All parts by default, or those named:
 *
 *   --crashes 240       SIGKILL of either daemon at so many numbered points of a transfer
 *   --plans 1000000     the planner on so many random trees, from --seed on
 *   --simulations 2000  simulated computers, networks and disks on so many seeds, from --seed on
 *   --jobs 2            pairs of daemons at once for the crashes
 *   --state DIR         where the crashes note what is done; run again to go on there
 *
 * Prints every failure as it comes and a summary; exit 1 when anything failed.
 */
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runVitest } from '../support/run-vitest.ts';
import { soakCrashes } from './crashes.ts';

const { values } = parseArgs({
  options: {
    crashes: { type: 'string' },
    plans: { type: 'string' },
    simulations: { type: 'string' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    state: { type: 'string', default: path.join(os.tmpdir(), 'extrachain-soak-state') },
  },
});
const all = values.crashes === undefined && values.plans === undefined && values.simulations === undefined;
const count = (given: string | undefined, usual: number): number => Number(given ?? (all ? usual : 0));
const crashes = count(values.crashes, 240);
const plans = count(values.plans, 1_000_000);
const simulations = count(values.simulations, 2000);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const lines: string[] = [];
let failed = 0;
const minutes = async (work: () => Promise<{ summary: string; failed: number }>): Promise<void> => {
  const start = performance.now();
  const result = await work();
  failed += result.failed;
  lines.push(`${result.summary}; ${((performance.now() - start) / 60_000).toFixed(1)} min`);
};

async function vitestPart(what: string, file: string, runs: number, env: Record<string, string>) {
  const code = await runVitest([file], env);
  return {
    failed: code === 0 ? 0 : 1,
    summary: `${what}: ${runs} seeds from ${values.seed}, ${code === 0 ? 'none failed' : 'FAILED (the seed is above)'}`,
  };
}

await mkdir(values.state, { recursive: true });
if (plans > 0)
  await minutes(() =>
    vitestPart('planner', 'src-main/sync/plan/plan.test.ts', plans, {
      EXTRACHAIN_PLAN_RUNS: String(plans),
      EXTRACHAIN_PLAN_SEED: values.seed,
    }),
  );
if (simulations > 0)
  await minutes(() =>
    vitestPart('simulation', 'test/sim/simulation.test.ts', simulations, {
      EXTRACHAIN_SIM_RUNS: String(simulations),
      EXTRACHAIN_SEED: values.seed,
    }),
  );
if (crashes > 0) await minutes(() => soakCrashes(crashes, values.state, Number(values.jobs)));

console.log(
  `\nsoak of ${new Date().toISOString()}, Node ${process.versions.node}, ${os.type()} ${os.release()}`,
);
for (const line of lines) console.log(line);
process.exitCode = failed === 0 ? 0 : 1;
