import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SigningRequest } from '../../src-shared/contract/index.ts';
import { tempDir } from '../support/daemon.ts';
import { threeOnOneNetwork, userOf, type LocalNode } from '../support/nodes.ts';

/** Several people sign together, and pay for each other: whole nodes, real sockets. */

const never = new AbortController().signal;
let temp: { dir: string; remove(): Promise<void> };
let ada: LocalNode;
let ben: LocalNode;
let cyd: LocalNode;
const sending = async (to: LocalNode, amount: string) => ({
  act: 'send' as const,
  input: { to: await userOf(to), amount, symbol: 'EXC', memo: '' },
});
const balance = async (of: LocalNode): Promise<string> =>
  (await cyd.node.wallet.balance({ user: await userOf(of) }, never))[0]?.amount ?? '0';
/** Waits until a request is known there and looks as wanted. */
async function seen(on: LocalNode, id: string, state: Partial<SigningRequest>): Promise<SigningRequest> {
  const found = async () =>
    (await on.node.signing.list({}, never)).find((one) => one.id === id) as SigningRequest;
  await expect.poll(found, { timeout: 60_000 }).toMatchObject(state);
  return found();
}

beforeAll(async () => {
  temp = await tempDir('signing');
  [ada, ben, cyd] = await threeOnOneNetwork(temp.dir, '127.0.47', 'guild');
}, 120_000);

afterAll(async () => {
  await Promise.all([ada, ben, cyd].map((one) => one?.stop()));
  await temp.remove();
});

describe('a sponsor', () => {
  it('pays the fee of somebody who has nothing, when he signs, and not when he refuses', async () => {
    const token = { decimals: 0, mint: false, burn: true, freeze: false, mining: null, staking: null };
    const make = (symbol: string) => ({
      act: 'createToken' as const,
      input: { ...token, symbol, name: symbol, supply: '10', max: '10' },
    });
    // A light node answers once it found somebody who keeps the ledger.
    await expect
      .poll(
        async () => {
          await ben.node.wallet.balance({ user: null }, never);
          return true;
        },
        { timeout: 60_000 },
      )
      .toBe(true);
    const sponsor = await userOf(ada);
    const before = await balance(ada);
    const asked = await ben.node.signing.propose({ act: make('ONE'), account: null, sponsor }, never);
    expect(asked).toMatchObject({ state: 'open', own: true, yours: false, sponsor: { signed: false } });
    const there = await seen(ada, asked.id, { yours: true, own: false });
    const effect = await ada.node.signing.effect({ id: there.id }, never);
    expect(effect).toMatchObject({ code: '', changes: [{ symbol: 'EXC', before }] });
    await ada.node.signing.sign({ id: there.id }, never);
    for (const one of [ada, ben]) await seen(one, asked.id, { state: 'done' });
    expect(await balance(ada)).toBe(effect.changes[0]!.after);

    const again = await ben.node.signing.propose({ act: make('TWO'), account: null, sponsor }, never);
    await seen(ada, again.id, { yours: true });
    await ada.node.signing.refuse({ id: again.id }, never);
    await seen(ben, again.id, { sponsor: { userId: sponsor, signed: false, refused: true, own: false } });
    await ben.node.signing.refuse({ id: again.id }, never);

    // Promised beforehand: nobody has to be there. More than was promised is asked for.
    await ada.node.signing.sponsor({ user: await userOf(ben), limit: '1' }, never);
    const free = await ben.node.signing.propose({ act: make('TWO'), account: null, sponsor }, never);
    expect(await ben.node.signing.wait({ id: free.id }, AbortSignal.timeout(60_000))).toMatchObject({
      code: '',
    });
    await seen(ben, free.id, { state: 'done' });
    // Of the promise goes what the fee came to, not what was offered.
    const { hash } = await seen(ada, free.id, { state: 'done' });
    const { fee } = await ada.node.transactions.show({ hash: hash!, proof: false }, never);
    const [left] = await ada.node.signing.sponsored({}, never);
    expect(Number(left!.left)).toBeCloseTo(1 - Number(fee), 6);
    await ada.node.signing.sponsor({ user: await userOf(ben), limit: '0.000001' }, never);
    const dear = await ben.node.signing.propose({ act: make('TRE'), account: null, sponsor }, never);
    await seen(ada, dear.id, { state: 'open', yours: true });
    await ada.node.signing.endSponsor({ user: await userOf(ben) }, never);
    expect(await ada.node.signing.sponsored({}, never)).toEqual([]);
    await ada.node.signing.sign({ id: dear.id }, never);
    await seen(ben, dear.id, { state: 'done' });
  });
});

describe('an account of several keys', () => {
  it('is made when all agreed, and then two of three move its money', async () => {
    const signers = [await userOf(ada), await userOf(ben), await userOf(cyd)];
    await expect(ada.node.signing.share({ threshold: 4, signers }, never)).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    const asked = await ada.node.signing.share({ threshold: 2, signers }, never);
    await expect(ada.node.signing.send({ id: asked.id }, never)).rejects.toMatchObject({
      code: 'key_not_allowed',
    });
    for (const one of [ben, cyd]) {
      await seen(one, asked.id, { kind: 'account', yours: true, threshold: 2, account: signers[0]! });
      await one.node.signing.sign({ id: asked.id }, never);
    }
    await seen(ada, asked.id, { state: 'complete' });
    await ada.node.signing.send({ id: asked.id }, never);
    for (const one of [ada, ben, cyd]) await seen(one, asked.id, { state: 'done' });
    for (const one of [ada, ben, cyd]) {
      await expect
        .poll(() => one.node.signing.accounts({}, never), { timeout: 30_000 })
        .toMatchObject([{ account: signers[0], threshold: 2, own: one === ada }]);
    }

    // Nobody moves anything alone.
    const { input } = await sending(cyd, '5');
    await expect(ada.node.wallet.send(input, never)).rejects.toMatchObject({ code: 'needs_signatures' });
    const account = await userOf(ada);
    const act = await sending(cyd, '5');
    const preview = await ben.node.signing.preview({ act, account, sponsor: null }, never);
    expect(preview).toMatchObject({ code: '', feeAsset: 'EXC', changes: [{ symbol: 'EXC' }] });
    const sent = await ben.node.signing.propose({ act, account, sponsor: null }, never);
    expect(sent.signers.filter((one) => one.signed).map((one) => one.userId)).toEqual([await userOf(ben)]);
    await seen(ada, sent.id, { yours: true, messages: [expect.objectContaining({ amount: '5' })] as never });
    const held = await balance(cyd);
    await ada.node.signing.sign({ id: sent.id }, never);
    for (const one of [ada, ben, cyd]) await seen(one, sent.id, { state: 'done' });
    expect(Number(await balance(cyd))).toBe(Number(held) + 5);
  });

  it('takes signatures from hand to hand', async () => {
    const account = await userOf(ada);
    const act = await sending(cyd, '7');
    const sent = await cyd.node.signing.propose({ act, account, sponsor: null }, never);
    await expect(ada.node.signing.take({ text: sent.text.slice(0, -5) }, never)).rejects.toMatchObject({
      code: 'link_cut_short',
    });
    const taken = await ada.node.signing.take({ text: sent.text }, never);
    expect(taken).toMatchObject({ id: sent.id, yours: true });
    const held = await balance(cyd);
    await ada.node.signing.sign({ id: taken.id }, never);
    await seen(cyd, sent.id, { state: 'done' });
    expect(Number(await balance(cyd))).toBe(Number(held) + 7);
    // Who does not sign for it can propose nothing.
    await expect(
      cyd.node.signing.propose({ act, account: await userOf(ben), sponsor: null }, never),
    ).rejects.toMatchObject({ code: 'not_allowed' });
  });
});
