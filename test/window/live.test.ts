import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamStats, StreamSummary } from '../../src-shared/contract/index.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';
import { giveStampedCamera, mediaArgs, readStamps, seenBy, unreadableBy } from './stamped-camera.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');
const hasProbe = spawnSync('ffprobe', ['-version']).status === 0;

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

describe.skipIf(chromium === null)('going live in the window', { timeout: 120_000 }, () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let ada: Daemon;
  let ben: Daemon;
  let studio: Browser;
  let viewer: Browser;
  let uiPort = 0;
  /** Each time at the same address for the window, as who has it open wants it. */
  const startAda = (): Promise<Daemon> =>
    startDaemon({
      data: path.join(temp.dir, 'ada'),
      host: '127.0.0.61',
      args: ['--ui', `127.0.0.1:${uiPort}`],
      env: { HOME: temp.dir },
    });
  const own = async (): Promise<StreamSummary> => {
    const [stream] = await ada.cli<StreamSummary[]>('stream', 'list');
    return stream!;
  };
  const ingested = async (): Promise<number> =>
    (await ada.cli<StreamStats>('stream', 'stats', (await own()).streamId)).ingested;

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-live');
    uiPort = await freePort();
    ada = await startAda();
    ben = await startDaemon({
      data: path.join(temp.dir, 'ben'),
      host: '127.0.0.62',
      env: { HOME: temp.dir },
    });
    await ada.cli('id', 'create');
    await ben.cli('id', 'create');
    await mkdir(path.join(temp.dir, 'Recordings'));
    await ada.cli('drive', 'create', 'Recordings', '--folder', path.join(temp.dir, 'Recordings'));
    await ben.cli('net', 'ping', ada.ready.addresses[0]!);
    studio = await openBrowser({ args: mediaArgs });
    await giveStampedCamera(studio.page, { width: 1280, height: 720 });
    await studio.page.goto(ada.ready.ui);
    viewer = await openBrowser({ args: mediaArgs });
    await viewer.page.goto(ben.ready.ui);
  }, 120_000);

  afterAll(async () => {
    await studio?.close();
    await viewer?.close();
    for (const daemon of [ada, ben]) await daemon?.stop();
    await temp?.remove();
  });

  it('says what is wrong with a camera, and sends when it is there', async () => {
    const { page } = studio;
    await page.getByRole('link', { name: 'Live', exact: true }).first().click();
    await page.getByRole('main').getByRole('button', { name: 'Go live' }).click();
    for (const [error, words] of [
      ['NotAllowedError', 'may not be used'],
      ['NotFoundError', 'No camera was found'],
      ['NotReadableError', 'Another program uses the camera'],
    ] as const) {
      await page.evaluate(`window.cameraTrouble = '${error}'`);
      await page.getByRole('button', { name: 'Use the camera' }).click();
      await page.getByRole('alert').filter({ hasText: words }).first().waitFor();
    }
    await page.evaluate('window.cameraTrouble = null');
    const go = page.getByRole('button', { name: 'Go live' });
    expect(await go.isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Use the camera' }).click();
    await page.getByRole('alert').first().waitFor({ state: 'detached' });
    // Little to encode: this is about what happens, also on a busy machine.
    await page.getByRole('button', { name: 'Quality and delay' }).click();
    await page.getByLabel('Size of the picture').selectOption('360');
    await page.getByRole('radio', { name: '15' }).click();
    await page.keyboard.press('Escape');
    await page.getByLabel('Title of the stream').fill('Harbour sessions');
    await page.getByRole('button', { name: 'Not saved' }).click();
    await page.getByRole('menuitem', { name: 'Recordings' }).click();
    await page.getByRole('button', { name: 'Saving to Recordings' }).waitFor();
    await go.click();
    await page.getByRole('timer').waitFor({ timeout: 45_000 });
    expect(await studio.accessibility()).toEqual([]);
  });

  it('shows the pictures of the camera to somebody else, who pauses, goes back and chooses a quality', async () => {
    const { page } = viewer;
    await page.getByRole('link', { name: 'Live', exact: true }).first().click();
    // What was seen when it went live.
    await page.locator('[data-stream] img').waitFor();
    await readStamps(page);
    await page.getByRole('link', { name: /Harbour sessions/ }).click();
    const pictures = async (): Promise<number> => {
      // On a very busy machine joining may fail: a person would try again.
      const again = page.getByRole('button', { name: 'Try again' });
      if (await again.isVisible()) await again.click();
      return (await seenBy(page)).length;
    };
    await expect.poll(pictures, { timeout: 90_000, interval: 500 }).toBeGreaterThan(20);
    const seen = await seenBy(page);
    // What comes out is what went in, in its order, and most of it readable.
    for (const [n, one] of seen.entries()) {
      expect(one.shown).toBeGreaterThan(one.made);
      if (n > 0) expect(one.made).toBeGreaterThanOrEqual(seen[n - 1]!.made);
    }
    expect(await unreadableBy(page)).toBeLessThan(seen.length / 10);
    await page.getByText(/behind the camera/).waitFor();
    expect(await viewer.accessibility()).toEqual([]);

    const video = page.locator('video[data-live]');
    await video.focus();
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('button', { name: 'Back to live' }).waitFor();
    await page.keyboard.press('l');
    await page.getByRole('button', { name: 'Live, nothing to catch up' }).waitFor();
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
    await page.keyboard.press('l');
    await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
    await page.keyboard.press('m');
    await page.getByRole('button', { name: 'Unmute' }).waitFor();

    await page.getByRole('button', { name: /^Quality/ }).click();
    await page.getByRole('menuitem', { name: 'Sound only' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Follow' }).click();
    await page.getByRole('button', { name: 'Unfollow' }).waitFor();
  });

  it('goes on after the page was loaded anew, and tells who watches meanwhile', async () => {
    const { page } = studio;
    const before = (await own()).streamId;
    page.on('dialog', (dialog) => void dialog.accept());
    await page.reload();
    await page.getByRole('button', { name: 'Go on' }).waitFor({ timeout: 30_000 });
    await viewer.page.getByText('The source has gone for a moment').waitFor({ timeout: 30_000 });
    expect(await studio.accessibility()).toEqual([]);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('timer').waitFor({ timeout: 45_000 });
    expect((await own()).streamId).toBe(before);
    await expect.poll(async () => (await own()).away, { timeout: 30_000 }).toBe(false);
    await viewer.page
      .getByText('The source has gone for a moment')
      .waitFor({ state: 'detached', timeout: 30_000 });
    const seen = (await seenBy(viewer.page)).length;
    await expect
      .poll(async () => (await seenBy(viewer.page)).length, { timeout: 45_000 })
      .toBeGreaterThan(seen + 10);
  });

  it('goes on by itself after its node crashed and was started anew', async () => {
    const before = (await own()).streamId;
    const seen = (await seenBy(viewer.page)).length;
    await ada.kill();
    const away = studio.page
      .getByRole('alert')
      .filter({ hasText: 'your stream goes on as soon as it is back' });
    await away.waitFor({ timeout: 30_000 });
    expect(await studio.accessibility()).toEqual([]);
    ada = await startAda();
    // At another address nothing is kept in the browser: the stream is found, what it shows is chosen again.
    const other = await studio.page.context().newPage();
    await other.goto(ada.ready.ui.replace('127.0.0.1', 'localhost'));
    await other.getByRole('link', { name: 'Live', exact: true }).first().click();
    await other.getByRole('main').getByRole('button', { name: 'Go live' }).click();
    await other.getByRole('button', { name: 'Go on' }).click();
    await other.getByText('Add what you want to show, then go on.').waitFor();
    await other.close();
    // What the page says to do: open the address that the node printed.
    await studio.page.goto(ada.ready.ui);
    await away.waitFor({ state: 'detached', timeout: 45_000 });
    await expect.poll(async () => (await own()).away, { timeout: 30_000 }).toBe(false);
    expect((await own()).streamId).toBe(before);
    await expect
      .poll(async () => (await seenBy(viewer.page)).length, { timeout: 60_000 })
      .toBeGreaterThan(seen + 10);
    // Nothing else was wrong than that nobody answered.
    expect(studio.complaints.filter((one) => !/ERR_CONNECTION_REFUSED|WebSocket|404/.test(one))).toEqual([]);
    studio.complaints.length = 0;
  });

  it('goes on without a camera that was unplugged, and on other pages', async () => {
    const { page } = studio;
    await page.evaluate('window.cameras[0].unplug()');
    await page.getByRole('alert').filter({ hasText: 'The camera is gone' }).waitFor();
    await page.getByRole('link', { name: 'Home', exact: true }).click();
    const before = await ingested();
    await expect.poll(ingested, { timeout: 30_000 }).toBeGreaterThan(before + 10);
    await page.getByRole('link', { name: 'Live', exact: true }).first().click();
    await page.getByRole('button', { name: 'To your stream' }).click();
    await page.getByRole('timer').waitFor();
  });

  it('ends for everybody and leaves a recording whose sound and pictures end together', async () => {
    const { page } = studio;
    await page.getByRole('button', { name: 'End', exact: true }).click();
    await page.getByRole('button', { name: 'Go live' }).waitFor({ timeout: 30_000 });
    await viewer.page.getByText('It has ended.').waitFor({ timeout: 45_000 });
    expect(studio.complaints).toEqual([]);
    if (!hasProbe) {
      console.log('skipped: no ffprobe on this system');
      return;
    }
    await expect.poll(async () => (await own()).recording, { timeout: 30_000 }).not.toBeNull();
    const file = path.join(temp.dir, 'Recordings', (await own()).recording!.path);
    const probe = (stream: string) =>
      spawnSync(
        'ffprobe',
        [
          '-v',
          'error',
          '-select_streams',
          stream,
          '-show_entries',
          'packet=pts_time,duration_time',
          '-of',
          'csv=p=0',
          file,
        ],
        { encoding: 'utf8' },
      );
    await expect.poll(() => probe('v').stdout.length, { timeout: 30_000 }).toBeGreaterThan(0);
    const end = (stream: string): number =>
      Math.max(
        ...probe(stream)
          .stdout.trim()
          .split('\n')
          .map((line) => {
            const [pts = 0, duration = 0] = line.split(',').map(Number);
            return pts + (duration || 0);
          }),
      );
    expect(probe('v').stderr).toBe('');
    expect(Math.abs(end('v') - end('a'))).toBeLessThan(0.1);
    // It began anew after the crash.
    expect(end('v')).toBeGreaterThan(1);
  });
});
