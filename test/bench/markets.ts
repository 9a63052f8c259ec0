/**
 * `npm run bench:markets [-- --swaps 2000 --blocks 5 --hosts 100 --contracts 10000]`: one validator alone, in one process with nothing
 * else. How many swaps a second it checks, executes and commits, each signed by another account, through one and through three pools;
 * and how long a block takes that settles a period of storage: every host proves all its contracts in it. The database is a real file,
 * its transactions fully synchronous.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { chainIdOf, listRoot, maxTime, proveInList, signTx } from '../../src-main/ledger/codec/index.ts';
import { leafRoot, proveLeaf } from '../../src-main/history/index.ts';
import { message } from '../../src-main/ledger/modules/index.ts';
import { contentOf } from '../../src-main/ledger/modules/storage/content.ts';
import { accountOf } from '../../src-main/ledger/modules/account.ts';
import {
  answerOf,
  challengeOf,
  periodMs,
  periodOf,
  samplesOf,
  seedOf,
} from '../../src-main/ledger/modules/storage/state.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../../src-main/ledger/testing.ts';
import type { TestChain } from '../../src-main/ledger/testing.ts';
import { openDatabase } from '../../src-main/store/index.ts';
import type { WireMessage } from '../../src-main/ledger/codec/index.ts';

const { values } = parseArgs({
  options: {
    swaps: { type: 'string', default: '2000' },
    blocks: { type: 'string', default: '5' },
    hosts: { type: 'string', default: '100' },
    contracts: { type: 'string', default: '10000' },
  },
});
const swaps = Number(values.swaps);
const blocks = Number(values.blocks);
const hostCount = Number(values.hosts);
const contractCount = Number(values.contracts);

const dir = await mkdtemp(path.join(tmpdir(), 'bench-markets-'));
const names = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${what} ${i}`);
function chainWith(people: readonly string[], each: bigint, file: string): TestChain {
  const genesis = testGenesis((one) => ({
    ...one,
    params: { ...one.params, maxBlockBytes: 4 * 1024 * 1024, maxBlockWeight: 900_000_000 },
    balances: [
      { ...one.balances[0]!, amount: one.balances[0]!.amount - each * BigInt(people.length) },
      ...people.map((name) => ({ address: addressOfName(name), symbol: 'EXC', amount: each })),
    ],
  }));
  return createTestChain(genesis, [], { db: openDatabase(path.join(dir, file)), snapshots: null });
}
/** Transactions signed beforehand, one message each: signing is the senders' work. */
function signed(
  chain: TestChain,
  from: readonly string[],
  of: (name: string, i: number) => WireMessage,
): Uint8Array[] {
  const used = new Map<string, number>();
  const chainId = chainIdOf(chain.genesis);
  return from.map((name, i) => {
    const sender = addressOfName(name);
    const nonce = used.get(name) ?? accountOf(chain.ledger.state, sender).nonce;
    used.set(name, nonce + 1);
    const body = { v: 1 as const, chainId, sender, nonce, validUntil: 1_000_000, feePayer: null };
    return signTx({ ...body, feeAsset: 'EXC', feeMax: 10n ** 9n, msgs: [of(name, i)] }, signerOf(name));
  });
}
/** Processor time of the last `time`, ms: what counts where other programs run. */
let cpuMs = 0;
/** Checks signatures, executes and commits a block; seconds. */
async function time(chain: TestChain, txs: readonly Uint8Array[], after = 1000): Promise<number> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  await chain.ledger.verifyTxs(txs);
  const { results } = chain.block({ txs, after });
  const took = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  cpuMs = (user + system) / 1000;
  const bad = results.find(({ ok }) => !ok);
  if (bad || results.length !== txs.length) {
    throw new Error(`${results.length} of ${txs.length} ran, ${bad?.code ?? ''} ${bad?.message ?? ''}`);
  }
  return took;
}
const batches = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));

try {
  console.log(`Node ${process.versions.node}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}`);

  const traders = names('trader', 1000);
  const market = chainWith(traders, 10n ** 9n, 'market.db');
  const spec = (symbol: string) => ({
    ...{
      symbol,
      name: symbol,
      decimals: 6,
      max: 10n ** 30n,
      staking: null,
      treasury: addressOfName('founder'),
    },
    flags: { mint: false, burn: false, freeze: false },
    mining: {
      schedule: { type: 'none' as const },
      periodMs,
      split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
      unclaimed: 'unminted' as const,
    },
  });
  for (const symbol of ['AAA', 'BBB', 'CCC']) {
    market.add('founder', [message('token.create', { spec: spec(symbol), initial: 10n ** 24n })]);
  }
  for (const [a, b] of [
    ['EXC', 'AAA'],
    ['AAA', 'BBB'],
    ['BBB', 'CCC'],
  ] as const) {
    market.add('founder', [
      message('pool.create', { a, b, feeBp: 30, amountA: 10n ** 13n, amountB: 10n ** 13n }),
    ]);
  }
  market.block();
  const paths = { one: ['AAA'], three: ['AAA', 'BBB', 'CCC'] };
  for (const [name, tokens] of Object.entries(paths)) {
    const hops = tokens.map((to) => ({ to, feeBp: 30 }));
    const from = Array.from({ length: swaps }, (_, i) => traders[i % traders.length]!);
    const rates: number[] = [];
    const spent: number[] = [];
    for (let i = 0; i < blocks; i++) {
      const swap = message('pool.swapIn', {
        from: 'EXC',
        amount: 10_000n,
        hops,
        minOut: 0n,
        deadline: maxTime,
      });
      const txs = signed(market, from, () => swap);
      rates.push(swaps / (await time(market, txs)));
      spent.push(cpuMs);
    }
    rates.sort((a, b) => a - b);
    spent.sort((a, b) => a - b);
    console.log(
      `swaps through ${name}: ${rates[rates.length >> 1]!.toFixed(0)} a second (median of ${blocks} blocks of ${swaps}; ${rates[0]!.toFixed(0)} to ${rates.at(-1)!.toFixed(0)}), ${spent[blocks >> 1]!.toFixed(0)} ms of processor time a block`,
    );
  }

  const hosts = names('host', hostCount);
  const store = chainWith(hosts, 10n ** 9n, 'storage.db');
  const leaves = [1, 2, 3, 4].map((fill) => new Uint8Array(1024).fill(fill));
  const block = Buffer.concat(leaves);
  const made = contentOf([{ root: leafRoot(block), bytes: block.length }]);
  const terms = {
    root: made.root,
    bytes: 4096,
    copies: 1,
    periods: 100,
    price: 2n ** 20n,
    collateral: 1n,
    host: null,
  };
  await time(
    store,
    signed(store, ['founder'], () => message('storage.buyFuel', { amount: 10n ** 9n })),
  );
  const opened = Array.from({ length: contractCount }, () => 'founder');
  for (const some of batches(opened, 5000)) {
    await time(
      store,
      signed(store, some, () => message('storage.open', terms)),
    );
  }
  const takers = Array.from({ length: contractCount }, (_, i) => hosts[i % hostCount]!);
  let next = 0;
  for (const some of batches(takers, 5000)) {
    await time(
      store,
      signed(store, some, () => message('storage.accept', { contract: next++ })),
    );
  }
  const skip = (): void => {
    const now = store.ledger.last().time;
    store.block({ after: (periodOf(now) + 1) * periodMs + 1000 - now });
  };
  skip();
  const period = periodOf(store.ledger.last().time);
  const seed = seedOf(store.ledger.state, period);
  const kept = hosts.map((name, i) => {
    const host = addressOfName(name);
    const numbers = Array.from({ length: contractCount }, (_, n) => n).filter((n) => n % hostCount === i);
    const at = numbers.map((number) => challengeOf(seed, host, number, 4096));
    const answers = numbers.map((number, n) => answerOf(seed, host, number, leaves[at[n]!]!));
    return { host, at, answers };
  });
  const claims = signed(store, hosts, (_, i) =>
    message('storage.claim', { root: listRoot(kept[i]!.answers), missing: [] }),
  );
  console.log(`claims of ${hostCount} hosts: ${(1000 * (await time(store, claims))).toFixed(0)} ms`);
  skip();
  const sampleSeed = seedOf(store.ledger.state, period + 1);
  const proofs = signed(store, hosts, (_, i) => {
    const { host, at, answers } = kept[i]!;
    const openings = samplesOf(sampleSeed, host, answers.length).map((index) => ({
      ...made.open(at[index]!, proveLeaf(block, at[index]!)!),
      inClaim: proveInList(answers, index).path,
    }));
    return message('storage.prove', { slots: answers.length, openings });
  });
  const settled = await time(store, proofs);
  console.log(
    `settling a period of ${hostCount} hosts and ${contractCount} contracts in one block: ${(1000 * settled).toFixed(0)} ms, ${cpuMs.toFixed(0)} ms of processor time`,
  );
} finally {
  await rm(dir, { recursive: true });
}
