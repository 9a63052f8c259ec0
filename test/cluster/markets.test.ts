import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';

/** Pools, vaults and names as their users see them: a real daemon, driven through the command line. */

interface Pool {
  a: string;
  b: string;
  fee: number;
  reserveA: string;
  reserveB: string;
  price: number;
  position: { shares: string; a: string; b: string } | null;
}
interface Vault {
  vault: number;
  worth: string;
  idle: string;
  strategies: { other: string; worth: string }[];
  position: { shares: string } | null;
  due: boolean;
}

let temp: { dir: string; remove(): Promise<void> };
let ada: Daemon;
let user: string;

/** Runs a command that makes a transaction and waits until it is final. */
async function final(...args: string[]): Promise<void> {
  const { hash } = await ada.cli<{ hash: string }>(...args);
  expect(await ada.cli('tx', 'wait', hash, '--timeout', '60')).toMatchObject({ ok: true, code: '' });
}
/**
 * The code of a refusal, or `ok`. It comes at once, or with the end of the transaction when one that the node sent by itself (for the
 * beacon, an anchor) is still on its way and could change the outcome.
 */
const code = async (...args: string[]): Promise<string> => {
  try {
    const sent = await ada.cli<{ hash?: string } | null>(...args);
    if (typeof sent?.hash !== 'string') return 'ok';
    await ada.cli('tx', 'wait', sent.hash, '--timeout', '60');
    return 'ok';
  } catch (error) {
    return (error as Error & { code?: string }).code ?? (error as Error).message;
  }
};
const balance = async (symbol: string): Promise<number> =>
  Number(
    (await ada.cli<{ symbol: string; amount: string }[]>('wallet', 'balance')).find(
      (one) => one.symbol === symbol,
    )?.amount ?? 0,
  );

beforeAll(async () => {
  temp = await tempDir('markets');
  ada = await startDaemon({ data: path.join(temp.dir, 'ada'), host: '127.0.0.2' });
  user = (await ada.cli<{ userId: string }>('id', 'create')).userId;
  await ada.cli('chain', 'create', 'market');
  const supply = ['--supply', '1000000', '--max', '1000000'];
  await ada.cli('token', 'create', 'TEA', '--name', 'Tea', ...supply);
  const { hash } = await ada.cli<{ hash: string }>(
    'token',
    'create',
    'JAM',
    '--name',
    'Jam',
    '--decimals',
    '2',
    ...supply,
  );
  await ada.cli('tx', 'wait', hash, '--timeout', '60');
}, 120_000);

afterAll(async () => {
  await ada?.stop();
  await temp.remove();
});

describe('markets on a real node', () => {
  it('make pools, quote over several of them, trade within the limit, and give liquidity back', async () => {
    await final('pool', 'create', 'EXC', 'TEA', '--amount-a', '100000', '--amount-b', '50000');
    await final(
      'pool',
      'create',
      'TEA',
      'JAM',
      '--amount-a',
      '50000',
      '--amount-b',
      '200000',
      '--fee',
      '100',
    );
    expect(await code('pool', 'create', 'TEA', 'EXC', '--amount-a', '1', '--amount-b', '1')).toBe(
      'pool_exists',
    );
    const pools = await ada.cli<Pool[]>('pool', 'list');
    expect(pools).toMatchObject([
      { a: 'EXC', b: 'TEA', fee: 30, reserveA: '100000', reserveB: '50000', price: 0.5 },
      { a: 'JAM', b: 'TEA', fee: 100, reserveA: '200000', reserveB: '50000', price: 0.25 },
    ]);
    interface Quote {
      out: string;
      impact: number;
      path: { to: string }[];
    }
    const quote = await ada.cli<Quote>('pool', 'quote', 'EXC', 'JAM', '100');
    expect(quote.path.map((one) => one.to)).toEqual(['TEA', 'JAM']);
    // 100 EXC are 50 TEA are 200 JAM, less 1.3 % of fees and a fifth of a percent of price.
    expect(Number(quote.out)).toBeGreaterThan(196);
    expect(Number(quote.out)).toBeLessThan(198);
    expect(quote.impact).toBeGreaterThan(0.1);
    expect(quote.impact).toBeLessThan(0.5);
    expect(await code('pool', 'swap', 'EXC', 'JAM', '100')).toBe('invalid_argument');
    expect(await code('pool', 'swap', 'EXC', 'JAM', '100', '--min-out', '200')).toBe('slippage_exceeded');
    expect(await code('pool', 'quote', 'EXC', 'NONE', '1')).toBe('token_unknown');
    expect(await code('pool', 'quote', 'EXC', 'EXC', '1')).toBe('invalid_argument');
    const before = await balance('JAM');
    await final('pool', 'swap', 'EXC', 'JAM', '100', '--min-out', quote.out);
    expect(await balance('JAM')).toBeCloseTo(before + Number(quote.out), 2);
    // The fee of a transaction in a token that has a pool with the base coin.
    const tea = await balance('TEA');
    await final('wallet', 'send', user, '1', 'EXC', '--fee-in', 'TEA');
    expect(await balance('TEA')).toBeLessThan(tea);
    await final('pool', 'deposit', 'TEA', 'EXC', '--amount-a', '500', '--amount-b', '1000');
    const [pool] = await ada.cli<Pool[]>('pool', 'list');
    expect(Number(pool?.position?.a)).toBeGreaterThan(100_900);
    await final('pool', 'withdraw', 'EXC', 'TEA');
    expect((await ada.cli<Pool[]>('pool', 'list'))[0]?.position).toBeNull();
    expect(await code('pool', 'withdraw', 'EXC', 'TEA')).toBe('shares_exceeded');
  });

  it('claim names, and take @name for an id', async () => {
    await final('name', 'claim', 'harbour');
    expect(await ada.cli('name', 'resolve', '@harbour')).toMatchObject({
      kind: 'person',
      target: user,
      owner: user,
    });
    expect(await code('name', 'claim', 'harbour')).toBe('name_taken');
    expect(await code('name', 'resolve', 'nobody')).toBe('name_unknown');
    await final('wallet', 'send', '@harbour', '1', 'EXC');
    expect(await code('wallet', 'send', '@nobody', '1', 'EXC')).toBe('name_unknown');
    await final('name', 'claim', 'photos', '--kind', 'drive', '--target', 'bafydrive', '--days', '10');
    expect(await code('wallet', 'send', '@photos', '1', 'EXC')).toBe('invalid_argument');
    await final('name', 'renew', 'photos', '--days', '5');
    expect(await ada.cli('name', 'list')).toMatchObject([
      { name: 'harbour' },
      { name: 'photos', kind: 'drive' },
    ]);
    await final('name', 'transfer', 'photos', '@harbour');
  });

  it('make a vault of a file, and say what it may not do yet', async () => {
    const file = path.join(temp.dir, 'vault.json');
    const strategies = [{ other: 'TEA', targetBp: 5000, maxBp: 6000 }];
    await writeFile(file, JSON.stringify({ name: 'Movers', asset: 'EXC', strategies, minMove: '1' }));
    await final('vault', 'create', file);
    await final('vault', 'deposit', '0', '1000');
    const [vault] = await ada.cli<Vault[]>('vault', 'list');
    expect(vault).toMatchObject({ vault: 0, worth: '1000', idle: '1000', due: false });
    // Its pool is a minute old: there is no average price yet.
    expect(await code('vault', 'rebalance', '0')).toBe('not_nearer');
    expect(await code('vault', 'rebalance', '0', '--from', '0', '--to', '1', '--amount', '5')).toBe(
      'price_unsettled',
    );
    expect(await code('vault', 'deposit', '7', '1')).toBe('vault_unknown');
    await final('vault', 'withdraw', '0');
    expect((await ada.cli<Vault[]>('vault', 'list'))[0]?.position).toBeNull();
    await writeFile(file, '{');
    expect(await code('vault', 'create', file)).toBe('invalid_argument');
  });

  it('sell fuel, and let a host keep a file of a contract', async () => {
    const file = path.join(temp.dir, 'content.bin');
    await writeFile(file, Buffer.alloc(5000, 7));
    const open = [
      'storage',
      'open',
      file,
      '--hours',
      '10',
      '--price',
      '1',
      '--copies',
      '1',
      '--collateral',
      '5',
    ];
    expect(await code(...open)).toBe('fuel_short');
    await final('storage', 'fuel', '1');
    interface Status {
      fuel: number;
      price: string;
      host: { copies: number } | null;
    }
    expect(await ada.cli<Status>('storage', 'status')).toMatchObject({
      price: '0.001',
      host: null,
      fuel: 1000,
    });
    await final(...open);
    const other = path.join(temp.dir, 'other.bin');
    await writeFile(other, Buffer.alloc(5000, 8));
    expect(await code('storage', 'keep', '0', other)).toBe('bad_hash');
    expect(await code('storage', 'keep', '9', file)).toBe('contract_unknown');
    await final('storage', 'keep', '0', file);
    expect(await ada.cli('storage', 'contracts')).toMatchObject([
      { contract: 0, bytes: 5000, hosts: [user], kept: { paid: '0', missed: 0, file } },
    ]);
    expect((await ada.cli<Status>('storage', 'status')).host).toMatchObject({ copies: 1 });
    expect(await ada.cli('storage', 'earnings')).toEqual([
      { symbol: 'EXC', paid: '0', waiting: '0', relays: '0', relaysWaiting: '0' },
    ]);
    expect(await code('storage', 'close', '0')).toBe('contract_running');
    expect(await code('storage', 'collect', 'EXC')).toBe('not_allowed');
  });
});
