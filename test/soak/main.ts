/**
 * `npm run soak`: what is too long for `npm test`. All parts by default, or those named:
 *
 *   --crashes 240       SIGKILL of either daemon at so many numbered points of a transfer
 *   --mounts 40         the same while a folder is shared as a drive of its own, or is one no longer
 *   --plans 1000000     the planner on so many random trees, from --seed on
 *   --simulations 2000  simulated computers, networks and disks on so many seeds, from --seed on
 *   --consensus 20000   simulated validators on so many seeds, from --seed on
 *   --large-consensus 4 the same with 100 validators, minutes of processor time a seed
 *   --host-kills 50     two of a drive's three hosts killed while it is written to, so many times
 *   --stream-chaos 60   seconds in which a stream's repeaters are killed, frozen and slowed, from --seed on
 *   --stream-minutes 60 minutes of a stream in which no process may grow, and sound and pictures not drift apart
 *   --markets 100000    pools, vaults, names, paid storage, beacon and relays on so many random sequences, from --seed on
 *   --minutes 10        ends the sequences of markets after so long and says how many were run
 *   --jobs 2            pairs of daemons at once for the crashes
 *   --state DIR         where is noted what is done, a line each with the commit that ran; run again to go on there, start
 *                       with an empty folder to run everything on the code as it is now
 *
 * Prints every failure as it comes, what replays each, and a summary; exit 1 when anything failed.
 */
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { soakCrashes } from './crashes.ts';
import { soakHostKills } from './host-kills.ts';
import { soakMarkets } from './markets.ts';
import { soakMounts } from './mounts.ts';
import { soakStreamChaos } from './stream-chaos.ts';
import { soakStreamLong } from './stream-long.ts';
import { consensus, largeConsensus, plans, simulations, soakSeeds } from './seeds.ts';

const { values } = parseArgs({
  options: {
    crashes: { type: 'string' },
    mounts: { type: 'string' },
    plans: { type: 'string' },
    simulations: { type: 'string' },
    consensus: { type: 'string' },
    'large-consensus': { type: 'string' },
    'host-kills': { type: 'string' },
    markets: { type: 'string' },
    minutes: { type: 'string' },
    'stream-chaos': { type: 'string' },
    'stream-minutes': { type: 'string' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    state: { type: 'string', default: path.join(os.tmpdir(), 'extrachain-soak-state') },
  },
});
const parts = [values.crashes, values.mounts, values.plans, values.simulations, values.consensus];
const all = [
  ...parts,
  values['large-consensus'],
  values['host-kills'],
  values.markets,
  values['stream-chaos'],
  values['stream-minutes'],
].every((given) => given === undefined);
const count = (given: string | undefined, usual: number): number => Number(given ?? (all ? usual : 0));
const crashes = count(values.crashes, 240);
const mounts = count(values.mounts, 40);
const planned = count(values.plans, 1_000_000);
const simulated = count(values.simulations, 2000);
const decided = count(values.consensus, 20_000);
const decidedByMany = count(values['large-consensus'], 4);
const traded = count(values.markets, 100_000);
const chaos = count(values['stream-chaos'], 60);
const streamed = count(values['stream-minutes'], 60);
const hostKills = count(values['host-kills'], 50);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const lines: string[] = [];
let failed = 0;
const minutes = async (work: () => Promise<{ summary: string; failed: number }>): Promise<void> => {
  const start = performance.now();
  const result = await work();
  failed += result.failed;
  lines.push(`${result.summary}; ${((performance.now() - start) / 60_000).toFixed(1)} min`);
};

await mkdir(values.state, { recursive: true });
if (mounts > 0) await minutes(() => soakMounts(mounts));
if (planned > 0) await minutes(() => soakSeeds(plans, planned, Number(values.seed), values.state));
if (simulated > 0) await minutes(() => soakSeeds(simulations, simulated, Number(values.seed), values.state));
if (decided > 0) await minutes(() => soakSeeds(consensus, decided, Number(values.seed), values.state));
if (decidedByMany > 0)
  await minutes(() => soakSeeds(largeConsensus, decidedByMany, Number(values.seed), values.state));
if (traded > 0)
  await minutes(() => soakMarkets(traded, Number(values.seed), Number(values.minutes ?? Infinity)));
if (chaos > 0) await minutes(() => soakStreamChaos(chaos, Number(values.seed)));
if (streamed > 0) await minutes(() => soakStreamLong(streamed));
if (hostKills > 0) await minutes(() => soakHostKills(hostKills, Number(values.seed)));
if (crashes > 0) await minutes(() => soakCrashes(crashes, values.state, Number(values.jobs)));

console.log(
  `\nsoak of ${new Date().toISOString()}, Node ${process.versions.node}, ${os.type()} ${os.release()}`,
);
for (const line of lines) console.log(line);
process.exitCode = failed === 0 ? 0 : 1;
