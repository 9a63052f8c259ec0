/**
 * `npm run simulate -- --streams`: a live stream with 10,000 viewers (see `stream-report.ts`).
 *
 *   --viewers 10000          how many watch
 *   --only churn,chaos,...   some of its scenarios
 *   --seed 1
 *
 * `npm run simulate`: placement and repair of hosted drives with 100, 1,000 and 10,000 nodes, a third of them away at any
 * time, and fetches from them at the end.
 *
 *   --nodes 100,1000,10000   sizes of the network
 *   --hours 96               simulated time
 *   --drives 6               drives per node
 *   --copies 3               copies of each drive
 *   --seed 1
 */
import { parseArgs } from 'node:util';
import { simulateHosting } from './hosting-simulation.ts';
import { reportStreams } from './stream-report.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '100,1000,10000' },
    hours: { type: 'string', default: '96' },
    drives: { type: 'string', default: '6' },
    copies: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    streams: { type: 'boolean', default: false },
    viewers: { type: 'string', default: '10000' },
    only: { type: 'string' },
  },
});
if (values.streams) {
  reportStreams({
    viewers: Number(values.viewers),
    seed: Number(values.seed),
    only: values.only?.split(',') ?? null,
  });
  process.exit();
}
console.log(
  '| nodes | drives | max / mean | availability | lost | repair a day | copies | looked at | plans a day | nearest, median / p99 | took |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|---|');
const fetches: string[] = [];
for (const nodes of values.nodes.split(',').map(Number)) {
  const start = performance.now();
  const result = simulateHosting({
    nodes,
    drivesPerNode: Number(values.drives),
    copies: Number(values.copies),
    hours: Number(values.hours),
    seed: Number(values.seed),
  });
  console.log(
    `| ${nodes} | ${result.drives} | ${result.spread.toFixed(2)} | ${(result.availability * 100).toFixed(4)} % | ${result.lost} ` +
      `| ${(result.repairPerDay * 100).toFixed(0)} % | ${result.copies.toFixed(1)} | ${result.costPerPlan.toFixed(0)} ` +
      `| ${result.plansPerDay.toFixed(1)} | ${result.latencyMedian.toFixed(0)} / ${result.latencyP99.toFixed(0)} ms ` +
      `| ${((performance.now() - start) / 1000).toFixed(0)} s |`,
  );
  for (const [name, one] of [
    ['as the node chooses', result.fetched],
    ['the same, from hosts only', result.fetchedFromCopies],
    ['nearest copy only', result.fetchedFromNearest],
  ] as const) {
    const { first, whole } = one;
    fetches.push(
      `| ${nodes} | ${name} | ${one.fetches} | ${first.median.toFixed(0)} / ${first.p99.toFixed(0)} ms ` +
        `| ${(whole.median / 1000).toFixed(1)} / ${(whole.p99 / 1000).toFixed(1)} s | ${one.spread.toFixed(2)} |`,
    );
  }
}
console.log(
  '\n| nodes | source | fetches of 16 MiB | first block, median / p99 | whole, median / p99 | sending, max / mean |',
);
console.log('|---|---|---|---|---|---|');
for (const line of fetches) console.log(line);
