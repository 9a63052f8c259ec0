/**
 * `npm run soak [-- --points 200] [--from N]`: SIGKILL at every one of many numbered points of a transfer, on both sides, in every
 * thread. Prints one line a failure and a summary; exit 1 when any run did not end whole and identical.
 */
import { parseArgs } from 'node:util';
import { tempDir } from '../support/daemon.ts';
import { prepareCrashBench, spread } from '../support/crash-run.ts';

const { values } = parseArgs({
  options: { points: { type: 'string', default: '240' }, from: { type: 'string', default: '0' } },
});
const temp = await tempDir('soak');
let failed = 0;
let reached = 0;
try {
  const bench = await prepareCrashBench(temp.dir);
  const total = await bench.count();
  console.log(
    `points of a transfer: ${Object.entries(total)
      .map(([key, n]) => `${key} ${n}`)
      .join(', ')}`,
  );
  const points = spread(total, Number(values.points)).slice(Number(values.from));
  const start = performance.now();
  for (const [i, point] of points.entries()) {
    try {
      if ((await bench.run(point)).reached) reached++;
    } catch (error) {
      failed++;
      console.log((error as Error).message);
    }
    if (i % 20 === 19)
      console.log(
        `${i + 1} of ${points.length}: ${reached} crashed and recovered, ${failed} failed, ${((performance.now() - start) / 60_000).toFixed(1)} min`,
      );
  }
  console.log(
    `${points.length} points: ${reached} reached, ${failed} failed; Node ${process.versions.node}, ${new Date().toISOString()}`,
  );
} finally {
  await temp.remove();
}
process.exitCode = failed === 0 ? 0 : 1;
