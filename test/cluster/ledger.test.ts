import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { cliJson, runCli, startDaemon, tempDir, type Daemon } from '../support/daemon.ts';

/** The ledger as its users see it: real daemons, driven through the command line. */

interface ChainStatus {
  chainId: string;
  height: number;
  hash: string;
  stateRoot: string;
  validators: number;
  power: string;
  peers: number;
  role: string;
}
interface Balance {
  symbol: string;
  amount: string;
  staked: string;
  unbonding: string;
}

let temp: { dir: string; remove(): Promise<void> };
let ada: Daemon;
let ben: Daemon;
let chain: { chainId: string; link: string };
const users = new Map<Daemon, string>();

const status = (daemon: Daemon): Promise<ChainStatus> => daemon.cli<ChainStatus>('chain', 'status');
const balance = async (daemon: Daemon, symbol: string, ...user: string[]): Promise<Balance | undefined> =>
  (await daemon.cli<Balance[]>('wallet', 'balance', ...user)).find((one) => one.symbol === symbol);
/** Runs a command that makes a transaction and waits until it is final. */
async function final(
  daemon: Daemon,
  ...args: string[]
): Promise<{ height: number; ok: boolean; code: string }> {
  const { hash } = await daemon.cli<{ hash: string }>(...args);
  return daemon.cli('tx', 'wait', hash, '--timeout', '60');
}
const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: Error & { code?: string }) => error.code ?? error.message,
  );

beforeAll(async () => {
  temp = await tempDir('ledger');
  ada = await startDaemon({ data: path.join(temp.dir, 'ada'), host: '127.0.0.2' });
  ben = await startDaemon({ data: path.join(temp.dir, 'ben'), host: '127.0.0.3' });
  for (const daemon of [ada, ben]) {
    users.set(daemon, (await daemon.cli<{ userId: string }>('id', 'create')).userId);
  }
}, 120_000);

afterAll(async () => {
  await Promise.all([ada, ben].map((daemon) => daemon?.stop()));
  await temp.remove();
});

describe('a network of its founder', () => {
  it('works alone, with the balances of the default genesis', async () => {
    chain = await ada.cli('chain', 'create', 'testnet');
    expect(chain.chainId).toMatch(/^testnet-[0-9a-f]{16}$/);
    const now = await status(ada);
    expect(now).toMatchObject({ chainId: chain.chainId, validators: 1, power: '10000', role: 'validator' });
    expect(await balance(ada, 'EXC')).toMatchObject({ amount: '999990000', staked: '10000' });
    expect(await ada.cli('wallet', 'address')).toEqual({ userId: users.get(ada) });
    await ada.cli('chain', 'wait', '--height', '2', '--timeout', '60');
    expect((await ada.cli<{ chain: unknown }>('status')).chain).toMatchObject({ id: chain.chainId });
  });

  it('refuses what cannot be, each with its own code, before anything is paid', async () => {
    const user = users.get(ben)!;
    expect(await code(ada.cli('wallet', 'send', user, '2000000000', 'EXC'))).toBe('underfunded');
    expect(await code(ada.cli('wallet', 'send', user, '1', 'NONE'))).toBe('token_unknown');
    expect(await code(ada.cli('wallet', 'send', user, '0.0000001', 'EXC'))).toBe('invalid_argument');
    expect(await code(ada.cli('wallet', 'send', 'exc1nobody', '1', 'EXC'))).toBe('invalid_argument');
    expect(await code(ada.cli('token', 'create', 'EXC', '--name', 'x', '--supply', '1', '--max', '1'))).toBe(
      'symbol_taken',
    );
    expect(await code(ada.cli('tx', 'show', '0'.repeat(64)))).toBe('not_found');
    expect(await code(ada.cli('chain', 'block', '999999'))).toBe('not_found');
    expect(await balance(ada, 'EXC')).toMatchObject({ amount: '999990000' });
  });

  it('is followed by its link, and money arrives', async () => {
    expect(await ben.cli('chain', 'join', chain.link)).toEqual({ chainId: chain.chainId });
    const sent = await final(ada, 'wallet', 'send', users.get(ben)!, '50000.5', 'EXC');
    expect(sent).toMatchObject({ ok: true, code: '' });
    await ben.cli('chain', 'wait', '--height', String(sent.height), '--timeout', '60');
    expect(await balance(ben, 'EXC')).toMatchObject({ amount: '50000.5' });
    const [one] = await ben.cli<{ messages: { type: string; amount: string }[] }[]>('wallet', 'history');
    expect(one?.messages).toMatchObject([{ type: 'bank.send', amount: '50000.5' }]);
  });

  it('proves balances and transactions to whoever has no node', async () => {
    const file = (name: string): string => path.join(temp.dir, name);
    await ben.cli('wallet', 'proof', 'EXC', '--out', file('balance.proof'));
    const check = (...args: string[]) => cliJson<Record<string, unknown>>('', ['verify', ...args]);
    const balanceProof = await check(file('balance.proof'));
    expect(balanceProof).toMatchObject({
      ok: true,
      type: 'balance',
      user: users.get(ben),
      units: '50000500000',
    });
    const sent = await ada.cli<{ hash: string }>('wallet', 'send', users.get(ben)!, '1', 'EXC');
    await ada.cli('tx', 'wait', sent.hash, '--timeout', '60');
    await ada.cli('tx', 'show', sent.hash, '--proof', '--out', file('tx.proof'));
    expect(await check(file('tx.proof'))).toMatchObject({ ok: true, type: 'tx', tx: sent.hash, code: '' });

    const { height } = balanceProof as { height: number };
    const { hash } = await ben.cli<{ hash: string }>('chain', 'block', String(height));
    const trusted = ['--checkpoint', `${chain.chainId}:${hash}`];
    expect(await check(file('balance.proof'), ...trusted)).toMatchObject({ ok: true });
    expect(await code(check(file('tx.proof'), ...trusted))).not.toBe('ok');
    // What is asked for is held against every proof, also where that says nothing of it.
    expect(await check(file('balance.proof'), '--user', users.get(ben)!)).toMatchObject({ ok: true });
    expect(await code(check(file('balance.proof'), '--user', users.get(ada)!))).not.toBe('ok');
    expect(await code(check(file('tx.proof'), '--file', file('tx.proof')))).not.toBe('ok');
    const bytes = await readFile(file('balance.proof'));
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      const altered = Buffer.from(bytes);
      altered[at]! ^= 1;
      await writeFile(file('altered.proof'), altered);
      const { ok } = JSON.parse((await runCli(['--json', 'verify', file('altered.proof')])).stdout) as {
        ok: boolean;
      };
      expect(ok, `byte ${at}`).toBe(false);
    }
    await ben.cli('wallet', 'send', users.get(ada)!, '1', 'EXC');
  });

  it('takes commands before the last one is final: nonces queue', async () => {
    const hashes: string[] = [];
    for (let n = 1; n <= 5; n++) {
      hashes.push(
        (await ben.cli<{ hash: string }>('wallet', 'send', users.get(ada)!, String(n), 'EXC')).hash,
      );
    }
    for (const hash of hashes) {
      expect(await ben.cli('tx', 'wait', hash, '--timeout', '60')).toMatchObject({ hash, ok: true });
    }
    const left = Number((await balance(ben, 'EXC'))!.amount);
    expect(left).toBeLessThan(49_985.5);
    expect(left).toBeGreaterThan(49_985.4);
  });

  it('pays for calls of a service: by many in one transaction, for receipts only, never more than was allowed', async () => {
    const [provider, caller] = await Promise.all([connectToDaemon(ada.data), connectToDaemon(ben.data)]);
    const ended = new AbortController();
    try {
      const number = { type: 'number' };
      const methods = { double: { params: number, result: number }, fail: { params: true, result: true } };
      const manifest = {
        ...{ slug: 'doubler', title: 'Doubler', price: { symbol: 'EXC', amount: '0.5' } },
        interface: { name: 'Doubler', methods },
      };
      const offering = provider.client.services.provide({ manifest }, { signal: ended.signal });
      const asked = offering[Symbol.asyncIterator]();
      expect((await asked.next()).value).toMatchObject({
        kind: 'ready',
        service: `${users.get(ada)}/doubler`,
      });
      let runs = 0;
      const answering = (async () => {
        for (;;) {
          const { done, value } = await asked.next();
          if (done) return;
          if (value.kind !== 'call') continue;
          runs += 1;
          const step =
            value.method === 'fail'
              ? { kind: 'error' as const, message: 'It failed.' }
              : { kind: 'result' as const, value: 2 * (value.params as number) };
          await provider.client.services.reply({ call: value.call, step });
        }
      })().catch(() => {});
      const service = `${users.get(ada)}/doubler`;
      const call = (method: string, params: unknown, amount: string | null) =>
        caller.client.services.call({
          ...{ service, method, params, timeout: 60 },
          maxFee: amount === null ? null : { symbol: 'EXC', amount },
        });
      const before = { ada: await balance(ada, 'EXC'), ben: await balance(ben, 'EXC') };
      for (const amount of [null, '0.499999'])
        expect(await code(call('double', 1, amount))).toBe('price_exceeded');
      expect(await code(ben.cli('service', 'call', service, 'double', '--params', '1'))).toBe(
        'price_exceeded',
      );
      expect(runs).toBe(0);
      // A call that fails costs nothing.
      expect(await code(call('fail', {}, '0.5'))).toBe('service_failed');
      expect(await caller.client.services.debts({})).toEqual([]);
      // Twenty are on credit; the next one waits until they are paid.
      for (let n = 1; n <= 22; n++)
        expect(await call('double', n, '0.5')).toMatchObject({
          value: 2 * n,
          fee: { symbol: 'EXC', amount: '0.5' },
        });
      expect(runs).toBe(23);
      expect(await caller.client.services.debts({})).toMatchObject([
        { owner: users.get(ada), fee: { amount: '1' } },
      ]);
      const receipts = await caller.client.services.receipts({ limit: 100 });
      expect(receipts.length).toBe(22);
      expect(receipts.every(({ fee, method }) => method === 'double' && fee?.amount === '0.5')).toBe(true);
      const { height } = await status(ada);
      await ben.cli('chain', 'wait', '--height', String(height), '--timeout', '60');
      const paid = (
        await ben.cli<{ messages: { type: string; amount: string; memo?: string }[] }[]>('wallet', 'history')
      ).filter(({ messages }) => messages.some(({ memo }) => memo?.startsWith('services ')));
      expect(paid.map(({ messages }) => messages.map(({ amount }) => amount))).toEqual([['10']]);
      const after = await balance(ben, 'EXC');
      const spent = Number(before.ben!.amount) - Number(after!.amount);
      expect(spent).toBeGreaterThanOrEqual(10);
      expect(spent).toBeLessThan(10.1);
      ended.abort();
      await answering;
      expect(Number((await balance(ada, 'EXC'))!.amount)).toBeGreaterThanOrEqual(
        Number(before.ada!.amount) + 10,
      );
    } finally {
      ended.abort();
      provider.close();
      caller.close();
    }
  });
});

describe('tokens and staking', () => {
  it('makes a token with mining and staking in one transaction', async () => {
    const mining = path.join(temp.dir, 'mining.json');
    const staking = path.join(temp.dir, 'staking.json');
    await writeFile(
      mining,
      JSON.stringify({ kind: 'fixed', perPeriod: '100', periodSeconds: 1, split: { stakers: 10_000 } }),
    );
    await writeFile(staking, JSON.stringify({ enabled: true, unbondingSeconds: 1 }));
    const made = await final(
      ...([
        ben,
        'token',
        'create',
        'HBR',
        '--name',
        'Harbour',
        '--supply',
        '1000',
        '--max',
        '40000',
      ] as const),
      ...['--decimals', '3', '--mining', mining, '--staking', staking],
    );
    expect(made).toMatchObject({ ok: true });
    const [base, token] = await ben.cli<{ symbol: string; supply: string; max: string; decimals: number }[]>(
      'token',
      'list',
    );
    expect(base).toMatchObject({ symbol: 'EXC' });
    expect(token).toMatchObject({ symbol: 'HBR', supply: '1000', max: '40000', decimals: 3 });
    expect(await final(ben, 'stake', 'bond', 'HBR', '400')).toMatchObject({ ok: true });
    const { height } = await status(ben);
    await ben.cli('chain', 'wait', '--height', String(height + 2), '--timeout', '60');
    const [stake] = await ben.cli<{ symbol: string; amount: string; rewards: string }[]>('stake', 'status');
    expect(stake).toMatchObject({ symbol: 'HBR', amount: '400' });
    expect(Number(stake!.rewards)).toBeGreaterThan(0);
    expect(await final(ben, 'stake', 'claim')).toMatchObject({ ok: true });
    expect(Number((await balance(ben, 'HBR'))!.amount)).toBeGreaterThan(600);
  });

  it('lets stake go after its unbonding time', async () => {
    expect(await final(ben, 'stake', 'unbond', 'HBR', '400')).toMatchObject({ ok: true });
    await expect
      .poll(async () => (await balance(ben, 'HBR'))!.unbonding, { timeout: 30_000, interval: 500 })
      .toBe('0');
    expect(await balance(ben, 'HBR')).toMatchObject({ staked: '0' });
    expect(await code(ben.cli('stake', 'unbond', 'HBR', '1'))).toBe('stake_unknown');
  });

  it('lets a second computer validate, and both come to the same state', async () => {
    expect(await final(ben, 'validator', 'create', '--self-bond', '20000')).toMatchObject({ ok: true });
    await expect.poll(async () => (await status(ada)).validators, { timeout: 60_000, interval: 500 }).toBe(2);
    const { height } = await status(ada);
    await ada.cli('chain', 'wait', '--height', String(height + 3), '--timeout', '60');
    await ben.cli('chain', 'wait', '--height', String(height + 3), '--timeout', '60');
    const [a, b] = await Promise.all(
      [ada, ben].map((daemon) => daemon.cli<object>('chain', 'block', String(height + 3))),
    );
    expect(a).toEqual(b);
    expect(await ben.cli('chain', 'validators')).toMatchObject([
      { userId: users.get(ben), power: '20000', jailed: false },
      { userId: users.get(ada), power: '10000', jailed: false },
    ]);
    expect(await ben.cli('chain', 'verify')).toMatchObject({ ok: true });
  });

  it('anchors the heads of drives, so that a history shows since when it cannot be rewritten', async () => {
    const folder = path.join(temp.dir, 'photos');
    await mkdir(folder);
    await writeFile(path.join(folder, 'one.txt'), 'one');
    const { driveId } = await ada.cli<{ driveId: string }>('drive', 'create', 'Photos', '--folder', folder);
    await ada.cli('settings', 'set', 'ledger.anchorSeconds', '1');
    await ada.cli('drive', 'wait', driveId);
    const newest = async () =>
      (
        await ada.cli<{ anchored: boolean; anchor: { height: number } | null }[]>(
          'file',
          'history',
          driveId,
          'one.txt',
        )
      )[0]!;
    expect(typeof (await newest()).anchored).toBe('boolean');
    await expect.poll(async () => (await newest()).anchored, { timeout: 60_000, interval: 500 }).toBe(true);
    const { anchor } = await newest();
    expect(anchor).toMatchObject({ chainId: chain.chainId });
    expect(anchor!.height).toBeLessThanOrEqual((await status(ada)).height);
    const check = await ada.cli<{ ok: boolean; anchoredAt: string | null }>('drive', 'verify', driveId);
    expect(check.ok).toBe(true);
    expect(Date.parse(check.anchoredAt!)).toBeGreaterThan(Date.now() - 120_000);

    const proof = path.join(temp.dir, 'one.proof');
    await ada.cli('file', 'proof', driveId, 'one.txt', '--out', proof);
    const verify = (...args: string[]) =>
      cliJson<Record<string, unknown>>('', [
        'verify',
        proof,
        '--file',
        path.join(folder, 'one.txt'),
        ...args,
      ]);
    const told = await verify('--latest', proof);
    expect(told).toMatchObject({ ok: true, anchored: true, anchor, path: 'one.txt' });
    const under = /block (\d+) \(([0-9a-f]{64})\)/.exec(told['root'] as string)!;
    expect(await verify('--checkpoint', `${chain.chainId}:${under[2]}`)).toMatchObject({ ok: true });
    const { hash: another } = await ada.cli<{ hash: string }>('chain', 'block', '1');
    expect(await code(verify('--checkpoint', `${chain.chainId}:${another}`))).not.toBe('ok');
    // The actor card went the same way, without being asked.
    const all = await ada.cli<{ messages: { type: string }[] }[]>('wallet', 'history');
    expect(all.flatMap((one) => one.messages).some((one) => one.type === 'anchor.card')).toBe(true);
  });

  it('goes on after both were stopped', async () => {
    const { height } = await status(ada);
    await Promise.all([ada, ben].map((daemon) => daemon.stop()));
    ada = await startDaemon({ data: ada.data, host: '127.0.0.2', port: portOf(ada) });
    ben = await startDaemon({ data: ben.data, host: '127.0.0.3', port: portOf(ben) });
    await ada.cli('chain', 'wait', '--height', String(height + 3), '--timeout', '60');
    await ben.cli('chain', 'wait', '--height', String(height + 3), '--timeout', '60');
  });

  it('goes on in a new network when half of its validators are gone for good', async () => {
    await ben.stop();
    const before = await status(ada);
    const held = await balance(ada, 'EXC');
    const [user, other] = [...users.values()] as [string, string];
    expect(await code(ada.cli('chain', 'create', 'again', '--continue', before.chainId))).toBe(
      'invalid_argument',
    );
    const next = await ada.cli<{ chainId: string; link: string }>(
      ...['chain', 'create', 'again', '--continue', before.chainId, '--validators', user],
    );
    await ada.cli('chain', 'wait', '--height', '2', '--timeout', '60');
    expect(await status(ada)).toMatchObject({ chainId: next.chainId, validators: 1, role: 'validator' });
    const now = (await balance(ada, 'EXC'))!;
    // The fees of the last block may have come to the proposer's stake meanwhile.
    expect(Number(now.amount)).toBeGreaterThanOrEqual(Number(held!.amount));
    expect(await final(ada, 'wallet', 'send', other, '3', 'EXC')).toMatchObject({ ok: true });
    ben = await startDaemon({ data: path.join(temp.dir, 'ben'), host: '127.0.0.3' });
    await ben.cli('chain', 'join', next.link);
    await ben.cli('chain', 'wait', '--height', '3', '--timeout', '60');
    const height = (await status(ben)).height;
    const [here, there] = await Promise.all(
      [ada, ben].map((one) => one.cli<{ stateRoot: string }>('chain', 'block', String(height))),
    );
    expect(here!.stateRoot).toBe(there!.stateRoot);
  }, 180_000);
});

const portOf = (daemon: Daemon): number => Number(/\/tcp\/(\d+)/.exec(daemon.ready.addresses[0]!)![1]);
