import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { userIdOfHash } from '../../identity/index.ts';
import { contractsView, message, periodMs, periodOf, seedOf, vaultsView } from '../../ledger/index.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../../ledger/testing.ts';
import type { TestChain } from '../../ledger/testing.ts';
import { openDatabase } from '../../store/index.ts';
import { createLedgerChores } from './ledger-chores.ts';
import type { LedgerChores } from './ledger-chores.ts';
import { measureFile } from './kept-files.ts';

/** The chores of a node on a real state machine; only the clock and the network between are not there. */

const exc = 1_000_000n;
let dir: string;
let chain: TestChain;
let chores: LedgerChores;
let tick: (() => void) | null = null;
const settings = new Map<string, unknown>([
  ['ledger.beacon', true],
  ['vaults.rebalance', true],
]);
const sent: string[] = [];

/** Lets the chores look once and puts what they send into a block. */
async function turn(): Promise<string | undefined> {
  const before = sent.length;
  const run = tick;
  tick = null;
  run?.();
  await expect.poll(() => tick !== null, { interval: 2 }).toBe(true);
  const { results } = chain.block();
  for (const { code, message: why } of results) expect(`${code} ${why}`).toBe(' ');
  expect(chain.faults()).toEqual([]);
  // What was sent is waited for one block more.
  chain.block();
  return sent[before];
}
function skip(periods = 1): void {
  const { time } = chain.ledger.last();
  chain.block({ after: (periodOf(time) + periods) * periodMs + 60_000 - time });
}
function run(name: string, one: ReturnType<typeof message>): void {
  chain.add(name, [one]);
  expect(chain.block().results.map(({ code, message: why }) => `${code} ${why}`)).toEqual([' ']);
}

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'chores-'));
  chain = createTestChain(testGenesis());
  sent.length = 0;
  const { ledger } = chain;
  const open = {
    record: { chainId: ledger.chainId, provisional: false },
    genesis: ledger.genesis,
    validatorKey: signerOf('founder/consensus'),
    reader: {
      read: async (look: (view: object) => unknown) => look({ state: ledger.state, ...ledger.last() }),
    },
  };
  const node = {
    db: openDatabase(':memory:'),
    clock: {
      now: () => ledger.last().time,
      after(_: number, then: () => void) {
        tick = then;
        return () => (tick = null);
      },
    },
    settings: { get: (key: string) => settings.get(key) },
    logger: { debug() {} },
    identity: {
      userId: () => userIdOfHash(addressOfName('founder')),
      deviceSecret: (purpose: string) => new Uint8Array(createHash('sha256').update(purpose).digest()),
    },
  };
  const wallet = {
    user: () => userIdOfHash(addressOfName('founder')),
    async send(_: unknown, { messages }: { messages: readonly ReturnType<typeof message>[] }) {
      sent.push(messages[0]!.type);
      chain.add('founder', messages);
      return new Uint8Array(32);
    },
  };
  const keys = { may: async () => true };
  chores = createLedgerChores(
    node as unknown as Parameters<typeof createLedgerChores>[0],
    { current: () => open } as unknown as Parameters<typeof createLedgerChores>[1],
    wallet as unknown as Parameters<typeof createLedgerChores>[2],
    keys as unknown as Parameters<typeof createLedgerChores>[3],
    () => null,
  );
});
afterEach(async () => {
  chores.stop();
  await rm(dir, { recursive: true });
});

describe('chores of a node', () => {
  it('claim and prove what it keeps in each period, own up to what was lost, and feed the beacon', async () => {
    expect(await turn()).toBeUndefined();
    const file = path.join(dir, 'content');
    await writeFile(file, Buffer.from(Array.from({ length: 10_000 }, (_, i) => i % 251)));
    await expect(measureFile(`${file} that is not`)).rejects.toMatchObject({ code: 'not_found' });
    const { root, bytes } = await measureFile(file);
    run('founder', message('storage.buyFuel', { amount: exc }));
    const terms = { root, bytes, copies: 1, periods: 60, price: 2n ** 30n, collateral: 1n, host: null };
    run('founder', message('storage.open', terms));
    run('founder', message('storage.accept', { contract: 0 }));
    chores.keep(chain.ledger.chainId, 0, file);
    const state = () => contractsView(chain.ledger.state, addressOfName('founder'))[0]!.slot!;
    const seeds = new Set<string>();
    for (let period = 0; period < 4; period++) {
      skip();
      const done: (string | undefined)[] = [];
      for (let i = 0; i < 3; i++) done.push(await turn());
      // Secrets are shown, and new ones put down, when claims are closed.
      chain.block({ after: periodMs / 2 });
      for (let i = 0; i < 3; i++) done.push(await turn());
      seeds.add(Buffer.from(seedOf(chain.ledger.state, periodOf(chain.ledger.last().time))).toString('hex'));
      expect(done).toContain('storage.claim');
      if (period > 0) expect(done.slice(0, 2)).toEqual(['storage.prove', 'storage.claim']);
      if (period > 1) expect(done).toEqual(expect.arrayContaining(['beacon.reveal', 'beacon.commit']));
    }
    expect(seeds.size).toBe(4);
    expect(state()).toMatchObject({ missed: 0, paid: 3n * 10_000n });
    // The file is changed: nothing can be proven of it any more, and the node says so.
    await writeFile(file, 'something else');
    for (let period = 0; period < 14; period++) {
      skip();
      for (let i = 0; i < 3; i++) await turn();
    }
    // Half a day in a row: the copy has ended, and what was proven before is paid.
    const [ended] = contractsView(chain.ledger.state, addressOfName('founder'));
    expect(ended).toMatchObject({ hosts: [], spent: 3n * 10_000n, slot: null });
    // A day after it was put there, and with no part in the contract, where its bytes are is forgotten.
    expect(chores.fileOf(chain.ledger.chainId, 0)).toBe(file);
    skip(24);
    await turn();
    expect(chores.fileOf(chain.ledger.chainId, 0)).toBe(null);
  });

  it('move a vault when its owner lets it', async () => {
    const mining = {
      schedule: { type: 'none' as const },
      periodMs,
      split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
      unclaimed: 'unminted' as const,
    };
    const spec = {
      ...{ symbol: 'TEA', name: 'Tea', decimals: 6, max: 10n ** 15n, mining, staking: null },
      flags: { mint: false, burn: false, freeze: false },
      treasury: addressOfName('founder'),
    };
    run('founder', message('token.create', { spec, initial: 10n ** 12n }));
    const pool = { a: 'EXC', b: 'TEA', feeBp: 30, amountA: 100_000n * exc, amountB: 50_000n * exc };
    run('founder', message('pool.create', pool));
    const strategies = [{ other: 'TEA', feeBp: 30, targetBp: 5000, minBp: 0, maxBp: 6000 }];
    const bounds = {
      ...{ follow: 'target' as const, minMove: exc, cooldownMs: 60_000, maxMoveBp: 10_000, periodMs },
      ...{ maxLossBp: 100, tipBp: 0, tipCap: 0n },
    };
    run('founder', message('vault.create', { name: 'Movers', asset: 'EXC', strategies, bounds }));
    run(
      'founder',
      message('vault.deposit', { vault: 0, amount: 1000n * exc, minShares: 0n, deadline: 2 ** 43 }),
    );
    expect(await turn()).toBeUndefined();
    chain.block({ after: 700_000 });
    expect(await turn()).toBe('vault.rebalance');
    expect(await turn()).toBeUndefined();
    chain.block({ after: 60_000 });
    settings.set('vaults.rebalance', false);
    expect(await turn()).toBeUndefined();
    settings.set('vaults.rebalance', true);
    expect(await turn()).toBe('vault.rebalance');
    const reading = { state: chain.ledger.state, time: chain.ledger.last().time };
    expect(vaultsView(reading, null)[0]?.lastMoves).toHaveLength(2);
  });
});
