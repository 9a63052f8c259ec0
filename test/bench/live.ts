/**
 * `npm run bench:live [-- --runs 5] [--seconds 20]`: delay and start of live streams, glass to glass, with two real Chromiums and two
 * real daemons on one computer. A time stamp drawn into the camera's pictures is read back from the player's (camera sensor and screen
 * are not in it). Prints medians and ranges with the load of the machine; a run whose sound and pictures end more than 100 ms apart,
 * or with fewer than ten readable pictures a second, does not count. Never judges.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { StreamStats, StreamSummary } from '../../src-shared/contract/index.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from '../window/browser.ts';
import { giveStampedCamera, mediaArgs, readStamps, seenBy, unreadableBy } from '../window/stamped-camera.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '20' },
    modes: { type: 'string', default: 'default,interactive' },
  },
});
const runs = Number(values.runs);
const seconds = Number(values.seconds);

interface Run {
  readonly delay: number;
  readonly delayHigh: number;
  readonly start: number;
  readonly perSecond: number;
  readonly apart: number;
  readonly unreadable: number;
  readonly load: number;
  readonly lost: number;
}

if (findChromium() === null) {
  console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');
  process.exit(0);
}
buildWindow();

const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const at = (numbers: readonly number[], share: number): number =>
  sorted(numbers)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? Number.NaN;
const range = (numbers: readonly number[], unit: string): string =>
  `${at(numbers, 0.5).toFixed(0)} ${unit} (${Math.min(...numbers).toFixed(0)} to ${Math.max(...numbers).toFixed(0)})`;

/** Where the last packet of a track ends, seconds; ffprobe. */
function endOf(file: string, track: 'v' | 'a'): number {
  const args = ['-v', 'error', '-select_streams', track, '-show_entries', 'packet=pts_time,duration_time'];
  const { stdout } = spawnSync('ffprobe', [...args, '-of', 'csv=p=0', file], { encoding: 'utf8' });
  const ends = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(',').map(Number))
    .map(([pts = 0, duration = 0]) => pts + (duration || 0));
  return Math.max(...ends);
}

async function run(mode: string): Promise<Run> {
  const temp = await tempDir('bench-live');
  const undo: (() => Promise<unknown>)[] = [() => temp.remove()];
  try {
    const start = (name: string, host: string) =>
      startDaemon({ data: path.join(temp.dir, name), host, env: { HOME: temp.dir } });
    const ada = await start('ada', '127.0.0.63');
    undo.push(() => ada.stop());
    const ben = await start('ben', '127.0.0.64');
    undo.push(() => ben.stop());
    await ada.cli('id', 'create');
    await ben.cli('id', 'create');
    await mkdir(path.join(temp.dir, 'Recordings'));
    await ada.cli('drive', 'create', 'Recordings', '--folder', path.join(temp.dir, 'Recordings'));
    await ben.cli('net', 'ping', ada.ready.addresses[0]!);
    const studio = await openBrowser({ args: mediaArgs });
    undo.push(() => studio.close());
    const camera = studio.page;
    await giveStampedCamera(camera, { width: 1280, height: 720 });
    await camera.addInitScript(`localStorage.setItem('extrachain.studio.latency', '${mode}')`);
    await camera.goto(ada.ready.ui);
    await camera.getByRole('link', { name: 'Live', exact: true }).first().click();
    await camera.getByRole('main').getByRole('button', { name: 'Go live' }).click();
    await camera.getByRole('button', { name: 'Use the camera' }).click();
    await camera.getByLabel('Title of the stream').fill('Bench');
    await camera.getByRole('button', { name: 'Not saved' }).click();
    await camera.getByRole('menuitem', { name: 'Recordings' }).click();
    await camera.getByRole('button', { name: 'Go live' }).click();
    await camera.getByRole('timer').waitFor({ timeout: 60_000 });
    const viewer = await openBrowser({ args: mediaArgs });
    undo.push(() => viewer.close());
    const { page } = viewer;
    await page.goto(ben.ready.ui);
    await page.getByRole('link', { name: 'Live', exact: true }).first().click();
    const card = page.getByRole('link', { name: /Bench/ });
    await card.waitFor();
    await readStamps(page);
    // From the click, in the page's own time, to the first picture.
    await page.evaluate(
      "addEventListener('click', () => (window.clicked ??= Date.now()), { capture: true })",
    );
    await sleep(2000);
    await card.click();
    const until = Date.now() + seconds * 1000;
    while (Date.now() < until) await sleep(500);
    const seen = await seenBy(page);
    const clicked = (await page.evaluate('window.clicked')) as number;
    const own = async (): Promise<StreamSummary> => (await ada.cli<StreamSummary[]>('stream', 'list'))[0]!;
    const { gaps } = await ben.cli<StreamStats>('stream', 'stats', (await own()).streamId);
    const load = os.loadavg()[0] ?? Number.NaN;
    // Two seconds for settling, as a person would not notice either.
    const settled = seen.filter(({ shown }) => shown > (seen[0]?.shown ?? 0) + 2000);
    const span = ((settled.at(-1)?.shown ?? 0) - (settled[0]?.shown ?? 0)) / 1000;
    await camera.getByRole('button', { name: 'End', exact: true }).click();
    await camera.getByRole('button', { name: 'Go live' }).waitFor({ timeout: 30_000 });
    let file = '';
    for (let n = 0; n < 60 && (file === '' || !existsSync(file)); n += 1) {
      await sleep(500);
      const { recording } = await own();
      if (recording !== null) file = path.join(temp.dir, 'Recordings', recording.path);
    }
    await sleep(1000);
    const delays = settled.map(({ made, shown }) => shown - made);
    return {
      delay: at(delays, 0.5),
      delayHigh: at(delays, 0.95),
      start: (seen[0]?.shown ?? Number.NaN) - clicked,
      perSecond: settled.length / span,
      apart: Math.abs(endOf(file, 'v') - endOf(file, 'a')) * 1000,
      unreadable: await unreadableBy(page),
      load,
      lost: gaps,
    };
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

for (const mode of values.modes.split(',')) {
  const good: Run[] = [];
  for (let n = 0; n < runs; n += 1) {
    const one = await run(mode);
    const counts = one.apart <= 100 && one.perSecond >= 10;
    if (counts) good.push(one);
    console.log(
      `${mode} ${n + 1}: delay p50 ${one.delay.toFixed(0)}, p95 ${one.delayHigh.toFixed(0)} ms, start ${one.start.toFixed(0)} ms, ` +
        `${one.perSecond.toFixed(1)} pictures a second, ends ${one.apart.toFixed(0)} ms apart, ${one.unreadable} unreadable, ` +
        `${one.lost} lost, load ${one.load.toFixed(1)}${counts ? '' : ' (does not count)'}`,
    );
  }
  if (good.length === 0) continue;
  console.log(`${mode}: ${good.length} of ${runs} runs count`);
  console.log(
    `  glass to glass, p50    ${range(
      good.map(({ delay }) => delay),
      'ms',
    )}`,
  );
  console.log(
    `  glass to glass, p95    ${range(
      good.map(({ delayHigh }) => delayHigh),
      'ms',
    )}`,
  );
  console.log(
    `  click to first picture ${range(
      good.map(({ start }) => start),
      'ms',
    )}`,
  );
  console.log(
    `  ends of sound and pictures apart ${range(
      good.map(({ apart }) => apart),
      'ms',
    )}`,
  );
}
