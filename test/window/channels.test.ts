import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import path from 'node:path';
import process from 'node:process';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Connection } from '../../src-shared/rpc/index.ts';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { until } from '../support/trees.ts';
import { findChromium, openBrowser, pictures } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');
if (!hasFfmpeg) console.log('skipped: no ffmpeg on this system');

interface Side {
  readonly daemon: Daemon;
  readonly node: Connection<AppContract>;
  readonly userId: string;
  readonly browser: Browser;
}
/** Several daemons, browsers and an encoder run at once here, on whatever machine. */
const patience = { timeout: 60_000 };

describe.skipIf(chromium === null || !hasFfmpeg)('the app Channels, between two computers', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let a: Side;
  let b: Side;
  let publisher: ChildProcess | null = null;
  let recordings = '';
  let evening = '';
  let gift = '';

  async function start(name: string, host: string): Promise<Side> {
    const home = path.join(temp.dir, name);
    await mkdir(home);
    const data = path.join(home, 'data');
    const daemon = await startDaemon({ data, host, env: { HOME: home } });
    const node = await connectToDaemon(data);
    const { userId } = await node.client.identity.create({ words: 12 });
    const args = ['--autoplay-policy=no-user-gesture-required'];
    return { daemon, node, userId: userId!, browser: await openBrowser({ width: 1180, args }) };
  }
  async function launch({ node }: Side, page: Page, app: string): Promise<void> {
    page.setDefaultTimeout(patience.timeout);
    await page.goto((await node.client.apps.launch({ app })).url, patience);
  }
  /** Says yes to what the app asks, as the person does in our window. */
  async function allow({ node }: Side, kind: string, drive?: string): Promise<void> {
    await expect.poll(() => node.client.apps.approvals({}), patience).toHaveLength(1);
    const [one] = await node.client.apps.approvals({});
    expect(one!.kind).toBe(kind);
    const grant =
      drive === undefined ? undefined : { name: one!.grants[0]!.name, caveats: { drive, path: '' } };
    await node.client.apps.decide({ approvalId: one!.approvalId, allow: true, ...(grant && { grant }) });
  }
  const balance = async ({ node }: Side): Promise<number> =>
    Number((await node.client.wallet.balance({ user: null })).find(({ symbol }) => symbol === 'EXC')?.amount);
  /** Where the picture is, seconds; it has to move on. */
  async function plays(page: Page): Promise<void> {
    const at = (): Promise<number> =>
      page.locator('video').evaluate((video) => (video as unknown as { currentTime: number }).currentTime);
    await expect.poll(at, patience).toBeGreaterThan(0);
    const before = await at();
    await expect.poll(at, patience).toBeGreaterThan(before + 1);
  }
  async function looks(side: Side, name: string): Promise<void> {
    const { page } = side.browser;
    expect(await side.browser.accessibility()).toEqual([]);
    await side.browser.picture(`${name}-light`);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await side.browser.accessibility()).toEqual([]);
    await side.browser.picture(`${name}-dark`);
    await page.setViewportSize({ width: 390, height: 800 });
    await side.browser.picture(`${name}-narrow`);
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1180, height: 800 });
  }

  beforeAll(async () => {
    temp = await tempDir('channels');
    const builder = path.resolve(import.meta.dirname, '../../bin/build-apps.mjs');
    const { status } = spawnSync(process.execPath, [builder, 'channels', 'chat'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) throw new Error('the apps could not be built');
    const film = path.join(temp.dir, 'film.mp4');
    const made = spawnSync('ffmpeg', [
      ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=480x270:rate=15'],
      ...['-f', 'lavfi', '-i', 'sine=frequency=330', '-t', '40', '-c:v', 'libx264', '-preset', 'ultrafast'],
      ...['-pix_fmt', 'yuv420p', '-g', '15', '-bf', '0', '-c:a', 'aac', '-movflags', '+faststart', film],
    ]);
    if (made.status !== 0) throw new Error(`ffmpeg: ${made.stderr.toString()}`);
    a = await start('a', '127.0.0.53');
    b = await start('b', '127.0.0.54');
    const { link } = await a.daemon.cli<{ link: string }>('chain', 'create', 'harbour');
    await b.daemon.cli('chain', 'join', link);
    const { hash } = await a.daemon.cli<{ hash: string }>('wallet', 'send', b.userId, '100', 'EXC');
    gift = hash;
    const { height } = await a.daemon.cli<{ height: number }>('tx', 'wait', hash, '--timeout', '90');
    await b.daemon.cli('chain', 'wait', '--height', String(height), '--timeout', '90');
    await until('the two know each other', 90_000, async () =>
      (await a.node.client.net.peers({})).some(({ userId }) => userId === b.userId),
    );
    const folder = path.join(temp.dir, 'a', 'Recordings');
    await mkdir(folder);
    await copyFile(film, path.join(folder, 'evening-set_first-night.mp4'));
    ({ driveId: recordings } = await a.node.client.drives.create({ name: 'Recordings', folder }));
    await a.node.client.drives.wait({ drive: recordings });
  }, 300_000);
  afterAll(async () => {
    publisher?.kill('SIGTERM');
    for (const side of [a, b]) {
      await side?.browser.close();
      side?.node.close();
      await side?.daemon.stop();
    }
    await temp?.remove();
  });

  it('makes a channel, which another computer finds and follows', { timeout: 300_000 }, async () => {
    await launch(a, a.browser.page, 'channels');
    const { page } = a.browser;
    await page.getByRole('button', { name: 'Make your channel' }).first().click();
    await page.getByLabel('Name of the channel').fill('Harbour sessions');
    await page.getByLabel('What it is about').fill('Music from the east pier, every evening at eight.');
    await page.getByRole('button', { name: 'Save' }).click();
    await allow(a, 'permission');
    await page.getByText('Others see your channel while this computer is on.').last().waitFor();
    // With every page of its owner closed, his node answers for the channel.
    await page.goto('about:blank');
    await launch(b, b.browser.page, 'channels');
    await b.browser.page.getByRole('button', { name: /Harbour sessions/ }).click();
    await b.browser.page.getByText('Music from the east pier').last().waitFor();
    await b.browser.page.getByRole('button', { name: 'Follow', exact: true }).click();
    await b.browser.page.getByRole('button', { name: 'Unfollow' }).waitFor();
    await launch(a, page, 'channels');
    await page.getByRole('button', { name: /Harbour sessions/ }).click();
  });

  it('publishes a recording of a drive, which plays elsewhere', { timeout: 300_000 }, async () => {
    const { page } = a.browser;
    await page.getByRole('button', { name: 'Add a recording' }).click();
    await allow(a, 'folder', recordings);
    await page.getByRole('button', { name: /evening-set_first-night/ }).click();
    await allow(a, 'share');
    await page.getByRole('button', { name: /^evening set first night/ }).waitFor();
    await looks(a, 'channels-own');
    const viewer = b.browser.page;
    const card = viewer.getByRole('button', { name: /^evening set first night/ });
    // A frame of it, taken by the owner's app and brought by his node.
    await expect
      .poll(
        () =>
          card.locator('img').evaluate((img) => (img as unknown as { naturalWidth: number }).naturalWidth),
        patience,
      )
      .toBe(384);
    await looks(b, 'channels-page');
    await card.click();
    await plays(viewer);
    // Nothing was joined for it, and the drive is open to nobody but those who have the link.
    expect(await b.node.client.drives.list({})).toEqual([]);
    expect(await a.node.client.drives.visibility({ drive: recordings })).toEqual({ visibility: 'unlisted' });
    for (const side of [a, b]) expect(side.browser.complaints).toEqual([]);
  });

  it('shows who is live, plays it, and talks beside it in rooms of Chat', { timeout: 400_000 }, async () => {
    // For those alone who have its link: the channel must not tell of it.
    const { streamId } = await a.node.client.streams.start({
      title: 'Rehearsal',
      audience: 'unlisted',
      renditions: [{ id: 'v', kind: 'av', codecs: 'avc1.42c01e', bandwidth: 500_000 }],
    });
    await a.browser.page
      .getByRole('button', { name: /Rehearsal/ })
      .first()
      .waitFor();
    await a.node.client.streams.stop({ stream: streamId });
    const extrachain = path.resolve(import.meta.dirname, '../../bin/extrachain');
    const film = path.join(temp.dir, 'film.mp4');
    const args = ['--data', a.daemon.data, '--json', 'stream', 'publish', 'Evening set, second night'];
    const poster = path.join(temp.dir, 'poster.jpg');
    spawnSync('ffmpeg', ['-v', 'error', '-i', film, '-frames:v', '1', poster]);
    publisher = spawn(extrachain, [...args, '--from', film, '--loop', '--poster', poster], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise<string>((resolve) =>
      createInterface({ input: publisher!.stdout! }).once('line', resolve),
    );
    evening = (JSON.parse(line) as { streamId: string }).streamId;
    const live = (side: Side) =>
      side.browser.page.getByRole('button', { name: /Evening set, second night/ }).first();
    await live(b).click();
    await plays(b.browser.page);
    // Nobody keeps a room yet, and it opens by itself once the channel's owner does.
    await b.browser.page.getByText('There is no room here now').waitFor();
    const chat = await a.browser.page.context().newPage();
    await launch(a, chat, 'chat');
    await chat.getByRole('button', { name: 'Open rooms for other apps' }).click();
    await allow(a, 'permission');
    await chat.getByText('Rooms for other apps are open').waitFor();
    await chat.setViewportSize({ width: 1180, height: 800 });
    await chat.screenshot({ path: path.join(pictures, 'channels-chat.png') });
    // The room stays open without it.
    await chat.close();
    await a.browser.page.bringToFront();
    await live(a).click();
    const say = (side: Side) => side.browser.page.getByRole('textbox', { name: 'Say something' });
    const heard = (side: Side, text: string) =>
      side.browser.page.locator('.said', { hasText: text }).waitFor();
    await say(b).fill('Is the lantern walk tonight too?');
    await say(b).press('Enter');
    await heard(a, 'lantern walk');
    await say(a).fill('Tomorrow at seven <i>sharp</i>');
    await say(a).press('Enter');
    await heard(b, '<i>sharp</i>');
    await plays(b.browser.page);
    // Said once, and nobody is told otherwise.
    for (const side of [a, b]) {
      expect(await side.browser.page.locator('.said').count()).toBe(2);
      expect(await side.browser.page.locator('.talk .problem').isVisible()).toBe(false);
    }
    await looks(b, 'channels-live');
  });

  it('sends a tip, once the person says yes, and says so in the room', { timeout: 300_000 }, async () => {
    const before = await balance(a);
    const { page } = b.browser;
    await page.getByRole('button', { name: 'Tip', exact: true }).click();
    await allow(b, 'permission');
    await page.getByLabel('Amount').fill('2');
    await b.browser.picture('channels-tip');
    await page.getByRole('button', { name: 'Send', exact: true }).last().click();
    await expect.poll(() => b.node.client.apps.approvals({}), patience).toHaveLength(1);
    expect((await b.node.client.apps.approvals({}))[0]!.spends).toEqual([
      { symbol: 'EXC', amount: '2', to: a.userId },
    ]);
    await allow(b, 'payment');
    await page.getByText('Your tip of 2 EXC has arrived.').waitFor();
    await expect.poll(() => balance(a), patience).toBeGreaterThan(before + 1.9);
    // Whoever sees balances has it checked on the ledger; others are told who says so.
    await a.browser.page.locator('.tip:not(.checked)', { hasText: '2 EXC' }).waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    const shown = page.locator('.tip', { hasText: '2 EXC' });
    await page.locator('.tip.checked', { hasText: '2 EXC' }).waitFor();
    await looks(b, 'channels-tipped');
    await shown.getByRole('button', { name: 'See the payment' }).click();
    await expect.poll(() => b.node.client.apps.approvals({}), patience).toHaveLength(1);
    const [link] = await b.node.client.apps.approvals({});
    expect(link!.text).toMatch(/^extrachain:\/\/tx\/[0-9a-f]{64}$/);
    const { messages } = await b.node.client.transactions.show({ hash: link!.text.slice(-64), proof: false });
    expect(messages).toMatchObject([{ to: a.userId, amount: '2', symbol: 'EXC' }]);
    await allow(b, 'link');
    // A payment that somebody only tells of is shown as what it is: something said.
    const [room] = await b.node.client.services.list({ search: 'chat rooms', interface: null });
    const said = { room: `channels/stream/${evening}`, text: 'Sent a tip of 900 EXC' };
    const tip = { amount: '900', symbol: 'EXC', tx: gift };
    await b.node.client.services.call({
      service: room!.service,
      method: 'post',
      params: { ...said, tip },
      maxFee: null,
    });
    await page.locator('.said:not(.tip)', { hasText: '900 EXC' }).waitFor();
  });

  it('says when the stream has ended, and keeps it on the channel', { timeout: 300_000 }, async () => {
    publisher!.kill('SIGTERM');
    await b.browser.page.getByText('The stream has ended.').waitFor();
    const { page } = a.browser;
    await page.getByRole('heading', { name: 'Harbour sessions' }).getByRole('button').click();
    await page.locator('.past').getByText('Evening set, second night').waitFor();
    expect(await page.locator('.past li').count()).toBe(1);
    // What is not there any more is asked for once more before it is known to be over.
    const serious = [...a.browser.complaints, ...b.browser.complaints].filter(
      (text) => !/status of (404|410)/.test(text),
    );
    expect(serious).toEqual([]);
  });
});
