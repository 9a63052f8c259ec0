import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeLedgerProof, verifyLedgerProof } from '../../src-main/ledger/index.ts';
import { tempDir } from '../support/daemon.ts';
import { folderIn, startNode, threeOnOneNetwork, userOf, type LocalNode } from '../support/nodes.ts';

/** A wallet on a computer that keeps no state: whole nodes, real sockets. */

const never = new AbortController().signal;
const send = { symbol: 'EXC', memo: '' };
let temp: { dir: string; remove(): Promise<void> };
let ada: LocalNode;
let ben: LocalNode;
let cyd: LocalNode;
const final = async (on: LocalNode, { hash }: { hash: string }) =>
  on.node.transactions.wait({ hash }, AbortSignal.timeout(60_000));
const amount = async (on: LocalNode): Promise<string> =>
  (await on.node.wallet.balance({ user: null }, never))[0]!.amount;

beforeAll(async () => {
  temp = await tempDir('light-wallet');
  [ada, ben, cyd] = await threeOnOneNetwork(temp.dir, '127.0.41', 'lighthouse');
}, 120_000);

afterAll(async () => {
  await Promise.all([ada, ben, cyd].map((one) => one?.stop()));
  await temp.remove();
});

describe('a light node', () => {
  it('has balances, each proven, and witnesses of what it believes', async () => {
    const sent = await ada.node.wallet.send({ ...send, to: await userOf(ben), amount: '100' }, never);
    await final(ada, sent);
    await expect.poll(() => amount(ben), { timeout: 30_000 }).toBe('100');
    const status = await ben.node.chain.status({ chain: null }, never);
    expect(status).toMatchObject({ role: 'light', validators: 1, problem: null });
    const block = await ada.node.chain.block({ chain: null, height: status.height }, never);
    expect(status.stateRoot).toBe(block.stateRoot);
    await expect
      .poll(async () => (await ben.node.chain.status({ chain: null }, never)).witnesses, { timeout: 30_000 })
      .toBe(1);
    const { proof } = await ben.node.wallet.proof({ user: null, symbol: 'EXC' }, never);
    const proven = verifyLedgerProof(decodeLedgerProof(new Uint8Array(Buffer.from(proof, 'base64url'))));
    expect(proven).toMatchObject({ type: 'balance', amount: 100_000_000n });
  });

  it('shows what a transaction does, sends several at once and sees them end', async () => {
    const to = await userOf(cyd);
    const preview = await ben.node.wallet.preview(
      { act: 'send', input: { ...send, to, amount: '10' } },
      never,
    );
    expect(preview).toMatchObject({ code: '', feeAsset: 'EXC', changes: [{ symbol: 'EXC', before: '100' }] });
    expect(Number(preview.changes[0]!.after)).toBeLessThan(90);
    const tooMuch = { ...send, to, amount: '100000' };
    await expect(ben.node.wallet.send(tooMuch, never)).rejects.toMatchObject({ code: 'underfunded' });
    const hashes = [];
    for (const value of ['1', '2', '3']) {
      hashes.push(await ben.node.wallet.send({ ...send, to, amount: value }, never));
    }
    for (const one of hashes) expect(await final(ben, one)).toMatchObject({ ok: true, code: '' });
    await expect.poll(() => amount(cyd), { timeout: 30_000 }).toBe('6');
    const history = await ben.node.wallet.history({ user: null, before: null, limit: 50 }, never);
    expect(history.map((one) => one.messages[0]!.amount)).toEqual(['3', '2', '1', '100']);
    const shown = await ben.node.transactions.show({ hash: hashes[0]!.hash, proof: true }, never);
    const bytes = new Uint8Array(Buffer.from(shown.proof!, 'base64url'));
    expect(verifyLedgerProof(decodeLedgerProof(bytes))).toMatchObject({ type: 'tx', ok: true });
  });

  it('pays fees in a token whose creator set a rate and filled the fund', async () => {
    const token = { symbol: 'HBR', name: 'Harbour', supply: '1000', max: '1000', decimals: 3 };
    await final(
      ada,
      await ada.node.tokens.create(
        { ...token, mint: false, burn: true, freeze: false, mining: null, staking: null },
        never,
      ),
    );
    const give = { symbol: 'HBR', memo: '', to: await userOf(ben), amount: '100' };
    await final(ada, await ada.node.wallet.send(give, never));
    const sending = { ...send, to: await userOf(cyd), amount: '1', feeIn: 'HBR' };
    await expect(ben.node.wallet.send(sending, never)).rejects.toMatchObject({ code: 'fee_asset_unusable' });
    await final(ada, await ada.node.tokens.setFeeRate({ symbol: 'HBR', rate: '2000' }, never));
    await expect(ben.node.wallet.send(sending, never)).rejects.toMatchObject({ code: 'fee_fund_empty' });
    await final(ada, await ada.node.tokens.fundFees({ symbol: 'HBR', amount: '50' }, never));
    expect(await final(ben, await ben.node.wallet.send(sending, never))).toMatchObject({ ok: true });
    const left = (await ben.node.wallet.balance({ user: null }, never)).find((one) => one.symbol === 'HBR')!;
    expect(Number(left.amount)).toBeLessThan(100);
    const shown = await ben.node.tokens.show({ symbol: 'HBR' }, never);
    expect(shown).toMatchObject({ feeRate: '2000' });
    expect(Number(shown.feeFund)).toBeLessThan(50);
    await final(ada, await ada.node.tokens.withdrawFees({ symbol: 'HBR', amount: '10' }, never));
    await final(ada, await ada.node.tokens.handOver({ symbol: 'HBR', to: await userOf(ben) }, never));
    await expect(ada.node.tokens.setFeeRate({ symbol: 'HBR', rate: null }, never)).rejects.toMatchObject({
      code: 'not_owner',
    });
  });

  it('stakes, and looks at tokens, validators and blocks', async () => {
    const [validator] = await ben.node.chain.validators({ chain: null }, never);
    expect(validator).toMatchObject({ userId: await userOf(ada), power: '10000', active: true });
    const bonded = await ben.node.stakes.bond({ symbol: 'EXC', amount: '10', validator: null }, never);
    expect(await final(ben, bonded)).toMatchObject({ ok: true });
    expect(await ben.node.stakes.status({ user: null }, never)).toMatchObject([
      { symbol: 'EXC', validator: await userOf(ada), amount: '10' },
    ]);
    expect(await ben.node.tokens.list({}, never)).toEqual(await ada.node.tokens.list({}, never));
    const [newest] = await ben.node.chain.blocks({ chain: null, before: null, limit: 3 }, never);
    expect(newest).toEqual(await ada.node.chain.block({ chain: null, height: newest!.height }, never));
    const chart = await ben.node.wallet.chart({ symbol: 'EXC', points: 100 }, never);
    expect(chart.map((one) => one.amount)).toContain('100');
  });

  it('is told of by links to drives; an unused network of one’s own gives way, and several are followed', async () => {
    const dan = await startNode(path.join(temp.dir, 'dan'), '127.0.41.9');
    try {
      await dan.node.identity.create({ words: 12 }, never);
      const home = await dan.node.chain.status({ chain: null }, never);
      expect(home.name).toBe('home');
      const folder = await folderIn(temp.dir, 'shared');
      const { link } = await ada.node.drives.create(
        { name: 'Shared', folder, visibility: 'unlisted' },
        never,
      );
      const [network] = await ada.node.chain.list({}, never);
      expect(await dan.node.chain.inLink({ link }, never)).toEqual({
        chainId: network!.chainId,
        name: 'lighthouse',
        followed: false,
        replaces: 'home',
      });
      expect(await dan.node.chain.inLink({ link: 'extrachain://drive/none' }, never)).toBeNull();
      await dan.node.chain.join({ link, light: false }, never);
      expect((await dan.node.chain.list({}, never)).map((one) => one.name)).toEqual(['lighthouse']);
      const own = await dan.node.chain.create({ name: 'second', genesis: null }, never);
      await expect
        .poll(async () => (await dan.node.chain.list({}, never)).every((one) => one.height > 0), {
          timeout: 30_000,
        })
        .toBe(true);
      expect((await dan.node.wallet.balance({ user: null }, never))[0]!.amount).toBe('999990000');
      await dan.node.chain.use({ chainId: network!.chainId }, never);
      expect((await dan.node.wallet.balance({ user: null }, never))[0]!.amount).toBe('0');
      expect((await dan.node.chain.status({ chain: own.chainId }, never)).active).toBe(false);
      // Asked for once more as a light node, it becomes one.
      await dan.node.chain.join({ link, light: true }, never);
      expect(await dan.node.chain.status({ chain: null }, never)).toMatchObject({
        chainId: network!.chainId,
        role: 'light',
      });
    } finally {
      await dan.stop();
    }
  });

  it('says who it cannot ask when all are gone, and keeps what it has', async () => {
    await Promise.all([ada, cyd].map((one) => one.stop()));
    await expect(ben.node.wallet.balance({ user: null }, never)).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect((await ben.node.chain.status({ chain: null }, never)).height).toBeGreaterThan(0);
  });
});
