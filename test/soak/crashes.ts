import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { prepareCrashBench, spread, type CrashPoint } from '../support/crash-run.ts';
import { tempDir } from '../support/daemon.ts';

interface Outcome {
  readonly point: string;
  readonly outcome: 'recovered' | 'not reached' | 'failed';
}

const name = ({ side, thread, n }: CrashPoint): string => `${side}:${thread}:${n}`;

/**
 * SIGKILL at `count` numbered points of a transfer, on both sides, in every thread; each run restarts the victim and must end
 * whole and identical. Results are kept in `stateDir` point by point, so that an interrupted soak goes on where it was.
 */
export async function soakCrashes(
  count: number,
  stateDir: string,
): Promise<{ summary: string; failed: number }> {
  const pointsFile = path.join(stateDir, `crash-points-${count}.json`);
  const outcomesFile = path.join(stateDir, `crash-outcomes-${count}.jsonl`);
  const temp = await tempDir('soak');
  try {
    const bench = await prepareCrashBench(temp.dir);
    const points = await readFile(pointsFile, 'utf8').then(
      (text) => JSON.parse(text) as CrashPoint[],
      async () => {
        const total = await bench.count();
        const numbered = Object.entries(total).map(([thread, n]) => `${thread} ${n}`);
        console.log(`numbered points of the transfer: ${numbered.join(', ')}`);
        const chosen = spread(total, count);
        await writeFile(pointsFile, JSON.stringify(chosen));
        return chosen;
      },
    );
    const before = (await readFile(outcomesFile, 'utf8').catch(() => '')).split('\n').filter(Boolean);
    const outcomes = new Map(
      before.map((line) => JSON.parse(line) as Outcome).map((one) => [one.point, one.outcome]),
    );
    const start = performance.now();
    for (const point of points) {
      if (outcomes.has(name(point))) continue;
      let outcome: Outcome['outcome'];
      try {
        outcome = (await bench.run(point)).reached ? 'recovered' : 'not reached';
      } catch (error) {
        outcome = 'failed';
        console.log((error as Error).message);
      }
      outcomes.set(name(point), outcome);
      await appendFile(outcomesFile, `${JSON.stringify({ point: name(point), outcome } satisfies Outcome)}\n`);
      if (outcomes.size % 10 === 0)
        console.log(`${outcomes.size} of ${points.length} points, ${Math.round((performance.now() - start) / 1000)} s`);
    }
    const counted = (wanted: Outcome['outcome']): number =>
      points.filter((point) => outcomes.get(name(point)) === wanted).length;
    const failed = counted('failed');
    return {
      failed,
      summary: `SIGKILL: ${points.length} points, ${counted('recovered')} killed and recovered, ${counted('not reached')} not reached, ${failed} failed`,
    };
  } finally {
    await temp.remove();
  }
}
