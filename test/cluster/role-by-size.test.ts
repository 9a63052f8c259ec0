import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tempDir } from '../support/daemon.ts';
import { meet, startNode, type LocalNode } from '../support/nodes.ts';

/** A ledger that grows beyond what a computer wants to keep of it: whole nodes, real sockets. */

const never = new AbortController().signal;
let temp: { dir: string; remove(): Promise<void> };
let ada: LocalNode;
let ben: LocalNode;
const status = (on: LocalNode) => on.node.chain.status({ chain: null }, never);
const file = (on: LocalNode, chain: string): string => path.join(on.data, 'chains', chain, 'ledger.db');
const patience = { timeout: 120_000, interval: 500 };
const amount = async (on: LocalNode): Promise<string | undefined> =>
  (await on.node.wallet.balance({ user: null }, never))[0]?.amount;
async function pay(value: string): Promise<void> {
  const to = (await ben.node.identity.show({}, never)).userId;
  const sent = await ada.node.wallet.send({ symbol: 'EXC', memo: '', to, amount: value }, never);
  await ada.node.transactions.wait(sent, AbortSignal.timeout(120_000));
}

beforeAll(async () => {
  temp = await tempDir('role-by-size');
  [ada, ben] = await Promise.all([
    startNode(path.join(temp.dir, 'ada'), '127.0.42.1'),
    startNode(path.join(temp.dir, 'ben'), '127.0.42.2'),
  ]);
  for (const one of [ada, ben]) await one.node.identity.create({ words: 12 }, never);
  const { link } = await ada.node.chain.create({ name: 'growing', genesis: null }, never);
  await meet(ben, ada);
  await ben.node.chain.join({ link, light: false }, never);
}, 120_000);

afterAll(async () => {
  await Promise.all([ada, ben].map((one) => one?.stop()));
  await temp.remove();
});

it('is checked whole while it is small, in headers above the bound, and whole again by command', async () => {
  await pay('5');
  await expect.poll(() => amount(ben), patience).toBe('5');
  const before = await status(ben);
  expect(before).toMatchObject({ role: 'full', auto: true, lightAbove: 2_000_000_000, lightened: null });
  expect(before.bytes).toBeGreaterThan(10_000);

  await ben.node.settings.set({ key: 'ledger.fullBytes', value: before.bytes! - 1 }, never);
  await expect.poll(async () => (await status(ben)).role, patience).toBe('light');
  await expect.poll(() => existsSync(file(ben, before.chainId)), patience).toBe(false);
  const light = await status(ben);
  expect(light.lightened!.bytes).toBeGreaterThanOrEqual(before.bytes!);
  expect(light).toMatchObject({ auto: true, bytes: null, active: true, problem: null });
  // What was checked here before is not given up: it goes on from that block, even where nobody makes a new one.
  expect(light.height).toBeGreaterThanOrEqual(before.height);
  expect(ben.node.node.activity(100).map(({ kind }) => kind)).toContain('ledger');
  await pay('2');
  await expect.poll(() => amount(ben), patience).toBe('7');

  const full = await ben.node.chain.role({ chain: null, role: 'full' }, never);
  expect(full).toMatchObject({ role: 'full', auto: false, lightened: null, lightAbove: null });
  await pay('1');
  await expect.poll(() => amount(ben), patience).toBe('8');
  expect((await status(ben)).stateRoot).toHaveLength(64);
  // Somebody chose it, so it stays, however large it is.
  expect((await status(ben)).bytes).toBeGreaterThan(before.bytes! - 1);
  expect((await status(ben)).role).toBe('full');
  expect(await ben.node.chain.verify({ chain: null }, never)).toMatchObject({ ok: true });
}, 400_000);

it('is checked whole by itself once far more is allowed than it took', async () => {
  const { bytes } = await status(ben);
  await ben.node.chain.role({ chain: null, role: 'auto' }, never);
  await expect.poll(async () => (await status(ben)).role, patience).toBe('light');
  const { lightened } = await status(ben);
  expect(lightened!.bytes).toBeGreaterThanOrEqual(bytes!);
  await ben.stop();
  ben = await startNode(ben.data, '127.0.42.2');
  await meet(ben, ada);
  expect(await status(ben)).toMatchObject({ role: 'light', auto: true, lightened });
  await ben.node.settings.set({ key: 'ledger.fullBytes', value: 10 * lightened!.bytes }, never);
  await expect.poll(async () => (await status(ben)).role, patience).toBe('full');
  await pay('1');
  await expect.poll(() => amount(ben), patience).toBe('9');
}, 400_000);
