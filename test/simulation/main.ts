/**
 * `npm run simulate`: placement and repair of hosted drives with 100, 1,000 and 10,000 nodes, a third of them away at any time.
 *
 *   --nodes 100,1000,10000   sizes of the network
 *   --hours 96               simulated time
 *   --drives 6               drives per node
 *   --copies 3               copies of each drive
 *   --seed 1
 */
import { parseArgs } from 'node:util';
import { simulateHosting } from './hosting-simulation.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '100,1000,10000' },
    hours: { type: 'string', default: '96' },
    drives: { type: 'string', default: '6' },
    copies: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
  },
});
const head =
  '| nodes | drives | max / mean | availability | lost | repair a day | looked at | nearest source, median / p99 |';
console.log(head);
console.log('|---|---|---|---|---|---|---|---|');
for (const nodes of values.nodes.split(',').map(Number)) {
  const result = simulateHosting({
    nodes,
    drivesPerNode: Number(values.drives),
    copies: Number(values.copies),
    hours: Number(values.hours),
    seed: Number(values.seed),
  });
  console.log(
    `| ${nodes} | ${result.drives} | ${result.spread.toFixed(2)} | ${(result.availability * 100).toFixed(4)} % | ${result.lost} ` +
      `| ${(result.repairPerDay * 100).toFixed(0)} % | ${result.costPerPlan.toFixed(0)} ` +
      `| ${result.latencyMedian.toFixed(0)} / ${result.latencyP99.toFixed(0)} ms |`,
  );
}
