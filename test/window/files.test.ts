import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Locator } from 'playwright-core';
import { strFromU8, unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser, throttleUploads } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

describe.skipIf(chromium === null)('what people do with files in the window', { timeout: 120_000 }, () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let daemon: Daemon;
  let browser: Browser;
  const at = (...parts: string[]) => path.join(temp.dir, 'Holiday', ...parts);

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-files');
    await mkdir(at('Pictures', 'Day one'), { recursive: true });
    await mkdir(at('Letters'));
    await writeFile(at('Pictures', 'cover.bin'), Buffer.alloc(2_000_000, 1));
    await writeFile(at('Pictures', 'Day one', 'sea.bin'), Buffer.alloc(500_000, 2));
    await writeFile(at('plan.txt'), 'Meet at noon.\n');
    daemon = await startDaemon({
      data: path.join(temp.dir, 'data'),
      host: '127.0.0.28',
      env: { HOME: temp.dir },
    });
    await daemon.cli('id', 'create');
    const { driveId } = await daemon.cli<{ driveId: string }>(
      ...['drive', 'create', 'Holiday', '--folder', at()],
    );
    await daemon.cli('drive', 'wait', 'Holiday');
    browser = await openBrowser();
    browser.page.setDefaultTimeout(60_000);
    await browser.page.goto(daemon.ready.ui);
    await browser.page.locator('main[data-view=home]').waitFor();
    await browser.page.evaluate(`location.hash = '#/files/${driveId}'`);
    await row('plan.txt').waitFor();
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await daemon?.stop();
    await temp?.remove();
  });

  const row = (name: string) => browser.page.getByRole('row', { name: new RegExp(`^${name}`) });
  const details = () => browser.page.getByRole('complementary', { name: 'Details' });
  const order = async () =>
    (await browser.page.locator('[role=row][data-index]').allTextContents()).map((words) =>
      ['Pictures', 'Letters', 'plan.txt'].find((name) => words.includes(name)),
    );

  it('folders say how much is in them, and follow what changes deep inside', async () => {
    const { page } = browser;
    await row('Pictures').filter({ hasText: '2.5 MB' }).waitFor();
    await row('Letters').filter({ hasText: '0 B' }).waitFor();
    await row('Pictures').click();
    await details().getByText('Folder · 2 files, 2.5 MB').waitFor();
    await browser.picture('folder-sizes');
    expect(await browser.accessibility()).toEqual([]);
    await writeFile(at('Pictures', 'Day one', 'more.bin'), Buffer.alloc(1_000_000, 3));
    await details().getByText('Folder · 3 files, 3.5 MB').waitFor();
    // In order of size folders count with what is in them.
    await page.getByRole('button', { name: 'Size' }).click();
    await expect.poll(order).toEqual(['Pictures', 'Letters', 'plan.txt']);
    await page.getByRole('button', { name: 'Size' }).click();
    await expect.poll(order).toEqual(['Letters', 'Pictures', 'plan.txt']);
    await page.getByRole('button', { name: 'Name' }).click();
  });

  it('files are dragged into a folder of the drive', async () => {
    await row('plan.txt').dragTo(row('Letters'));
    await row('plan.txt').waitFor({ state: 'detached' });
    await expect.poll(() => existsSync(at('Letters', 'plan.txt'))).toBe(true);
    expect(existsSync(at('plan.txt'))).toBe(false);
    await row('Letters').filter({ hasText: '14 B' }).waitFor();
  });

  it('files are dragged in from outside: beside the others, or into the folder below the pointer', async () => {
    const { page } = browser;
    const line = await page.context().newCDPSession(page);
    /** As the system does it when somebody lets go of files above the window. */
    const drop = async (target: Locator, ...files: string[]) => {
      const box = (await target.boundingBox())!;
      const spot = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      const data = { items: [], files, dragOperationsMask: 1 };
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
        await line.send('Input.dispatchDragEvent', { type, ...spot, data });
    };
    const outside = path.join(temp.dir, 'outside');
    await mkdir(path.join(outside, 'Trip', 'Empty'), { recursive: true });
    await writeFile(path.join(outside, 'dropped.txt'), 'beside');
    await writeFile(path.join(outside, 'inner.txt'), 'inside');
    await writeFile(path.join(outside, 'Trip', 'day.txt'), 'in a folder');
    await drop(page.getByRole('treegrid'), path.join(outside, 'dropped.txt'));
    await row('dropped.txt').waitFor();
    expect(await readFile(at('dropped.txt'), 'utf8')).toBe('beside');
    await drop(row('Letters'), path.join(outside, 'inner.txt'), path.join(outside, 'Trip'));
    const arrived = (...parts: string[]) => readFile(at('Letters', ...parts), 'utf8').catch(() => '');
    await expect.poll(() => arrived('inner.txt')).toBe('inside');
    await expect.poll(() => arrived('Trip', 'day.txt')).toBe('in a folder');
    await expect.poll(() => existsSync(at('Letters', 'Trip', 'Empty'))).toBe(true);
    await line.detach();
  });

  it('a file is dragged out: whoever takes it gets its bytes', async () => {
    const { page } = browser;
    await page.evaluate(`{
      globalThis.draggedOut = '';
      // Last of all, when the window has said what is dragged.
      addEventListener('dragstart', (event) => (globalThis.draggedOut = event.dataTransfer.getData('DownloadURL')));
    }`);
    await row('dropped.txt').hover();
    // The address has to be there when the drag begins: it is asked for when the button goes down.
    const asked = async () => (await page.evaluate('globalThis.draggedOut')) as string;
    await expect
      .poll(async () => {
        const box = (await row('dropped.txt').boundingBox())!;
        await page.mouse.move(box.x + 60, box.y + 10);
        await page.mouse.down();
        await page.mouse.move(box.x + 70, box.y + 40, { steps: 10 });
        await page.mouse.up();
        return asked();
      })
      .toMatch(/^application\/octet-stream:dropped\.txt:http/);
    const url = (await asked()).split(':').slice(2).join(':');
    expect(await (await fetch(url)).text()).toBe('beside');
  });

  it('several files and folders leave as one ZIP file, dragged or downloaded', async () => {
    const { page } = browser;
    await row('dropped.txt').click();
    await row('Letters').click({ modifiers: ['Control'] });
    const asked = async () => (await page.evaluate('globalThis.draggedOut')) as string;
    await page.evaluate("globalThis.draggedOut = ''");
    await expect
      .poll(async () => {
        const box = (await row('dropped.txt').boundingBox())!;
        await page.mouse.move(box.x + 60, box.y + 10);
        await page.mouse.down();
        await page.mouse.move(box.x + 70, box.y + 40, { steps: 10 });
        await page.mouse.up();
        return asked();
      })
      .toMatch(/^application\/octet-stream:[^:]+\.zip:http/);
    const inside = async (bytes: ArrayBuffer | Uint8Array) =>
      Object.fromEntries(
        Object.entries(unzipSync(new Uint8Array(bytes))).map(([name, one]) => [name, strFromU8(one)]),
      );
    const wanted = { 'dropped.txt': 'beside', 'Letters/inner.txt': 'inside', 'Letters/Trip/Empty/': '' };
    const url = (await asked()).split(':').slice(2).join(':');
    expect(await inside(await (await fetch(url)).arrayBuffer())).toMatchObject(wanted);
    // A drag that goes nowhere leaves one chosen.
    await row('dropped.txt').click();
    await row('Letters').click({ modifiers: ['Control'] });
    await row('Letters').click({ button: 'right' });
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: 'Download' }).click();
    const saved = path.join(temp.dir, 'several.zip');
    await (await download).saveAs(saved);
    expect(await inside(await readFile(saved))).toMatchObject(wanted);
    await row('dropped.txt').click();
  });

  it('a proof is exported, and holds for this file and for no other', async () => {
    const { page } = browser;
    await row('dropped.txt').click({ button: 'right' });
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: 'Export proof' }).click();
    const saved = path.join(temp.dir, 'dropped.proof');
    expect((await download).suggestedFilename()).toBe('dropped.txt.proof');
    await (await download).saveAs(saved);
    const check = (file: string) => runCli(['verify', saved, '--file', file]);
    expect(await check(at('dropped.txt'))).toMatchObject({ code: 0 });
    const other = path.join(temp.dir, 'other.txt');
    await writeFile(other, 'besidE');
    expect((await check(other)).code).toBe(1);
  });

  it('what was deleted is in the trash and comes back from there', async () => {
    const { page } = browser;
    await row('dropped.txt').click();
    await page.keyboard.press('Delete');
    await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
    await row('dropped.txt').waitFor({ state: 'detached' });
    await expect.poll(() => existsSync(at('dropped.txt'))).toBe(false);
    await page.getByRole('button', { name: 'More about this drive' }).click();
    await page.getByRole('menuitem', { name: 'Trash' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('dropped.txt').waitFor();
    await browser.picture('trash');
    expect(await browser.accessibility()).toEqual([]);
    await dialog.getByRole('button', { name: 'Restore' }).first().click();
    await expect.poll(() => readFile(at('dropped.txt'), 'utf8').catch(() => '')).toBe('beside');
    await page.keyboard.press('Escape');
    await row('dropped.txt').waitFor();
  });

  it('several are chosen by the keyboard and moved together; one is found by its name', async () => {
    const { page } = browser;
    await writeFile(at('a-one.txt'), '1');
    await writeFile(at('a-two.txt'), '2');
    await row('a-two.txt').waitFor();
    await page.getByRole('treegrid').focus();
    await page.keyboard.type('a-one');
    await expect.poll(() => row('a-one.txt').getAttribute('aria-selected')).toBe('true');
    await page.keyboard.press('Shift+ArrowDown');
    await expect.poll(() => row('a-two.txt').getAttribute('aria-selected')).toBe('true');
    await row('a-two.txt').click({ button: 'right' });
    await page.getByRole('menuitem', { name: /Move to/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Letters').click();
    expect(await browser.accessibility()).toEqual([]);
    await dialog.getByRole('button', { name: /^Move/ }).click();
    await row('a-two.txt').waitFor({ state: 'detached' });
    await expect
      .poll(() => existsSync(at('Letters', 'a-one.txt')) && existsSync(at('Letters', 'a-two.txt')))
      .toBe(true);
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type('sea.b');
    await page
      .getByRole('option', { name: /sea\.bin/ })
      .first()
      .waitFor();
    await page.keyboard.press('Enter');
    await expect.poll(() => row('sea.bin').getAttribute('aria-selected')).toBe('true');
    // The way back up is on the screen.
    await page.getByRole('navigation').getByRole('link', { name: 'Pictures' }).click();
    await row('Day one').waitFor();
  });

  it('a file of a few megabytes goes on where it was when the window is closed in the middle of it', async () => {
    const { page } = browser;
    const file = path.join(temp.dir, 'small.bin');
    const content = Buffer.alloc(6 * 1024 * 1024, 'small');
    await writeFile(file, content);
    const uploading = await throttleUploads(page);
    await uploading.to(1_000_000);
    await page.locator('[data-test=upload]').setInputFiles(file);
    const received = async () =>
      (await daemon.cli<{ received: number }[]>('file', 'uploads'))[0]?.received ?? 0;
    await expect.poll(received, { timeout: 60_000 }).toBeGreaterThan(1024 * 1024);
    page.once('dialog', (dialog) => void dialog.accept());
    await page.reload();
    await uploading.to(-1);
    const uploads = page.getByRole('region', { name: 'Uploads' });
    await uploads.getByText('Not finished').waitFor();
    expect(await received()).toBeGreaterThan(1024 * 1024);
    await page.locator('[data-test=upload-again]').waitFor({ state: 'attached' });
    const chooser = page.waitForEvent('filechooser');
    await uploads.getByRole('button', { name: 'Choose the file' }).click();
    await (await chooser).setFiles(file);
    await expect
      .poll(async () => (await readFile(at('Pictures', 'small.bin')).catch(() => null))?.equals(content), {
        timeout: 60_000,
      })
      .toBe(true);
    await uploading.end();
  });

  it('the diagnostics bundle is saved, and names no file', async () => {
    const { page } = browser;
    await page.evaluate("location.hash = '#/settings/diagnostics'");
    await page.getByText('Your keys are not protected').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save' }).click();
    expect((await download).suggestedFilename()).toBe('extrachain-diagnostics.zip');
    const saved = path.join(temp.dir, 'bundle.zip');
    await (await download).saveAs(saved);
    const { unzipSync, strFromU8 } = await import('fflate');
    const texts = Object.values(unzipSync(await readFile(saved))).map((bytes) => strFromU8(bytes));
    expect(texts.length).toBeGreaterThan(1);
    for (const text of texts)
      for (const name of ['dropped.txt', 'sea.bin', 'Letters']) expect(text).not.toContain(name);
  });
});
