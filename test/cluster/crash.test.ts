import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { prepareCrashBench, spread, type CrashBench } from '../support/crash-run.ts';
import { tempDir } from '../support/daemon.ts';

/** Each point is a whole transfer with a SIGKILL in it; `npm run soak` runs hundreds. */
const points = 12;
/** Pairs of daemons that take points side by side: most of a point is waiting for starts. */
const lanes = 2;

let benches: readonly CrashBench[];
let temp: { dir: string; remove(): Promise<void> };

beforeAll(async () => {
  temp = await tempDir('crash');
  benches = await Promise.all(
    Array.from({ length: lanes }, (_, i) => prepareCrashBench(path.join(temp.dir, String(i)))),
  );
}, 240_000);
afterAll(() => temp.remove());

it(
  `ends whole and identical after a SIGKILL at any of ${points} numbered points of a transfer`,
  { timeout: 1_500_000 },
  async () => {
    const total = await benches[0]!.count();
    expect(Object.values(total).reduce((x, y) => x + y, 0)).toBeGreaterThan(200);
    let reached = 0;
    const left = spread(total, points);
    await Promise.all(
      benches.map(async (bench) => {
        for (let point = left.shift(); point; point = left.shift()) {
          if ((await bench.run(point)).reached) reached++;
        }
      }),
    );
    // The counts vary a little from run to run; but a test whose crashes never happen tests nothing.
    expect(reached).toBeGreaterThan(points / 2);
  },
);
