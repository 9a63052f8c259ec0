import { spawn, spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

/** Every address the window has, but for those of one file or one stream; `:drive` is filled in. */
const places = [
  '/',
  '/files',
  '/files/:drive',
  '/timeline/:drive',
  '/open/:drive',
  '/live',
  '/live/studio',
  `/live/watch/${'0'.repeat(64)}`,
  '/activity',
  '/wallet',
  '/wallet/token',
  '/wallet/market',
  '/wallet/chain',
  '/apps',
  '/apps/access',
  '/apps/blocked',
  '/directory',
  '/network',
  '/settings/general',
  '/settings/identity',
  '/settings/devices',
  '/settings/storage',
  '/settings/diagnostics',
];
type Look = readonly [width: number, height: number, theme: 'light' | 'dark'];
const looks: readonly Look[] = [
  [1280, 800, 'light'],
  [1280, 800, 'dark'],
  [1000, 640, 'light'],
  [390, 844, 'dark'],
];

describe.skipIf(chromium === null)('every view of the window', { timeout: 600_000 }, () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let daemon: Daemon;
  let browser: Browser;
  let drive = '';

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-views');
    const folder = path.join(temp.dir, 'home', 'Holiday');
    await mkdir(path.join(folder, 'Pictures'), { recursive: true });
    const long = `${'A rather long name of a report nobody wants to read '.repeat(3)}.txt`;
    for (const name of ['plan.md', 'Pictures/one.txt', long])
      await writeFile(path.join(folder, name), 'Some text.\n');
    daemon = await startDaemon({
      data: path.join(temp.dir, 'data'),
      host: '127.0.0.27',
      env: { HOME: path.join(temp.dir, 'home') },
    });
    await daemon.cli('id', 'create');
    ({ driveId: drive } = await daemon.cli<{ driveId: string }>(
      ...['drive', 'create', 'Holiday', '--folder', folder],
    ));
    await daemon.cli('drive', 'wait', 'Holiday');
    browser = await openBrowser();
    // No motion: what is measured is what stays.
    await browser.page.emulateMedia({ reducedMotion: 'reduce' });
    await browser.page.goto(daemon.ready.ui);
    await browser.page.locator('main[data-view=home]').waitFor();
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await daemon?.stop();
    await temp?.remove();
  });

  async function show(place: string): Promise<void> {
    const { page } = browser;
    const address = place.replace(':drive', drive);
    await page.evaluate(`location.hash = ${JSON.stringify(`#${address}`)}`);
    const [, first = '', second = ''] = place.split('/');
    const named: Readonly<Record<string, string>> = { studio: 'studio', watch: 'watch' };
    const inWallet = first === 'wallet' && second !== '' ? second : null;
    await page.locator(`main[data-view=${named[second] ?? inWallet ?? (first || 'home')}]`).waitFor();
    // What is asked of the node has come: nothing says any more that it is busy.
    await page.locator('[aria-busy=true]').waitFor({ state: 'detached' });
  }
  const nameOf = (place: string) =>
    place.replace(':drive', 'drive').split('/').filter(Boolean).join('-') || 'home';

  /** Each place in each size and theme: what is wrong there. */
  async function look(name: string, wanted: readonly string[], shown: readonly Look[], axe = true) {
    const { page } = browser;
    const wrong: string[] = [];
    for (const [width, height, theme] of shown) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: theme });
      await page.locator(`html[data-theme=${theme}]`).waitFor();
      for (const place of wanted) {
        await show(place);
        const at = `${place} ${theme} ${width}`;
        await browser.picture(`view-${name}-${nameOf(place)}-${theme}-${width}`);
        // At 1000 the page is the one of 1280, a little narrower.
        if (axe && width !== 1000)
          for (const finding of await browser.accessibility()) wrong.push(`${at}: ${finding}`);
        if (await page.evaluate('document.documentElement.scrollWidth > innerWidth'))
          wrong.push(`${at}: scrolls sideways`);
        // Words that end in the middle, without the dots that say so.
        const cut = (await page.evaluate(`[...document.querySelectorAll('main :is(h1, h2, p, button, label)')]
          .filter((one) => {
            const { overflow, textOverflow, display } = getComputedStyle(one);
            return display !== 'none' && overflow === 'hidden' && textOverflow !== 'ellipsis' &&
              !one.closest('.sr-only') && one.scrollWidth > one.clientWidth + 1;
          })
          .map((one) => one.textContent.trim().slice(0, 60))`)) as string[];
        for (const words of cut) wrong.push(`${at}: “${words}” is cut off`);
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    return wrong;
  }

  it('has nothing serious to complain of, in both themes, wide and narrow', async () => {
    expect(await look('first', places, looks)).toEqual([]);
  });

  it('is gone through by the keyboard alone: each stop has a name and shows that it has the focus', async () => {
    for (const place of places) {
      await show(place);
      const { wrong, count } = await browser.tabStops();
      expect(wrong, place).toEqual([]);
      expect(count, place).toBeGreaterThan(3);
      // It ends: nobody is caught in a view.
      expect(count, place).toBeLessThan(150);
    }
  });

  it('is as well with a network, tokens and blocks in it', async () => {
    await daemon.cli('chain', 'create', 'harbour');
    await browser.page.reload();
    await expect
      .poll(async () => (await daemon.cli<{ height: number }[]>('chain', 'list'))[0]?.height ?? 0, {
        timeout: 60_000,
      })
      .toBeGreaterThan(0);
    const money = places.filter((place) => /wallet|directory|apps|network/.test(place));
    expect(await look('chain', money, [looks[0]!, looks[3]!])).toEqual([]);
    await browser.page.setViewportSize({ width: 390, height: 844 });
    for (const place of money) {
      await show(place);
      expect((await browser.tabStops()).wrong, place).toEqual([]);
    }
  });

  it.skipIf(!hasFfmpeg)(
    'is as well where something of somebody else is looked at: a drive and a live stream',
    async () => {
      const { page } = browser;
      const ben = await startDaemon({
        data: path.join(temp.dir, 'ben'),
        host: '127.0.0.26',
        args: ['--bootstrap', daemon.ready.addresses[0]!],
      });
      let publisher: ReturnType<typeof spawn> | null = null;
      try {
        await ben.cli('id', 'create');
        const folder = path.join(temp.dir, 'Open archive');
        await mkdir(path.join(folder, 'Maps'), { recursive: true });
        await writeFile(path.join(folder, 'read me.txt'), 'For everybody.\n');
        const open = await ben.cli<{ driveId: string; link: string }>(
          ...['drive', 'create', 'Open archive', '--folder', folder, '--visibility', 'public'],
        );
        await ben.cli('drive', 'wait', 'Open archive');
        const clip = path.join(temp.dir, 'clip.mp4');
        spawnSync('ffmpeg', [
          ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=15', '-t', '8'],
          ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '15', clip],
        ]);
        publisher = spawn(
          path.resolve(import.meta.dirname, '../../bin/extrachain'),
          ['--data', ben.data, '--json', 'stream', 'publish', 'Harbour', '--from', clip, '--loop'],
          { stdio: ['ignore', 'pipe', 'ignore'] },
        );
        const line = await new Promise<string>((done) =>
          createInterface({ input: publisher!.stdout! }).once('line', done),
        );
        const stream = JSON.parse(line) as { streamId: string; link: string };
        const asked = page.getByRole('dialog').getByRole('button', { name: 'Open', exact: true });
        for (const { link, yes, seen } of [
          { link: open.link, yes: asked, seen: page.getByRole('row', { name: /read me\.txt/ }) },
          {
            link: stream.link,
            yes: page.getByRole('button', { name: 'Watch' }),
            seen: page.getByRole('heading', { name: 'Harbour' }).first(),
          },
        ]) {
          await page.evaluate(`{
          const clipboardData = new DataTransfer();
          clipboardData.setData('text/plain', ${JSON.stringify(link)});
          document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
        }`);
          await yes.click();
          await seen.waitFor();
        }
        // What the player shows: frames come.
        await expect
          .poll(() => page.evaluate('document.querySelector("video")?.currentTime ?? 0'), { timeout: 60_000 })
          .toBeGreaterThan(0.5);
        const theirs = [`/live/watch/${stream.streamId}`, '/live', `/open/${open.driveId}`];
        expect(await look('theirs', theirs, [looks[0]!, looks[3]!])).toEqual([]);
        for (const place of theirs) {
          await show(place);
          expect((await browser.tabStops()).wrong, place).toEqual([]);
        }
      } finally {
        publisher?.kill('SIGTERM');
        await ben.stop();
      }
    },
  );

  it('has room for German words', async () => {
    await show('/settings/general');
    await browser.page.getByLabel('Language').selectOption('de');
    await browser.page.getByRole('heading', { name: 'Allgemein' }).waitFor();
    expect(await look('german', places, [looks[2]!, [390, 844, 'light']], false)).toEqual([]);
  });

  it('was never refused anything by its own policy, and had no error of its own', () => {
    expect(browser.complaints.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([]);
  });
});
