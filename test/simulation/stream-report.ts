import { simulateStream } from './stream-simulation.ts';
import type { StreamSimulationOptions, StreamSimulationResult } from './stream-simulation.ts';

/** Scenarios by name; `viewers` is what was asked for on the command line. */
const scenarios = (
  viewers: number,
): Record<string, Partial<StreamSimulationOptions> & { viewers: number }> => ({
  // Everybody within ten seconds, then one in a hundred leaves each second and another one comes.
  churn: { viewers, arriveMs: 10_000, watchMs: 22_000, leavePerSecond: 0.01 },
  // Every two seconds one repeater in a hundred is killed, one in a hundred frozen, one in a hundred slowed.
  chaos: { viewers, arriveMs: 10_000, watchMs: 22_000, chaosMs: 2_000 },
  half: { viewers, arriveMs: 10_000, watchMs: 14_000, halfKilledMs: 7_000 },
  // Negative controls.
  'no-backups': {
    viewers: Math.min(viewers, 1_000),
    arriveMs: 10_000,
    watchMs: 22_000,
    chaosMs: 2_000,
    without: 'backups',
  },
  'with-backups': { viewers: Math.min(viewers, 1_000), arriveMs: 10_000, watchMs: 22_000, chaosMs: 2_000 },
  'no-repeaters': { viewers: 64, arriveMs: 5_000, watchMs: 12_000, without: 'repeaters', sourceUplink: 1e9 },
  'upload-1': { viewers: 1, arriveMs: 1_000, watchMs: 12_000 },
  'upload-8': { viewers: 8, arriveMs: 2_000, watchMs: 12_000 },
  'upload-32': { viewers: 32, arriveMs: 5_000, watchMs: 12_000 },
  'upload-64': { viewers: 64, arriveMs: 5_000, watchMs: 12_000 },
});

/**
 * Runs the scenarios and prints a row for each as soon as it is done. The seed is printed: the same one gives the same figures,
 * on any machine.
 */
export function reportStreams(options: {
  readonly viewers: number;
  readonly seed: number;
  readonly only: readonly string[] | null;
}): void {
  console.log(`seed ${options.seed}`);
  console.log(
    '| scenario | viewers | joined in 2 s | join p50 / p99 | depth, mean | continuity | without a stop | source fan-out ' +
      '| source upload a viewer | overhead | duplicates | repairs | repair p50 / p95 | playing 5 s after the kill | CPU |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|');
  for (const [name, scenario] of Object.entries(scenarios(options.viewers))) {
    if (options.only && !options.only.includes(name)) continue;
    const before = process.cpuUsage();
    const result = simulateStream({ arriveMs: 10_000, watchMs: 22_000, seed: options.seed, ...scenario });
    const cpu = process.cpuUsage(before);
    console.log(row(name, result, (cpu.user + cpu.system) / 1e6));
  }
}

function row(name: string, r: StreamSimulationResult, cpu: number): string {
  const percent = (share: number, digits = 2): string => `${(share * 100).toFixed(digits)} %`;
  const ms = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(0));
  return `| ${[
    name,
    r.viewers,
    percent(r.joinedInTwo),
    `${ms(r.joinMedian)} / ${ms(r.joinP99)} ms`,
    `${r.depth}, ${r.depthMean.toFixed(2)}`,
    percent(r.continuity, 3),
    percent(r.smooth, 1),
    r.sourceFanOut,
    `${(r.sourcePerViewer / 1_000).toFixed(1)} kbit/s`,
    percent(r.overhead),
    percent(r.duplicates),
    r.repairs,
    `${ms(r.repairMedian)} / ${ms(r.repairP95)} ms`,
    r.playingAfterKill === null ? '–' : percent(r.playingAfterKill, 1),
    `${cpu.toFixed(0)} s`,
  ].join(' | ')} |`;
}
