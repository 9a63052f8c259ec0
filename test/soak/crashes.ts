import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { prepareCrashBench, spread, type CrashBench, type CrashPoint } from '../support/crash-run.ts';
import { tempDir } from '../support/daemon.ts';
import { commitNow } from './commit.ts';

interface Outcome {
  readonly point: string;
  readonly outcome: 'recovered' | 'not reached' | 'failed';
  /** Of the code that ran. */
  readonly commit?: string;
}

async function run(bench: CrashBench, point: CrashPoint): Promise<Outcome['outcome']> {
  try {
    return (await bench.run(point)).reached ? 'recovered' : 'not reached';
  } catch (error) {
    console.log((error as Error).message);
    return 'failed';
  }
}

const name = ({ side, thread, n }: CrashPoint): string => `${side}:${thread}:${n}`;

/**
 * SIGKILL at `count` numbered points of a transfer, on both sides, in every thread; each run restarts the victim and must end
 * whole and identical. Results are kept in `stateDir` point by point, so that an interrupted soak goes on where it was. Most of
 * a run is waiting, so `jobs` pairs of daemons take turns at the processor.
 */
export async function soakCrashes(
  count: number,
  stateDir: string,
  jobs: number,
): Promise<{ summary: string; failed: number }> {
  const pointsFile = path.join(stateDir, `crash-points-${count}.json`);
  const outcomesFile = path.join(stateDir, `crash-outcomes-${count}.jsonl`);
  const temp = await tempDir('soak');
  try {
    const benches = [await prepareCrashBench(path.join(temp.dir, '0'))];
    for (let i = 1; i < jobs; i++) benches.push(await prepareCrashBench(path.join(temp.dir, String(i))));
    const points = await readFile(pointsFile, 'utf8').then(
      (text) => JSON.parse(text) as CrashPoint[],
      async () => {
        const total = await benches[0]!.count();
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
    const commit = await commitNow();
    const commits = new Set(before.map((line) => (JSON.parse(line) as Outcome).commit ?? 'unknown'));
    const start = performance.now();
    const rest = points.filter((point) => !outcomes.has(name(point)));
    await Promise.all(
      benches.map(async (bench) => {
        for (let point = rest.shift(); point !== undefined; point = rest.shift()) {
          const outcome = await run(bench, point);
          outcomes.set(name(point), outcome);
          commits.add(commit);
          await appendFile(
            outcomesFile,
            `${JSON.stringify({ point: name(point), outcome, commit } satisfies Outcome)}\n`,
          );
          const seconds = Math.round((performance.now() - start) / 1000);
          if (outcomes.size % 10 === 0)
            console.log(`${outcomes.size} of ${points.length} points, ${seconds} s`);
        }
      }),
    );
    const counted = (wanted: Outcome['outcome']): number =>
      points.filter((point) => outcomes.get(name(point)) === wanted).length;
    const failed = counted('failed');
    return {
      failed,
      summary: `SIGKILL: ${points.length} points (commit ${[...commits].join(', ')}), ${counted('recovered')} killed and recovered, ${counted('not reached')} not reached, ${failed} failed`,
    };
  } finally {
    await temp.remove();
  }
}
