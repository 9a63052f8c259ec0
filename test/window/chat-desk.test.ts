import { spawnSync } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Connection } from '../../src-shared/rpc/index.ts';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { until } from '../support/trees.ts';
import { findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

interface Side {
  readonly daemon: Daemon;
  readonly node: Connection<AppContract>;
  readonly userId: string;
  readonly browser: Browser;
}

describe.skipIf(chromium === null)('the apps Chat and Desk, between two computers', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let a: Side;
  let b: Side;

  async function start(name: string, host: string): Promise<Side> {
    const data = path.join(temp.dir, name);
    const daemon = await startDaemon({ data, host });
    const node = await connectToDaemon(data);
    const { userId } = await node.client.identity.create({ words: 12 });
    return { daemon, node, userId: userId!, browser: await openBrowser({ width: 1100 }) };
  }
  const launch = async ({ node, browser }: Side, app: string): Promise<void> => {
    // Several daemons and browsers start at once here.
    browser.page.setDefaultTimeout(60_000);
    await browser.page.goto((await node.client.apps.launch({ app })).url, { timeout: 60_000 });
  };
  /** Says yes to what the app asks, as the person does in our window. */
  async function allow({ node }: Side): Promise<void> {
    await expect.poll(() => node.client.apps.approvals({}), { timeout: 60_000 }).toHaveLength(1);
    const [one] = await node.client.apps.approvals({});
    await node.client.apps.decide({ approvalId: one!.approvalId, allow: true });
  }

  beforeAll(async () => {
    temp = await tempDir('chat-desk');
    // Daemons install what ExtraChain ships.
    const builder = path.resolve(import.meta.dirname, '../../bin/build-apps.mjs');
    const { status } = spawnSync(process.execPath, [builder, 'chat', 'desk'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) throw new Error('the apps could not be built');
    a = await start('a', '127.0.0.51');
    b = await start('b', '127.0.0.52');
    await b.daemon.cli('net', 'ping', a.daemon.ready.addresses[0]!);
    await until('the two know each other', 60_000, async () =>
      (await a.node.client.net.peers({})).some(({ userId }) => userId === b.userId),
    );
  }, 240_000);
  afterAll(async () => {
    for (const side of [a, b]) {
      await side?.browser.close();
      side?.node.close();
      await side?.daemon.stop();
    }
    await temp?.remove();
  });

  it('brings what is said to the other at once, both ways', { timeout: 240_000 }, async () => {
    await launch(a, 'chat');
    const { page } = a.browser;
    await page.getByRole('button', { name: 'New group' }).first().click();
    await page.getByLabel('Name of the group').fill('Sunday walk');
    await page.getByRole('button', { name: 'Create' }).click();
    const write = (side: Side) => side.browser.page.getByRole('textbox', { name: 'Write a message' });
    await write(a).fill('Shall we meet at ten, by the bridge?');
    await write(a).press('Enter');
    await page.getByRole('button', { name: 'Members' }).click();
    await page.getByRole('button', { name: 'Add somebody' }).click();
    await page.getByLabel('User id').fill(b.userId);
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await allow(a);
    await launch(b, 'chat');
    await b.browser.page.getByRole('button', { name: 'Join' }).click();
    await b.browser.page.getByText('Shall we meet at ten').last().waitFor();
    await write(b).fill('Yes. I bring the bread.');
    await write(b).press('Enter');
    await page.locator('.bubble', { hasText: 'I bring the bread' }).waitFor();
    await write(a).fill('And I the cheese <b>not bold</b>');
    await write(a).press('Enter');
    await b.browser.page.locator('.bubble', { hasText: '<b>not bold</b>' }).waitFor();
    for (const side of [a, b]) expect(await side.browser.accessibility()).toEqual([]);
    await a.browser.picture('chat-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await a.browser.picture('chat-dark');
    await page.setViewportSize({ width: 390, height: 800 });
    await a.browser.picture('chat-narrow');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1100, height: 760 });
    for (const side of [a, b]) expect(side.browser.complaints).toEqual([]);
  });

  it(
    'shows pictures and links, saves what came, and knows what was not read',
    { timeout: 240_000 },
    async () => {
      const { page } = a.browser;
      const there = b.browser.page;
      const write = page.getByRole('textbox', { name: 'Write a message' });
      await page.getByRole('button', { name: 'Attach a file' }).click();
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.getByRole('button', { name: 'Choose files' }).click(),
      ]);
      const bytes = await readFile(path.resolve(import.meta.dirname, '../../assets/icon.png'));
      await chooser.setFiles({ name: 'bridge.png', mimeType: 'image/png', buffer: bytes });
      await there.locator('.bubble .picture').waitFor();
      await write.fill('The way: https://example.org/bridge?from=park. See you.');
      await write.press('Enter');
      const link = there.locator('.bubble .link');
      await link.waitFor();
      expect(await link.textContent()).toBe('https://example.org/bridge?from=park');
      await a.browser.picture('chat-picture');

      // A page of an app downloads nothing: what was sent goes into a folder that the person picks.
      const folder = path.join(temp.dir, 'saved');
      await mkdir(folder);
      const { driveId } = await b.node.client.drives.create({ name: 'Saved', folder });
      await there.getByRole('button', { name: 'bridge.png' }).click();
      await there.getByRole('button', { name: 'Save', exact: true }).click();
      await expect.poll(() => b.node.client.apps.approvals({}), { timeout: 60_000 }).toHaveLength(1);
      const [asked] = await b.node.client.apps.approvals({});
      const grant = { name: asked!.grants[0]!.name, caveats: { drive: driveId, path: '' } };
      await b.node.client.apps.decide({ approvalId: asked!.approvalId, allow: true, grant });
      await there.getByText('bridge.png is in Saved.').waitFor();
      expect(await readFile(path.join(folder, 'bridge.png'))).toEqual(bytes);

      // After a reload no group is open; what is said now is counted, also after another one.
      await there.reload();
      const row = there.locator('.row', { hasText: 'Sunday walk' });
      await row.waitFor();
      await write.fill('Bring a coat.');
      await write.press('Enter');
      await expect.poll(() => row.locator('.count').textContent(), { timeout: 60_000 }).toBe('1');
      await there.reload();
      await expect.poll(() => row.locator('.count').textContent(), { timeout: 60_000 }).toBe('1');
      await b.browser.picture('chat-unread');
      await row.click();
      await there.locator('.news').waitFor();
      expect(await row.locator('.count').count()).toBe(0);
      expect(await b.browser.accessibility()).toEqual([]);
      await b.browser.picture('chat-news');

      // One's own message can be taken back, for everybody.
      await page.locator('.bubble.mine', { hasText: 'Bring a coat' }).hover();
      await page
        .locator('.bubble.mine', { hasText: 'Bring a coat' })
        .getByRole('button', { name: 'Delete' })
        .click();
      await page.locator('dialog').getByRole('button', { name: 'Delete' }).click();
      await there.locator('.bubble', { hasText: 'Bring a coat' }).waitFor({ state: 'detached' });
      for (const side of [a, b]) expect(side.browser.complaints).toEqual([]);
    },
  );

  it('lets two write one note at once, and loses no letter', { timeout: 240_000 }, async () => {
    await launch(a, 'desk');
    const { page } = a.browser;
    await page.getByRole('button', { name: 'New notebook' }).first().click();
    await page.getByLabel('Name of the notebook').fill('Kitchen');
    await page.getByRole('button', { name: 'Create' }).click();
    const sheet = (side: Side) => side.browser.page.getByRole('textbox', { name: 'Write here' });
    await sheet(a).fill('Shopping list\n- flour\n');
    await page.getByRole('button', { name: 'Share the notebook' }).click();
    await page.getByLabel('User id').fill(b.userId);
    await page.getByRole('button', { name: 'Share', exact: true }).click();
    await allow(a);
    await launch(b, 'desk');
    await b.browser.page.getByRole('button', { name: 'Open' }).click();
    await b.browser.page.getByRole('button', { name: /Shopping list/ }).click();
    await expect.poll(() => sheet(b).inputValue(), { timeout: 60_000 }).toContain('- flour');
    // Both type at once, one at the end and one at the top.
    await sheet(b).press('Control+Home');
    await sheet(a).press('Control+End');
    await Promise.all([
      sheet(a).pressSequentially('- eggs\n- milk\n', { delay: 25 }),
      sheet(b).pressSequentially('For Sunday: ', { delay: 25 }),
    ]);
    const whole = 'For Sunday: Shopping list\n- flour\n- eggs\n- milk\n';
    for (const side of [a, b])
      await expect.poll(() => sheet(side).inputValue(), { timeout: 60_000 }).toBe(whole);
    for (const side of [a, b]) expect(await side.browser.accessibility()).toEqual([]);
    await a.browser.picture('desk-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await a.browser.picture('desk-dark');
    await page.setViewportSize({ width: 390, height: 800 });
    await a.browser.picture('desk-narrow');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1100, height: 760 });
    for (const side of [a, b]) expect(side.browser.complaints).toEqual([]);
  });

  it('talks beside a note, in a room of the Chat of its owner', { timeout: 240_000 }, async () => {
    const chat = await a.browser.page.context().newPage();
    chat.setDefaultTimeout(60_000);
    await chat.goto((await a.node.client.apps.launch({ app: 'chat' })).url, { timeout: 60_000 });
    await chat.getByRole('button', { name: 'Open rooms for other apps' }).click();
    await allow(a);
    await chat.getByText('Rooms for other apps are open').waitFor();
    await chat.close();
    await a.browser.page.bringToFront();
    for (const side of [a, b]) {
      await side.browser.page.getByRole('button', { name: 'Talk about this note' }).click();
      await allow(side);
    }
    const say = (side: Side) => side.browser.page.getByRole('textbox', { name: 'Say something' });
    const heard = (side: Side, text: string) =>
      side.browser.page.locator('.said', { hasText: text }).waitFor();
    await say(b).fill('Enough eggs for six?');
    await say(b).press('Enter');
    await heard(a, 'for six');
    await say(a).fill('Take a dozen.');
    await say(a).press('Enter');
    await heard(b, 'a dozen');
    const { page } = a.browser;
    expect(await a.browser.accessibility()).toEqual([]);
    await a.browser.picture('desk-talk-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 800 });
    await a.browser.picture('desk-talk-narrow');
    for (const side of [a, b]) {
      expect(await side.browser.page.locator('.talk .problem').isVisible()).toBe(false);
      expect(side.browser.complaints).toEqual([]);
    }
  });
});
