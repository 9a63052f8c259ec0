import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EarnedSeries, RelayFund, StreamStats } from '../../src-shared/contract/index.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { until } from '../support/trees.ts';

/** A real stream through a real relay, which is paid on a real network by what the viewer's computer signed. */

const extrachain = path.resolve(import.meta.dirname, '../../bin/extrachain');
let temp: { dir: string; remove(): Promise<void> };
const daemons: Daemon[] = [];
let publisher: ChildProcess | null = null;
let feeding: ReturnType<typeof setInterval> | null = null;

async function start(name: string, host: number): Promise<Daemon> {
  const preload = pathToFileURL(path.join(import.meta.dirname, '../support/shifted-clock.mjs')).href;
  const env = { SHIFTED_CLOCK: path.join(temp.dir, 'clock'), NODE_OPTIONS: `--import ${preload}` };
  const one = await startDaemon({ data: path.join(temp.dir, name), host: `127.0.19.${host}`, env });
  await one.cli('id', 'create');
  daemons.push(one);
  return one;
}
/** Hours that pass from now on, for all of them. */
async function shift(hours: number): Promise<void> {
  await writeFile(path.join(temp.dir, 'clock.new'), String(hours * 3_600_000));
  await rename(path.join(temp.dir, 'clock.new'), path.join(temp.dir, 'clock'));
}
async function final(daemon: Daemon, ...args: string[]): Promise<void> {
  const { hash } = await daemon.cli<{ hash: string }>(...args);
  expect(await daemon.cli('tx', 'wait', hash, '--timeout', '60')).toMatchObject({ ok: true });
}
const coins = async (daemon: Daemon, symbol = 'EXC'): Promise<number> => {
  const all = await daemon.cli<{ symbol: string; amount: string }[]>('wallet', 'balance');
  return Number(all.find((one) => one.symbol === symbol)?.amount ?? 0);
};

/** Sends bytes from a pipe at a steady rate; resolves with the stream's link. */
function publish(daemon: Daemon): Promise<{ streamId: string; link: string }> {
  const args = ['stream', 'publish', 'Paid', '--from', '-', '--audience', 'unlisted', '--fanout', '1'];
  const child = spawn(extrachain, ['--data', daemon.data, '--json', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  publisher = child;
  child.stdin.on('error', () => {});
  feeding = setInterval(() => child.stdin.write(randomBytes(100_000)), 100);
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) =>
      resolve(JSON.parse(line) as { streamId: string; link: string }),
    );
    child.once('exit', (code) => reject(new Error(`publish ended with ${code}`)));
  });
}

beforeAll(async () => {
  temp = await tempDir('relay-pay');
  await shift(0);
});
afterAll(async () => {
  if (feeding) clearInterval(feeding);
  publisher?.kill('SIGKILL');
  await Promise.all(daemons.map((one) => one.stop()));
  await temp?.remove();
});

it('pays the computer that passed a stream on what its fund offers, by the viewer’s receipts', async () => {
  const [source, relay, viewer] = await Promise.all([start('ada', 1), start('ben', 2), start('cyd', 3)]);
  const { link } = await source.cli<{ link: string }>('chain', 'create', 'harbour');
  await source.cli('stream', 'relay', 'auto', '--uplink', '100Mbit');
  await relay.cli('stream', 'relay', 'on', '--uplink', '100Mbit');
  for (const other of [relay, viewer]) await other.cli('net', 'ping', source.ready.addresses[0]!);
  await relay.cli('chain', 'join', link);
  const { userId } = await relay.cli<{ userId: string }>('status');
  await final(source, 'wallet', 'send', userId, '200', 'EXC');
  // With something at stake its work counts for what a token emits for relays, too.
  const mining = path.join(temp.dir, 'mining.json');
  const split = { stakers: 0, relays: 10_000 };
  await writeFile(mining, JSON.stringify({ kind: 'fixed', perPeriod: '2400', periodSeconds: 3600, split }));
  const token = ['--name', 'Air', '--supply', '1', '--max', '1000000', '--mining', mining];
  await final(source, 'token', 'create', 'AIR', ...token);
  await final(relay, 'stake', 'bond', 'EXC', '100');
  const show = await publish(source);
  const fund = ['--amount', '1000', '--price', '1000', '--hours', '1', '--share', '100'];
  await final(source, 'stream', 'fund', show.streamId, ...fund);
  const stats = (one: Daemon): Promise<StreamStats> => one.cli('stream', 'stats', show.streamId);
  await until('the relay joins', 30_000, async () => (await stats(source)).children.length === 1, 200);
  expect((await stats(source)).children).toEqual([relay.ready.peerId]);
  await viewer.cli('stream', 'watch', show.link);
  await until(
    'the viewer is fed by the relay',
    30_000,
    async () => (await stats(viewer)).parent === relay.ready.peerId,
    200,
  );

  const before = await coins(relay);
  await until('the relay is paid', 60_000, async () => (await coins(relay)) > before, 300);
  const [paying] = await relay.cli<RelayFund[]>('stream', 'funds');
  expect(paying!.stream).toBe(show.streamId);
  expect(Number(paying!.paid)).toBeGreaterThan(0);
  // A tenth burnt, the rest is what came in, but for the fee.
  expect(1000 - Number(paying!.left)).toBeCloseTo(Number(paying!.paid) / 0.9, 4);
  expect((await coins(relay)) - before).toBeLessThanOrEqual(Number(paying!.paid));
  // As much as was passed on, by the price, and no more.
  const { sent } = await stats(relay);
  expect(Number(paying!.paid)).toBeLessThanOrEqual((0.9 * 1000 * sent) / 2 ** 30);
  let earned: EarnedSeries | undefined;
  await until(
    'what it earned when is kept',
    30_000,
    async () => {
      await final(source, 'wallet', 'send', userId, '0.1', 'EXC');
      const all = await relay.cli<EarnedSeries[]>('wallet', 'earned');
      earned = all.find(({ of }) => of === 'relays');
      return earned !== undefined;
    },
    1000,
  );
  expect(earned!.hours.map(({ pay }) => Number(pay)).reduce((sum, one) => sum + one, 0)).toBeCloseTo(
    Number(paying!.paid),
    4,
  );

  // Two hours later it gets a tenth, as anybody at the most, of a 24th of what came together.
  clearInterval(feeding!);
  await shift(2);
  await until(
    'the hour is over',
    30_000,
    async () => {
      await final(source, 'wallet', 'send', userId, '0.1', 'EXC');
      const [, air] = await relay.cli<{ symbol: string; relaysWaiting: string }[]>('storage', 'earnings');
      return Number(air?.relaysWaiting ?? 0) > 0;
    },
    500,
  );
  await final(relay, 'stream', 'collect', 'AIR');
  const air = await coins(relay, 'AIR');
  expect(air).toBeGreaterThan(2 * 10);
  expect(air).toBeLessThan(3 * 10);
}, 180_000);
