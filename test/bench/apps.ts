/**
 * `npm run bench:apps [-- --runs 5] [--calls 1000]`: an installed app in a real Chromium before a real daemon: from the click to the first
 * thing the app shows, and how long calls of the provider take. Prints numbers; never judges.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildApp } from '../../bin/build-apps.mjs';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import { findChromium, openBrowser } from '../window/browser.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, calls: { type: 'string', default: '1000' } },
});
const runs = Number(values.runs);
const calls = Number(values.calls);
if (findChromium() === null) {
  console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');
  process.exit(0);
}
const say = (what: string, value: string): void => console.log(`${what.padEnd(58)} ${value}`);
const at = (numbers: readonly number[], share: number): string =>
  `${([...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? Number.NaN).toFixed(1)} ms`;

const temp = await tempDir('bench-apps');
const data = path.join(temp.dir, 'data');
const daemon = await startDaemon({ data });
const node = await connectToDaemon(data);
const browser = await openBrowser();
try {
  const { client } = node;
  await client.identity.create({});
  const home = path.join(temp.dir, 'Photos');
  await mkdir(home);
  for (let n = 0; n < 20; n += 1) await writeFile(path.join(home, `note-${n}.txt`), `${n}`);
  const { driveId } = await client.drives.create({ name: 'Photos', folder: home });
  await client.drives.wait({ drive: driveId });
  const file = path.join(temp.dir, 'gallery.exapp');
  await client.apps.pack({ dir: await buildApp('gallery', path.join(temp.dir, 'app')), out: file });
  const { appId } = await client.apps.install({
    file,
    grants: [{ name: 'drive.read', caveats: { drive: driveId, path: '' } }],
  });
  say(
    'load of the machine',
    os
      .loadavg()
      .map((one) => one.toFixed(1))
      .join(' '),
  );

  const starts: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const page = await browser.page.context().newPage();
    const begun = performance.now();
    const { url } = await client.apps.launch({ app: appId });
    await page.goto(url, { waitUntil: 'commit' });
    // Its bar stands when the app has its session and the list of its folders.
    await page.locator('.bar').waitFor();
    starts.push(performance.now() - begun);
    if (run < runs - 1) await page.close();
  }
  say(`launch to the app's first own picture, ${runs} times, p50`, at(starts, 0.5));
  say('  slowest', at(starts, 1));

  const page = browser.page.context().pages().at(-1)!;
  const folder = (
    (await page.evaluate("extrachain.request({ method: 'exc_driveList' })")) as {
      folders: { folder: string }[];
    }
  ).folders[0]!.folder;
  const methods: readonly (readonly [string, object])[] = [
    ['wallet_getSession', {}],
    ['exc_accounts', {}],
    ['exc_driveEntries', { folder, path: '' }],
    ['exc_driveRead', { folder, path: 'note-1.txt' }],
  ];
  for (const [method, params] of methods) {
    const took = (await page.evaluate(
      `(async () => {
        const took = [];
        for (let n = 0; n < ${calls}; n += 1) {
          // Below the rate that a page is held to.
          if (n % 200 === 199) await new Promise((resolve) => setTimeout(resolve, 700));
          const begun = performance.now();
          await extrachain.request(${JSON.stringify({ method, params })});
          took.push(performance.now() - begun);
        }
        return took;
      })()`,
    )) as number[];
    say(`${method}, ${calls} calls one after another, p50`, at(took, 0.5));
    say('  p95', at(took, 0.95));
  }
} finally {
  await browser.close();
  node.close();
  await daemon.stop();
  await temp.remove();
}
