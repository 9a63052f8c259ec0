/**
 * `npm run bench:window [-- --files 100000] [--idle 20]`: what the window's speed goals are about, measured in a real Chromium
 * with real daemons. Prints numbers; never judges.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { windowSize } from '../../bin/window-size.mjs';
import { startDaemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from '../window/browser.ts';

const { values } = parseArgs({
  options: { files: { type: 'string', default: '100000' }, idle: { type: 'string', default: '20' } },
});
const files = Number(values.files);
const idleSeconds = Number(values.idle);

if (findChromium() === null) {
  console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');
  process.exit(0);
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
const say = (what: string, value: string): void => console.log(`${what.padEnd(58)} ${value}`);

/** CPU time of a process so far, ms (Linux); null elsewhere. */
function cpuMs(pid: number): number | null {
  if (!existsSync(`/proc/${pid}/stat`)) return null;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function idleCpu(pid: number): Promise<string> {
  const before = cpuMs(pid);
  await sleep(idleSeconds * 1000);
  const after = cpuMs(pid);
  return before === null || after === null
    ? 'not measured here'
    : `${((after - before) / idleSeconds / 10).toFixed(2)} %`;
}

interface Scrolled {
  readonly fps: number;
  /** Frames that took longer than two of a screen's. */
  readonly slow: number;
  readonly frames: number;
}

/** Frames while a list scrolls for some seconds, and the page's own work for one: what a busy machine adds is not in that. */
async function scroll(page: Page, pixels: number): Promise<Scrolled & { readonly work: number }> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const busy = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN;
  };
  const before = await busy();
  const scrolled = (await page.evaluate(scrolling(pixels))) as Scrolled;
  const work = ((await busy()) - before) * 1000;
  await session.detach();
  return { ...scrolled, work: work / scrolled.frames };
}

const scrolling = (pixels: number): string => `new Promise((resolve) => {
    const list = document.querySelector('[role=treegrid] .scroll-y');
    const frames = [];
    const started = performance.now();
    let last = started;
    const step = (now) => {
      frames.push(now - last);
      last = now;
      if (now - started > 5000)
        return resolve({
          fps: (frames.length * 1000) / (now - started),
          slow: frames.filter((ms) => ms > 34).length,
          frames: frames.length,
        });
      list.scrollTop += ${pixels};
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  })`;

buildWindow();
const { all, first } = windowSize(path.resolve(import.meta.dirname, '../../dist/window'));
say('bundle without the PDF viewer, gzipped', `${(all / 1000).toFixed(0)} kB`);
say('of it loaded before the first view', `${(first / 1000).toFixed(0)} kB`);
const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-window-'));
const undo: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })];
try {
  const folder = path.join(dir, 'Large');
  await mkdir(path.join(folder, 'Many'), { recursive: true });
  for (let n = 0; n < files; n += 1000) {
    const names = Array.from({ length: Math.min(1000, files - n) }, (_, i) => `photo ${n + i}.jpg`);
    await Promise.all(names.map((name) => writeFile(path.join(folder, 'Many', name), name)));
  }
  const daemon = await startDaemon({ data: path.join(dir, 'data'), host: '127.0.0.27' });
  undo.push(() => daemon.stop());
  await daemon.cli('id', 'create');
  await daemon.cli('drive', 'create', 'Large', '--folder', folder);
  await daemon.cli('drive', 'wait', 'Large', '--timeout', '600');
  const pid = (JSON.parse(readFileSync(path.join(dir, 'data', 'api.json'), 'utf8')) as { pid: number }).pid;
  await sleep(3000);
  say('CPU of the idle daemon, no window', await idleCpu(pid));

  const paints: number[] = [];
  const first: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    const fresh = await openBrowser();
    const started = performance.now();
    await fresh.page.goto(daemon.ready.ui);
    await fresh.page.getByRole('heading', { name: 'Home' }).waitFor();
    paints.push(performance.now() - started);
    const paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN";
    first.push((await fresh.page.evaluate(paint)) as number);
    await fresh.close();
  }
  say('first paint after the address was opened', `${median(first).toFixed(0)} ms`);
  say('from opening the address to the drives on screen', `${median(paints).toFixed(0)} ms`);

  const browser = await openBrowser();
  undo.push(() => browser.close());
  const { page } = browser;
  await page.goto(daemon.ready.ui);
  await page.getByRole('link', { name: /Large/ }).first().click();
  const row = page.getByRole('row', { name: /photo 0\.jpg/ });
  /** From the key that opens the folder to its first rows, in the page's own time. */
  const open = async (): Promise<number> => {
    await page.getByRole('row', { name: /Many/ }).waitFor();
    await page.getByRole('treegrid').focus();
    await page.keyboard.press('Home');
    const time = page.evaluate(`new Promise((resolve) => {
      addEventListener('keydown', () => {
        const started = performance.now();
        const look = () => document.querySelector('[role=row][aria-rowindex="2"] [title], [role=row][aria-rowindex="2"]')
          ?.textContent?.includes('photo') ? resolve(performance.now() - started) : requestAnimationFrame(look);
        look();
      }, { once: true, capture: true });
    })`) as Promise<number>;
    await sleep(100);
    await page.keyboard.press('Enter');
    return time;
  };
  const cold = await open();
  await row.waitFor();
  const again: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    await page.keyboard.press('Backspace');
    again.push(await open());
  }
  say(`folder of ${files} entries opens, first time`, `${cold.toFixed(0)} ms`);
  say('  and again', `${median(again).toFixed(0)} ms`);
  for (const layout of ['list', 'grid']) {
    if (layout === 'grid') await page.getByRole('radio', { name: /grid/i }).click();
    await sleep(1000);
    for (const pixels of [36, 200, 3600]) {
      const { fps, slow, work } = await scroll(page, pixels);
      say(
        `scrolling the ${layout} by ${pixels} pixels a frame`,
        `${fps.toFixed(1)} frames a second, ${slow} over 34 ms, ${work.toFixed(1)} ms of work a frame`,
      );
      await page.evaluate("document.querySelector('[role=treegrid] .scroll-y').scrollTop = 0");
      await sleep(300);
    }
  }
  await page.getByRole('link', { name: 'Home', exact: true }).click();
  await sleep(2000);
  say('CPU of the idle daemon, window open', await idleCpu(pid));
} finally {
  for (const step of undo.reverse()) await step();
}
