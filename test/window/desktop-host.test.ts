import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contract } from '../../src-shared/contract/index.ts';
import type { UpdateState } from '../../src-shared/contract/index.ts';
import { implement } from '../../src-shared/rpc/index.ts';
import { createDownloads, createHandlers, noPlatform } from '../../src-main/api/index.ts';
import type { Node, PlatformServices } from '../../src-main/api/index.ts';
import { createLinkInbox } from '../../src-main/desktop/link-inbox.ts';
import { requirePassword } from '../../src-main/desktop/require-password.ts';
import { createLoopbackServer } from '../../src-main/headless/server/index.ts';
import { createLogger, createNode } from '../../src-main/node/index.ts';
import { systemClock } from '../../src-main/platform/index.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

/** A desktop without a keychain, as the shell builds it, but for Electron: it has links and updates. */
function createHost() {
  const links = createLinkInbox();
  const listeners = new Set<() => void>();
  const done: string[] = [];
  let update: UpdateState = { state: 'idle', version: null, percent: null, message: null };
  const platform: PlatformServices = {
    ...noPlatform,
    capabilities: { ...noPlatform.capabilities, host: 'desktop', links: true, updates: true, drag: true },
    drag: (files) => void done.push(`drag ${files.map((file) => path.basename(file)).join(', ')}`),
    links,
    update: {
      state: () => update,
      on(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      check: async () => void done.push('check'),
      install: async () => void done.push('install'),
    },
  };
  const become = (change: Partial<UpdateState>) => {
    update = { ...update, ...change };
    for (const listener of listeners) listener();
  };
  return { platform, links, become, done };
}

describe.skipIf(chromium === null)('the window of a desktop without a keychain', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let other: Daemon;
  let node: Node;
  let server: ReturnType<typeof createLoopbackServer>;
  let browser: Browser;
  let invitation = '';
  const host = createHost();
  const password = 'four lorries of damp sand';

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-desktop');
    const dataDir = path.join(temp.dir, 'data');
    await mkdir(dataDir);
    other = await startDaemon({ data: path.join(temp.dir, 'other'), host: '127.0.0.25' });
    await other.cli('id', 'create');
    invitation = (
      (await other.cli('drive', 'create', 'Plans', '--folder', path.join(temp.dir, 'Plans'))) as {
        link: string;
      }
    ).link;
    node = await createNode({
      dataDir,
      listen: ['/ip4/127.0.0.26/tcp/0'],
      bootstrap: [],
      mdns: false,
      password: null,
      logLevel: 'silent',
    });
    await node.start();
    const downloads = createDownloads({
      clock: systemClock,
      random: randomBytes,
      origin: () => server.bytesOrigin(),
    });
    const handlers = createHandlers(requirePassword(node), {
      clock: systemClock,
      downloads,
      shutdown: () => {},
      platform: host.platform,
    });
    server = createLoopbackServer({
      host: '127.0.0.1',
      port: 0,
      dataDir,
      implementation: implement(contract, handlers),
      windowDir: path.resolve(import.meta.dirname, '../../dist/window'),
      bytes: (request) => downloads.serve(request),
      clock: systemClock,
      log: createLogger('silent'),
    });
    await server.start();
    browser = await openBrowser();
    await browser.page.goto(server.pageUrl());
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    await node?.stop();
    await other?.stop();
    await temp?.remove();
  });

  it('asks for a password before it makes keys', async () => {
    const { page } = browser;
    await page.getByRole('button', { name: /Start fresh/ }).click();
    await page.getByRole('heading', { name: 'Choose a password' }).waitFor();
    const go = page.getByRole('button', { name: 'Continue' });
    await page.getByLabel('New password', { exact: true }).fill('password1');
    await page.getByText('Easy to guess').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await page.getByLabel('New password', { exact: true }).fill(password);
    await page.getByText('Holds well').waitFor();
    expect(await go.isDisabled()).toBe(true);
    await page.getByLabel('New password again').fill(`${password}.`);
    await page.getByLabel('New password again').blur();
    await page.getByText('The two new passwords differ.').waitFor();
    await browser.picture('first-password');
    await page.getByLabel('New password again').fill(password);
    await go.click();
    await page.locator('[data-test=word]').nth(11).waitFor();
    const words = await page.locator('[data-test=word]').allTextContents();
    await page.getByLabel('I have written the words down').check();
    await page.getByRole('button', { name: 'Continue' }).click();
    for (const field of await page.locator('input[data-place]').all())
      await field.fill(words[Number(await field.getAttribute('data-place'))]!);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Skip for now' }).click();
    await page.getByRole('heading', { name: 'Home' }).waitFor();
  });

  it('locks, and unlocks with that password', async () => {
    const { page } = browser;
    await page.getByRole('link', { name: 'Settings', exact: true }).click();
    await page.getByRole('link', { name: 'Identity' }).last().click();
    await page.getByText('Your keys are encrypted with a password.').waitFor();
    await page.getByRole('button', { name: 'Lock now' }).click();
    await page.getByRole('heading', { name: 'Locked' }).waitFor();
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByRole('button', { name: 'Lock now' }).waitFor();
  });

  it('asks about a link that was clicked elsewhere, and joins what it names', async () => {
    const { page } = browser;
    host.links.add([invitation]);
    const dialog = page.getByRole('dialog', { name: 'Join this drive?' });
    await dialog.waitFor();
    await browser.picture('link-dialog');
    expect(await browser.accessibility()).toEqual([]);
    // Of a drive that this person is no member of nothing comes; the node says so where it was asked.
    await dialog.getByLabel('Folder on this computer').fill(path.join(temp.dir, 'Joined'));
    await dialog.getByRole('button', { name: 'Join' }).click();
    await dialog.getByRole('alert').waitFor();
    const refusal = (await dialog.getByRole('alert').textContent()) ?? '';
    console.log(`before it is shared: ${refusal.trim()}`);
    await other.cli('drive', 'share', 'Plans', node.userId()!, '--role', 'editor');
    await dialog.getByRole('button', { name: 'Join' }).click();
    await Promise.race([
      dialog.waitFor({ state: 'detached' }),
      dialog
        .getByRole('alert')
        .filter({ hasNotText: refusal })
        .waitFor()
        .then(async () => expect.fail((await dialog.textContent()) ?? '')),
    ]);
    await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor();
    // The same link again leads there.
    await page.getByRole('link', { name: 'Home', exact: true }).click();
    host.links.add([invitation]);
    await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor();
  });

  it('drags files out as what they are on the disk, and knows its own when they come back', async () => {
    const { page } = browser;
    const folder = path.join(temp.dir, 'Joined');
    await mkdir(path.join(folder, 'Old'));
    for (const name of ['one.txt', 'two.txt']) await writeFile(path.join(folder, name), name);
    const row = (name: string) => page.getByRole('row', { name: new RegExp(`^${name}`) });
    await row('two.txt').filter({ hasText: 'In step' }).waitFor();
    await row('one.txt').click();
    await row('two.txt').click({ modifiers: ['Shift'] });
    // The system takes over what the page began; so the events that would follow are the system's.
    const drag = (name: string) =>
      page.evaluate(`(() => {
        const rows = [...document.querySelectorAll('[role=row][data-index]')];
        const dataTransfer = new DataTransfer();
        const event = new DragEvent('dragstart', { bubbles: true, cancelable: true, dataTransfer });
        rows.find((one) => one.textContent.includes('${name}')).dispatchEvent(event);
        return event.defaultPrevented;
      })()`);
    expect(await drag('two.txt')).toBe(true);
    await expect.poll(() => host.done).toEqual(['drag one.txt, two.txt']);
    host.done.length = 0;
    const line = await page.context().newCDPSession(page);
    const drop = async (name: string, ...files: string[]) => {
      const box = (await row(name).boundingBox())!;
      const spot = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
        await line.send('Input.dispatchDragEvent', {
          type,
          ...spot,
          data: { items: [], files, dragOperationsMask: 1 },
        });
    };
    // Back onto a folder of the drive: moved, not copied.
    await drop('Old', path.join(folder, 'one.txt'), path.join(folder, 'two.txt'));
    await row('two.txt').waitFor({ state: 'detached' });
    await expect.poll(() => existsSync(path.join(folder, 'Old', 'two.txt'))).toBe(true);
    expect(existsSync(path.join(folder, 'one.txt'))).toBe(false);
    await line.detach();
  });

  it('takes a pasted link as well, and says what it cannot open', async () => {
    const { page } = browser;
    // Written as text: this file knows no types of the page.
    const paste = (text: string) =>
      page.evaluate(`{
        const clipboardData = new DataTransfer();
        clipboardData.setData('text/plain', ${JSON.stringify(text)});
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
      }`);
    await paste('extrachain://stream/abc');
    await page.getByText("This version can't open this kind of link yet.").waitFor();
    await paste(
      invitation.replace(/baf[a-z2-7]+/, (id) => `${id.slice(0, -1)}${id.endsWith('a') ? 'b' : 'a'}`),
    );
    await page.getByRole('dialog', { name: 'Join this drive?' }).waitFor();
    await page.keyboard.press('Escape');
  });

  it('has words for every state of an update', async () => {
    const { page } = browser;
    await page.getByRole('link', { name: 'Settings', exact: true }).click();
    await page.getByRole('button', { name: 'Look now' }).click();
    await expect.poll(() => host.done).toEqual(['check']);
    host.become({ state: 'checking' });
    await page.getByText('Looking for a newer version.').waitFor();
    host.become({ state: 'downloading', version: '0.2.0', percent: 43 });
    await page.getByText('Version 0.2.0 is being downloaded.').waitFor();
    await page.getByText('43\u00a0%').waitFor();
    await browser.picture('update');
    host.become({ state: 'failed', percent: null, message: 'net::ERR_FAILED' });
    await page.getByText('The update could not be fetched.').waitFor();
    host.become({ state: 'ready', message: null });
    await page.getByRole('button', { name: 'Restart now' }).click();
    expect(await browser.accessibility()).toEqual([]);
    await page.getByRole('alertdialog').getByRole('button', { name: 'Restart now' }).click();
    await expect.poll(() => host.done).toEqual(['check', 'install']);
    host.become({ state: 'off', version: null });
    await page.getByText('This build does not update itself.').waitFor();
    expect(await page.getByRole('button', { name: 'Look now' }).count()).toBe(0);
  });
});
