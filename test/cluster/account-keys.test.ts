import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempDir } from '../support/daemon.ts';
import { until } from '../support/trees.ts';
import { startNode, type LocalNode } from '../support/nodes.ts';

/** A linked computer signs for the account with a key of its own, as far as the account allowed it. */

const never = new AbortController().signal;
let temp: { dir: string; remove(): Promise<void> };
let desk: LocalNode;
let phone: LocalNode;
const send = { symbol: 'EXC', memo: '' };
const somebody = 'exc1lhnhdc97sewgq3y6l5yz9347zmv4dkr60e7syy3vw23tu2turlsspmeyed';
const ask = (amount: string) => ({ scopes: ['bank.send'], caps: [{ symbol: 'EXC', amount }], days: 30 });
const final = async (on: LocalNode, { hash }: { hash: string }) =>
  on.node.transactions.wait({ hash }, AbortSignal.timeout(60_000));
const keys = async (on: LocalNode) => (await on.node.wallet.keys({}, never)).keys;
const pay = (amount: string) => phone.node.wallet.send({ ...send, to: somebody, amount }, never);

beforeAll(async () => {
  temp = await tempDir('account-keys');
  desk = await startNode(path.join(temp.dir, 'desk'), '127.0.42.1');
  phone = await startNode(path.join(temp.dir, 'phone'), '127.0.42.2');
  await desk.node.identity.create({ words: 12 }, never);
  await desk.node.chain.create({ name: 'family', genesis: null }, never);
  const { code } = await desk.node.devices.invite({}, never);
  const joined = await phone.node.devices.join({ code }, never);
  await until('the request', 10_000, async () =>
    (await desk.node.devices.list({}, never)).some((one) => one.state === 'waiting'),
  );
  await desk.node.devices.approve({ code: joined.code }, never);
  const userId = (await desk.node.identity.show({}, never)).userId;
  await until('the link', 20_000, async () => (await phone.node.node.status({}, never)).userId === userId);
}, 120_000);

afterAll(async () => {
  await Promise.all([desk, phone].map((one) => one?.stop()));
  await temp.remove();
});

describe('a key for a linked computer', () => {
  it('follows the network of the computer with the phrase, sees the money, and may not spend it', async () => {
    await expect
      .poll(async () => (await phone.node.wallet.balance({ user: null }, never))[0]?.amount, {
        timeout: 30_000,
      })
      .toBe('999990000');
    await expect(pay('1')).rejects.toMatchObject({ code: 'key_not_allowed' });
    await expect(desk.node.wallet.askKey(ask('5'), never)).rejects.toMatchObject({ code: 'not_allowed' });
    expect(await desk.node.wallet.keys({}, never)).toEqual({ root: true, keys: [] });
  });

  it('is asked for there, shown here with its terms, and refused', async () => {
    await phone.node.wallet.askKey({ ...ask('5'), scopes: ['bank.send', 'stake'] }, never);
    await expect
      .poll(() => keys(desk), { timeout: 15_000 })
      .toMatchObject([
        {
          device: phone.peerId,
          state: 'asked',
          scopes: ['bank.send', 'stake'],
          caps: [{ symbol: 'EXC', amount: '5' }],
        },
      ]);
    await desk.node.wallet.denyKey({ device: phone.peerId }, never);
    await expect.poll(async () => (await keys(phone))[0]?.state, { timeout: 15_000 }).toBe('denied');
    await expect(desk.node.wallet.denyKey({ device: phone.peerId }, never)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('is allowed on narrower terms, and the ledger holds it to them', async () => {
    await phone.node.wallet.askKey(ask('500'), never);
    await expect.poll(async () => (await keys(desk))[0]?.state, { timeout: 15_000 }).toBe('asked');
    const [asked] = await keys(desk);
    const { key, scopes, caps, expires } = asked!;
    const seen = { device: phone.peerId, key, shown: { scopes, caps, expires }, terms: null };
    // It asks for more while somebody looks at what it asked for before.
    await phone.node.wallet.askKey(ask('600'), never);
    await expect.poll(async () => (await keys(desk))[0]?.caps[0]?.amount, { timeout: 15_000 }).toBe('600');
    await expect(desk.node.wallet.allowKey(seen, never)).rejects.toMatchObject({ code: 'request_changed' });
    const input = { ...seen, terms: ask('20') };
    const preview = await desk.node.wallet.preview({ act: 'allowKey', input }, never);
    expect(preview).toMatchObject({ code: '', feeAsset: 'EXC' });
    await final(desk, await desk.node.wallet.allowKey(input, never));
    await expect
      .poll(() => keys(phone), { timeout: 15_000 })
      .toMatchObject([{ state: 'active', own: true, caps: [{ symbol: 'EXC', amount: '20' }] }]);
    expect(await final(phone, await pay('12'))).toMatchObject({ ok: true });
    const [left] = await keys(phone);
    expect(Number(left!.caps[0]!.amount)).toBeLessThan(8);
    await expect(pay('8')).rejects.toMatchObject({ code: 'cap_exceeded' });
    const bond = { symbol: 'EXC', amount: '1', validator: null };
    await expect(phone.node.stakes.bond(bond, never)).rejects.toMatchObject({ code: 'scope_missing' });
  });

  it('is taken back by itself when the computer is revoked', async () => {
    expect(await keys(desk)).toMatchObject([{ state: 'active', device: phone.peerId }]);
    await desk.node.devices.revoke({ device: phone.peerId }, never);
    await expect.poll(() => keys(desk), { timeout: 30_000 }).toEqual([]);
    await expect(desk.node.wallet.revokeKey({ key: phone.peerId }, never)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('asks for the password again above a limit, and says so before', async () => {
    await desk.node.identity.setPassword({ password: 'correct horse battery', current: null }, never);
    await desk.node.settings.set({ key: 'wallet.passwordAbove', value: '10' }, never);
    const input = { ...send, to: somebody, amount: '10.5' };
    expect(await desk.node.wallet.preview({ act: 'send', input }, never)).toMatchObject({ password: true });
    await expect(desk.node.wallet.send(input, never)).rejects.toMatchObject({ code: 'wrong_password' });
    const wrong = { ...input, password: 'correct horse' };
    await expect(desk.node.wallet.send(wrong, never)).rejects.toMatchObject({ code: 'wrong_password' });
    const right = { ...input, password: 'correct horse battery' };
    expect(await final(desk, await desk.node.wallet.send(right, never))).toMatchObject({ ok: true });
    const small = { ...input, amount: '10' };
    expect(await desk.node.wallet.preview({ act: 'send', input: small }, never)).toMatchObject({
      password: false,
    });
    expect(await final(desk, await desk.node.wallet.send(small, never))).toMatchObject({ ok: true });
    // Not only what is sent counts.
    const fuel = { amount: '11' };
    expect(await desk.node.wallet.preview({ act: 'storageFuel', input: fuel }, never)).toMatchObject({
      password: true,
    });
    await expect(desk.node.storage.fuel(fuel, never)).rejects.toMatchObject({ code: 'wrong_password' });
    const { password } = right;
    expect(await final(desk, await desk.node.storage.fuel({ ...fuel, password }, never))).toMatchObject({
      ok: true,
    });
  });
});
