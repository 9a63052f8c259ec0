import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser, throttleUploads } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

describe.skipIf(chromium === null)('the window, from the first run on', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let daemon: Daemon;
  let browser: Browser;
  let folder: string;

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window');
    await mkdir(path.join(temp.dir, 'home'));
    daemon = await startDaemon({
      data: path.join(temp.dir, 'data'),
      host: '127.0.0.21',
      env: { HOME: path.join(temp.dir, 'home') },
    });
    folder = path.join(temp.dir, 'home', 'ExtraChain');
    browser = await openBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await daemon?.stop();
    await temp?.remove();
  });

  const row = (name: RegExp | string) => browser.page.getByRole('row', { name });

  it('shows nothing without the token', async () => {
    const { page } = browser;
    await page.goto(new URL('/', daemon.ready.ui).href);
    await page.getByRole('heading', { name: /address that ExtraChain printed/ }).waitFor();
    await page.getByLabel('Address').fill('http://127.0.0.1:1/#nothing');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('There is no key in this').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await page.getByLabel('Address').fill(daemon.ready.ui);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'Your files, on your own computers' }).waitFor();
  });

  it('takes the token out of the address', async () => {
    const { page } = browser;
    await page.goto(daemon.ready.ui);
    await page.getByRole('heading', { name: 'Your files, on your own computers' }).waitFor();
    expect(page.url()).not.toContain('token');
    await browser.picture('start');
    expect(await browser.accessibility()).toEqual([]);
  });

  it('makes an identity, confirmed by three words, and a folder', async () => {
    const { page } = browser;
    const started = Date.now();
    await page.getByRole('button', { name: /Start fresh/ }).click();
    await page.locator('[data-test=word]').nth(11).waitFor();
    const words = await page.locator('[data-test=word]').allTextContents();
    expect(words).toHaveLength(12);
    await browser.picture('phrase');
    expect(await browser.accessibility()).toEqual([]);
    await page.getByLabel('I have written the words down').check();
    await page.getByRole('button', { name: 'Continue' }).click();
    const fields = await page.locator('input[data-place]').all();
    expect(fields).toHaveLength(3);
    for (const field of fields) await field.fill('wrong');
    await page.getByRole('button', { name: 'Continue' }).click();
    expect(await page.getByText('This is not the word').count()).toBe(3);
    for (const field of fields) await field.fill(words[Number(await field.getAttribute('data-place'))]!);
    await page.getByRole('button', { name: 'Continue' }).click();
    await expect.poll(() => page.getByLabel('Folder on this computer').inputValue()).toBe(folder);
    await browser.picture('folder');
    expect(await browser.accessibility()).toEqual([]);
    await page.getByRole('button', { name: 'Open ExtraChain' }).click();
    await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
    expect(Date.now() - started).toBeLessThan(60_000);
    expect(existsSync(folder)).toBe(true);
  });

  it('shows a file that comes into the folder', async () => {
    await mkdir(path.join(folder, 'Letters'));
    await writeFile(path.join(folder, 'notes.md'), '# Notes\n\nFirst version.\n');
    await row(/notes\.md/).waitFor();
    await row(/Letters/).waitFor();
    expect(await browser.accessibility()).toEqual([]);
  });

  it('takes files in, and says when a name is taken', async () => {
    const { page } = browser;
    const file = { name: 'hello.txt', mimeType: 'text/plain', buffer: Buffer.from('hello from the browser') };
    await page.locator('[data-test=upload]').setInputFiles([file]);
    await row(/hello\.txt/).waitFor();
    expect(await readFile(path.join(folder, 'hello.txt'), 'utf8')).toBe('hello from the browser');
    await page.locator('[data-test=upload]').setInputFiles([{ ...file, buffer: Buffer.from('other') }]);
    await page.getByRole('button', { name: 'Replace' }).waitFor();
    expect(await readFile(path.join(folder, 'hello.txt'), 'utf8')).toBe('hello from the browser');
    await page.getByRole('button', { name: 'Replace' }).click();
    await expect.poll(() => readFile(path.join(folder, 'hello.txt'), 'utf8')).toBe('other');
    expect(
      (await readdir(path.join(folder, '.extrachain', 'tmp'))).filter((name) => name.startsWith('upload')),
    ).toEqual([]);
  });

  it('is worked by the keyboard alone: find, rename, make a folder, delete', async () => {
    const { page } = browser;
    /** A dialog gives the keyboard back to the list when it has closed; nobody has to click. */
    const backInList = async () => {
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await expect.poll(() => page.evaluate("document.activeElement?.getAttribute('role')")).toBe('treegrid');
    };
    await page.getByRole('treegrid').focus();
    await page.keyboard.press('Home');
    await page.keyboard.type('hel');
    await expect.poll(() => row(/hello\.txt/).getAttribute('aria-selected')).toBe('true');
    await page.keyboard.press('F2');
    await page.getByRole('dialog').getByLabel('Name').fill('greeting.txt');
    await page.keyboard.press('Enter');
    await row(/greeting\.txt/).waitFor();
    await expect.poll(() => existsSync(path.join(folder, 'greeting.txt'))).toBe(true);
    await backInList();
    await page.keyboard.press('Control+Shift+N');
    await page.getByRole('dialog').getByLabel('Name').fill('New place');
    await page.keyboard.press('Enter');
    await row(/New place/).waitFor();
    await backInList();
    await page.keyboard.press('Home');
    await page.keyboard.type('gree');
    await expect.poll(() => row(/greeting\.txt/).getAttribute('aria-selected')).toBe('true');
    await page.keyboard.press('Delete');
    const ask = page.getByRole('alertdialog');
    await ask.waitFor();
    await browser.picture('delete');
    expect(await browser.accessibility()).toEqual([]);
    await ask.getByRole('button', { name: 'Delete' }).click();
    await row(/greeting\.txt/).waitFor({ state: 'detached' });
    await expect.poll(() => existsSync(path.join(folder, 'greeting.txt'))).toBe(false);
    await page.getByRole('button', { name: 'Undo' }).click();
    await row(/greeting\.txt/).waitFor();
    expect(await readFile(path.join(folder, 'greeting.txt'), 'utf8')).toBe('other');
  });

  it('keeps and brings back versions of a text', async () => {
    const { page } = browser;
    await writeFile(path.join(folder, 'notes.md'), '# Notes\n\nSecond version.\n');
    await row(/notes\.md/).click();
    await expect.poll(() => page.locator('.timeline-item').count()).toBe(2);
    await page.locator('.timeline-item').nth(1).getByRole('button').click();
    await page.getByRole('menuitem', { name: 'Compare with current' }).click();
    await page.getByRole('cell', { name: 'First version.' }).waitFor();
    await browser.picture('compare');
    expect(await browser.accessibility()).toEqual([]);
    await page.keyboard.press('Escape');
    await page.locator('.timeline-item').nth(1).getByRole('button').click();
    await page.getByRole('menuitem', { name: 'Restore this version' }).click();
    await expect
      .poll(() => readFile(path.join(folder, 'notes.md'), 'utf8'), { timeout: 10_000 })
      .toContain('First version.');
  });

  it('shows hostile files and runs nothing of them', async () => {
    const { page } = browser;
    const script = 'document.title = "owned"; parent.document.title = "owned"';
    await writeFile(
      path.join(folder, 'hostile.svg'),
      `<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><script>${script}</script><rect width="90" height="60" fill="teal"/></svg>`,
    );
    await writeFile(path.join(folder, 'hostile.html'), `<script>${script}</script>`);
    await writeFile(
      path.join(folder, 'hostile.pdf'),
      `%PDF-1.4\n1 0 obj <</OpenAction <</S /JavaScript /JS (${script})>>>> endobj`,
    );
    await row(/hostile\.svg/).click();
    const image = page.getByRole('complementary').getByRole('img', { name: 'hostile.svg' });
    await expect
      .poll(() => image.evaluate((node) => (node as unknown as { naturalWidth: number }).naturalWidth))
      .toBe(90);
    // Opened by itself, outside of the window, it is inside its sandbox.
    const alone = await page.context().newPage();
    await alone.goto((await image.getAttribute('src'))!);
    expect(await alone.title()).not.toBe('owned');
    await alone.close();
    await row(/hostile\.html/).click();
    await page.getByRole('complementary').getByText('<script>').waitFor();
    await row(/hostile\.pdf/).click();
    await page.getByText("This file can't be shown here").waitFor();
    expect(await page.title()).toBe('ExtraChain');
  });

  it('pauses an upload, goes on with it, and leaves nothing of one that was cancelled', async () => {
    const { page } = browser;
    const large = path.join(temp.dir, 'large.bin');
    await writeFile(large, Buffer.alloc(24 * 1024 * 1024, 7));
    const uploading = await throttleUploads(page);
    const parts = async () =>
      (await readdir(path.join(folder, '.extrachain', 'tmp'))).filter((name) => name.startsWith('upload'));
    const uploads = page.getByRole('region', { name: 'Uploads' });
    await uploading.to(6_000_000);
    await page.locator('[data-test=upload]').setInputFiles(large);
    await expect.poll(async () => (await parts()).length).toBe(1);
    await uploads.getByRole('button', { name: 'Pause' }).click();
    await uploads.getByText('Paused').waitFor();
    await browser.picture('upload-paused');
    expect(await browser.accessibility()).toEqual([]);
    expect(existsSync(path.join(folder, 'large.bin'))).toBe(false);
    await uploading.to(-1);
    await uploads.getByRole('button', { name: 'Resume' }).click();
    await row(/large\.bin/).waitFor();
    expect((await readFile(path.join(folder, 'large.bin'))).equals(Buffer.alloc(24 * 1024 * 1024, 7))).toBe(
      true,
    );
    await expect.poll(parts).toEqual([]);
    // The window is closed in the middle of it: what arrived waits, and goes on with the same file only.
    const closed = path.join(temp.dir, 'closed.bin');
    const content = Buffer.alloc(24 * 1024 * 1024, 'closed');
    await writeFile(closed, content);
    await uploading.to(6_000_000);
    await page.locator('[data-test=upload]').setInputFiles(closed);
    await uploads.getByText('Keep this window open').waitFor();
    type Waiting = { received: number; sending: boolean };
    const waiting = async () => (await daemon.cli<Waiting[]>('file', 'uploads'))[0];
    await expect.poll(async () => (await waiting())?.received ?? 0).toBeGreaterThan(8 * 1024 * 1024);
    page.once('dialog', (dialog) => void dialog.accept());
    // The tab keeps its key, and its place.
    await page.reload();
    await uploading.to(-1);
    await uploads.getByText('Not finished').waitFor();
    const { received } = (await waiting())!;
    expect(received).toBeGreaterThan(8 * 1024 * 1024);
    await browser.picture('upload-unfinished');
    expect(await browser.accessibility()).toEqual([]);
    const again = page.locator('[data-test=upload-again]');
    const chooser = page.waitForEvent('filechooser');
    await uploads.getByRole('button', { name: 'Choose the file' }).click();
    await (await chooser).setFiles(large);
    await uploads.getByText('That file was changed').waitFor();
    await again.setInputFiles(closed);
    await row(/closed\.bin/).waitFor();
    expect((await readFile(path.join(folder, 'closed.bin'))).equals(content)).toBe(true);
    await expect.poll(waiting).toBeUndefined();
    await uploading.to(3_000_000);
    await rename(large, path.join(temp.dir, 'other.bin'));
    await page.locator('[data-test=upload]').setInputFiles(path.join(temp.dir, 'other.bin'));
    await expect.poll(async () => (await parts()).length).toBe(1);
    await uploads.getByRole('button', { name: 'Cancel' }).click();
    await expect.poll(parts).toEqual([]);
    expect(existsSync(path.join(folder, 'other.bin'))).toBe(false);
    await uploading.to(-1);
    await uploading.end();
  });

  it('is walked through by the keyboard alone, every view, with the focus always seen', async () => {
    const { page } = browser;
    const focused = () =>
      page.evaluate(`(() => {
        const at = document.activeElement;
        const { outlineStyle, boxShadow } = getComputedStyle(at);
        return {
          name: (at.getAttribute('aria-label') ?? at.textContent ?? '').trim(),
          link: at.matches('nav a, aside a'),
          seen: at === document.body || outlineStyle !== 'none' || boxShadow !== 'none' || at.matches('[role=treegrid]'),
        };
      })()`) as Promise<{ name: string; link: boolean; seen: boolean }>;
    for (const view of ['Home', 'Live', 'Wallet', 'Activity', 'Network', 'Settings', 'Files']) {
      await page.evaluate('document.activeElement?.blur()');
      for (let steps = 0; ; steps += 1) {
        await page.keyboard.press('Tab');
        const at = await focused();
        expect(at.seen, `${at.name} shows that it has the focus`).toBe(true);
        if (at.link && at.name === view) break;
        expect(steps, `${view} is reached by Tab`).toBeLessThan(80);
      }
      await page.keyboard.press('Enter');
      await page.locator(`main[data-view=${view.toLowerCase()}]`).waitFor();
    }
    await page.keyboard.press('Control+k');
    const palette = page.getByRole('dialog');
    await palette.waitFor();
    await page.keyboard.type('ExtraChain');
    await palette.getByRole('option').first().waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('treegrid').waitFor();
  });

  it(
    'has nothing serious to complain of with files in it, dark in its smallest size and light on a narrow one',
    { timeout: 180_000 },
    async () => {
      const { page } = browser;
      // Axe measures what is painted: a colour on its way to another theme, or a message fading out, is neither. So this
      // person wants no motion, and the last message has gone.
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await page.locator('[data-sonner-toast]').waitFor({ state: 'detached' });
      // The other sizes and themes, and the other views, are gone through in every-view.test.ts.
      for (const [width, height, theme] of [
        [1000, 640, 'dark'],
        [390, 844, 'light'],
      ] as const) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme: theme });
        await page.locator(`html[data-theme=${theme}]`).waitFor();
        for (const view of ['Home', 'Files', 'Live', 'Wallet', 'Activity', 'Network', 'Settings']) {
          const place = page.getByRole('link', { name: view, exact: true }).locator('visible=true');
          // On narrow windows the rarer places are behind "More".
          if ((await place.count()) > 0) await place.first().click();
          else {
            await page.getByRole('button', { name: 'More places' }).click();
            await page.getByRole('menuitem', { name: view }).click();
          }
          await page.locator(`main[data-view=${view.toLowerCase()}]`).waitFor();
          expect(await page.evaluate('document.getAnimations().length'), `${view} moves`).toBe(0);
          await browser.picture(`${view.toLowerCase()}-${theme}-${width}`);
          expect(await browser.accessibility(), `${view} ${theme} ${width}`).toEqual([]);
          const overflow = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
          expect(overflow, `${view} ${width} scrolls sideways`).toBe(false);
        }
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    },
  );

  it('locks, unlocks, and keeps its place', async () => {
    const { page } = browser;
    await page.getByRole('link', { name: 'Settings', exact: true }).click();
    await page.getByRole('link', { name: 'Identity' }).first().click();
    await page.getByRole('button', { name: 'Set a password' }).click();
    await page.getByLabel('New password', { exact: true }).fill('a long password');
    await page.getByLabel('New password again').fill('a long password');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('button', { name: 'Lock now' }).click();
    await page.getByRole('heading', { name: 'Locked' }).waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Password').fill('a long password');
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page
      .getByRole('link', { name: /ExtraChain/ })
      .first()
      .waitFor();
  });

  it('speaks German', async () => {
    const { page } = browser;
    await page.getByRole('link', { name: 'Settings', exact: true }).click();
    await page.getByRole('link', { name: 'General' }).click();
    await page.getByLabel('Language').selectOption('de');
    await page.getByRole('heading', { name: 'Allgemein' }).waitFor();
    await browser.picture('settings-german');
    await page.getByLabel('Sprache').selectOption('en');
  });

  it('was never refused anything by its own policy, and had no error of its own', () => {
    // A preview of what was replaced a moment ago may well be answered with an error: the window says so in its place.
    expect(browser.complaints.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([]);
  });
});
