import { mkdir, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deflateSync, crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '../../bin/build-apps.mjs';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Connection } from '../../src-shared/rpc/index.ts';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

/** A picture (PNG, RFC 2083) whose colours run from one corner to the other. */
function picture(width: number, height: number, hue: number): Buffer {
  const rows = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const shade = (x / width + y / height) / 2;
      for (let c = 0; c < 3; c += 1) {
        const wave = Math.cos(hue + c * 2.1 + shade * 2.4);
        rows[y * (1 + width * 3) + 1 + x * 3 + c] = Math.round(120 + 95 * wave + 30 * shade);
      }
    }
  }
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(data.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([size, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

describe.skipIf(chromium === null)('the app Gallery', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let daemon: Daemon;
  let node: Connection<AppContract>;
  let browser: Browser;
  let appId: string;
  let driveId: string;
  let folder: string;

  beforeAll(async () => {
    temp = await tempDir('gallery');
    const data = path.join(temp.dir, 'data');
    folder = path.join(temp.dir, 'Pictures');
    for (const album of ['', 'Harbour', 'Winter walks'])
      await mkdir(path.join(folder, album), { recursive: true });
    for (let n = 0; n < 18; n += 1) {
      const album = n < 6 ? '' : n < 11 ? 'Harbour' : 'Winter walks';
      const file = path.join(folder, album, `picture-${n}.png`);
      await writeFile(file, picture(120, 90, n * 0.7));
      const time = new Date(Date.UTC(2026, 10 - Math.floor(n / 6), 3 + n));
      await utimes(file, time, time);
    }
    await writeFile(path.join(folder, 'notes.txt'), 'no picture');
    await writeFile(path.join(folder, 'broken.jpg'), 'no picture either');
    daemon = await startDaemon({ data });
    node = await connectToDaemon(data);
    await node.client.identity.create({});
    ({ driveId } = await node.client.drives.create({ name: 'Pictures', folder }));
    await node.client.drives.wait({ drive: driveId });
    const file = path.join(temp.dir, 'gallery.exapp');
    await node.client.apps.pack({ dir: await buildApp('gallery', path.join(temp.dir, 'app')), out: file });
    ({ appId } = await node.client.apps.install({ file }));
    browser = await openBrowser();
    await browser.page.goto((await node.client.apps.launch({ app: appId })).url);
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    node?.close();
    await daemon?.stop();
    await temp?.remove();
  });

  /** Answers the app's question as the person does in our window. */
  async function answer(kind: string, allow: boolean, path = ''): Promise<void> {
    await expect.poll(() => node.client.apps.approvals({})).toHaveLength(1);
    const [one] = await node.client.apps.approvals({});
    expect(one!.kind).toBe(kind);
    const grant =
      kind === 'folder' ? { name: one!.grants[0]!.name, caveats: { drive: driveId, path } } : undefined;
    await node.client.apps.decide({ approvalId: one!.approvalId, allow, ...(grant && { grant }) });
  }

  it('shows nothing before a folder is picked, and takes a no for an answer', async () => {
    const { page } = browser;
    await page.getByRole('button', { name: 'Add a folder' }).click();
    await answer('folder', false);
    await page.getByRole('heading', { name: 'Your pictures, from your own folders' }).waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('gallery-welcome');
  });

  it('shows the pictures of the folder by month, and nothing else of it', async () => {
    const { page } = browser;
    await page.getByRole('button', { name: 'Add a folder' }).click();
    await answer('folder', true);
    await expect.poll(() => page.locator('.tile').count()).toBe(19);
    await page.locator('.tile img.seen').first().waitFor();
    expect(await page.locator('.month h2').allTextContents()).toContain('October 2026');
    expect(await page.getByText('notes.txt').count()).toBe(0);
    await page.getByText('broken.jpg').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('gallery-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await browser.picture('gallery-dark');
    await page.setViewportSize({ width: 390, height: 800 });
    await browser.picture('gallery-narrow');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  it('shows one at a time, forward and back by the keyboard', async () => {
    const { page } = browser;
    await page.getByRole('button', { name: 'picture-17.png' }).first().click();
    const shown = page.locator('.viewer figcaption');
    const first = await shown.textContent();
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => shown.textContent()).not.toBe(first);
    await page.keyboard.press('ArrowLeft');
    await expect.poll(() => shown.textContent()).toBe(first);
    await browser.picture('gallery-viewer');
    await page.keyboard.press('End');
    await expect.poll(() => shown.textContent()).toContain('19 of 19');
    await page.keyboard.press('Home');
    await expect.poll(() => shown.textContent()).toMatch(/ 1 of 19$/);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.viewer').count()).toBe(0);
  });

  it('shows a picture that comes into the folder', async () => {
    await writeFile(path.join(folder, 'Harbour', 'new.png'), picture(60, 60, 1));
    await browser.page.getByRole('button', { name: 'new.png' }).waitFor();
  });

  it('shares an album by a link, after the person said yes in our window', async () => {
    const { page } = browser;
    await page.getByRole('button', { name: 'Albums' }).click();
    await browser.picture('gallery-albums');
    await page.getByRole('button', { name: /Harbour/ }).click();
    await page.getByRole('button', { name: 'Share album' }).click();
    await page.getByRole('button', { name: 'Make a link' }).click();
    await answer('share', true);
    await expect
      .poll(() => page.getByRole('textbox', { name: 'Share album' }).inputValue())
      .toMatch(/^extrachain:\/\//);
    await browser.picture('gallery-share');
    await page.keyboard.press('Escape');
    // The album is a drive of its own now, and stays where it was.
    await expect.poll(() => page.locator('.tile').count()).toBe(6);
  });

  it('shows nothing any more once the folder is taken back', async () => {
    await node.client.apps.revoke({ app: appId, name: 'drive.read' });
    await browser.page.getByRole('heading', { name: 'Your pictures, from your own folders' }).waitFor();
    const deeds = await node.client.apps.deeds({ app: appId });
    expect(deeds.map(({ method }) => method)).toContain('exc_driveShare');
    expect(browser.complaints.filter((text) => /security policy/i.test(text))).toEqual([]);
  });
});
