import { describe, expect, it } from 'vitest';
import type { TokenSpec, WireMessage } from '../../codec/index.ts';
import { leafRoot, proveLeaf } from '../../../history/index.ts';
import { hashIn, listRoot, proveInList } from '../../codec/index.ts';
import { addressOfName, createTestChain, testGenesis } from '../../testing.ts';
import type { TestChain } from '../../testing.ts';
import { decodeMessage, message } from '../index.ts';
import { account, balanceOf, supplyOf } from '../value.ts';
import { beaconHash } from './beacon.ts';
import { contentOf } from './content.ts';
import type { Content as Blocks } from './content.ts';
import {
  answerOf,
  challengeOf,
  contractAt,
  contracts,
  fuelPriceOf,
  fuels,
  hosts,
  leafBytes,
  maxMisses,
  maxSlots,
  payOf,
  periodMs,
  periodOf,
  samplesOf,
  seedOf,
  slotKey,
  slots,
} from './state.ts';
import { dueContracts } from './storage.ts';
import { bytesKey, numberKey } from '../../state/table.ts';

const exc = 1_000_000n;
const gib = 2n ** 30n;
const who = addressOfName;
const have = (chain: TestChain, name: string, symbol = 'EXC'): bigint =>
  balanceOf(chain.ledger.state, account(who(name)), symbol);
const period = (chain: TestChain): number => periodOf(chain.ledger.last().time);
const quota = (chain: TestChain, name: string): bigint =>
  chain.ledger.state.get(fuels, bytesKey(who(name)))?.quota ?? 0n;

function run(chain: TestChain, name: string, ...msgs: readonly WireMessage[]): string {
  chain.add(name, msgs);
  const { results } = chain.block();
  expect(chain.faults()).toEqual([]);
  return results[0]?.code ?? 'left out';
}
/** To the first minute of a later period. */
function skip(chain: TestChain, periods = 1): void {
  const { time } = chain.ledger.last();
  chain.block({ after: (periodOf(time) + periods) * periodMs + 60_000 - time });
  expect(chain.faults()).toEqual([]);
}

/** Into the second half of a period, in which secrets are shown. */
const late = (chain: TestChain): unknown => chain.block({ after: periodMs / 2 });

/** What is kept: blocks of 2 KiB and a rest. */
interface Content {
  readonly bytes: number;
  readonly leaves: readonly Uint8Array[];
  readonly blocks: readonly Uint8Array[];
  readonly made: Blocks;
  readonly root: Uint8Array;
}
function content(fill: number, bytes: number): Content {
  const leaves = Array.from({ length: Math.ceil(bytes / leafBytes) }, (_, i) =>
    new Uint8Array(Math.min(leafBytes, bytes - i * leafBytes)).fill(fill + i),
  );
  const all = Buffer.concat(leaves);
  const blocks = Array.from({ length: Math.ceil(bytes / 2048) }, (_, i) =>
    all.subarray(i * 2048, i * 2048 + 2048),
  );
  const made = contentOf(blocks.map((block) => ({ root: leafRoot(block), bytes: block.length })));
  return { bytes, leaves, blocks, made, root: made.root };
}

/** A host that keeps these contracts, and may have lost some. */
function claimOf(
  chain: TestChain,
  name: string,
  kept: ReadonlyMap<number, Content>,
  missing: readonly number[] = [],
) {
  const now = period(chain);
  const seed = seedOf(chain.ledger.state, now);
  const due = dueContracts(chain.ledger.state, who(name), now).filter(
    ({ number }) => !missing.includes(number),
  );
  const leaves = due.map(({ number, contract }) => {
    const at = challengeOf(seed, who(name), number, contract.bytes);
    return { at, content: kept.get(number) as Content, number };
  });
  const answers = leaves.map(({ at, content: of, number }) =>
    answerOf(seed, who(name), number, of.leaves[at] as Uint8Array),
  );
  return {
    message: message('storage.claim', { root: listRoot(answers), missing }),
    /** In the next period. */
    prove() {
      const wanted = samplesOf(seedOf(chain.ledger.state, now + 1), who(name), due.length);
      const openings = wanted.map((index) => {
        const { at, content: of } = leaves[index] as (typeof leaves)[0];
        const { block, leaf } = of.made.find(at);
        const proof = proveLeaf(of.blocks[block] as Uint8Array, leaf)!;
        return { ...of.made.open(at, proof), inClaim: proveInList(answers, index).path };
      });
      const { slots: held } = chain.ledger.state.get(hosts, bytesKey(who(name)))!;
      return message('storage.prove', { slots: held, openings });
    },
  };
}

const kept = new Map([0, 1, 2].map((number) => [number, content(number * 50, 5000 + number)]));
const open = (number: number, changes: object = {}) => {
  const { bytes, root } = kept.get(number) as Content;
  const terms = { root, bytes, copies: 2, periods: 40, price: gib, collateral: 100n, host: null };
  return message('storage.open', { ...terms, ...changes });
};

function funded(changes?: Parameters<typeof testGenesis>[0]): TestChain {
  const chain = createTestChain(testGenesis(changes));
  for (const name of ['ada', 'ben', 'cyd', 'dan']) {
    chain.add('founder', [
      message('bank.send', { to: who(name), symbol: 'EXC', amount: 1000n * exc, memo: '' }),
    ]);
  }
  chain.block();
  return chain;
}

describe('fuel', () => {
  it('is burned for quota, at a price that validators move slowly', () => {
    const chain = funded();
    const supply = supplyOf(chain.ledger.state, 'EXC');
    expect(run(chain, 'ada', message('storage.buyFuel', { amount: exc }))).toBe('');
    expect(quota(chain, 'ada')).toBe((exc * gib) / 1000n);
    expect(supplyOf(chain.ledger.state, 'EXC')).toBe(supply - exc);
    expect(run(chain, 'ada', message('storage.vote', { price: 5000n }))).toBe('validator_unknown');
    expect(run(chain, 'founder', message('storage.vote', { price: 5000n }))).toBe('');
    skip(chain);
    expect(fuelPriceOf(chain.ledger.state)).toBe(1125n);
    for (let i = 0; i < 20; i++) skip(chain);
    expect(fuelPriceOf(chain.ledger.state)).toBe(5000n);
  });
});

describe('the beacon', () => {
  it('is made of secrets that were put down before, and keeps the deposit of who keeps his', () => {
    const chain = funded();
    const secret = new Uint8Array(32).fill(9);
    expect(run(chain, 'ada', message('beacon.commit', { hash: secret }))).toBe('not_validator');
    const before = have(chain, 'founder');
    expect(
      run(chain, 'founder', message('beacon.commit', { hash: beaconHash(who('founder'), secret) })),
    ).toBe('');
    expect(before - have(chain, 'founder')).toBeGreaterThanOrEqual(10n * exc);
    expect(run(chain, 'founder', message('beacon.reveal', { secret }))).toBe('claim_unknown');
    skip(chain);
    const known = seedOf(chain.ledger.state, period(chain));
    expect(run(chain, 'founder', message('beacon.reveal', { secret }))).toBe('claim_too_new');
    late(chain);
    expect(run(chain, 'founder', message('beacon.reveal', { secret: new Uint8Array(32) }))).toBe('bad_hash');
    expect(run(chain, 'founder', message('beacon.reveal', { secret }))).toBe('');
    skip(chain);
    const made = seedOf(chain.ledger.state, period(chain));
    expect(made).not.toEqual(known);
    // Kept back: the deposit burns.
    late(chain);
    run(chain, 'founder', message('beacon.commit', { hash: beaconHash(who('founder'), secret) }));
    const supply = supplyOf(chain.ledger.state, 'EXC');
    skip(chain, 2);
    expect(supplyOf(chain.ledger.state, 'EXC')).toBe(supply - 10n * exc);
    expect(run(chain, 'founder', message('beacon.reveal', { secret }))).toBe('claim_unknown');
  });
});

describe('storage contracts', () => {
  it('take no claim once it can be known which of its answers have to be shown', () => {
    const chain = funded();
    const secret = new Uint8Array(32).fill(9);
    run(chain, 'ada', message('storage.buyFuel', { amount: exc }));
    expect(run(chain, 'ada', open(0))).toBe('');
    expect(run(chain, 'ben', message('storage.accept', { contract: 0 }))).toBe('');
    run(chain, 'founder', message('beacon.commit', { hash: beaconHash(who('founder'), secret) }));
    skip(chain);
    const seed = seedOf(chain.ledger.state, period(chain));
    const claim = claimOf(chain, 'ben', kept).message;
    late(chain);
    expect(run(chain, 'founder', message('beacon.reveal', { secret }))).toBe('');
    // Everybody can now work out the seed that the samples are drawn by, and which `missing` would leave out what is lost.
    const known = hashIn('beacon', Buffer.concat([seed, who('founder'), secret]));
    expect(run(chain, 'ben', claim)).toBe('period_passed');
    skip(chain);
    expect(seedOf(chain.ledger.state, period(chain))).toEqual(known);
    expect(run(chain, 'ben', claimOf(chain, 'ben', kept).message)).toBe('');
  });

  it('pay for what was proven in each period, nothing for what was missed, and give back the rest', () => {
    const chain = funded();
    expect(run(chain, 'ada', open(0))).toBe('fuel_short');
    expect(run(chain, 'ada', message('storage.buyFuel', { amount: exc }))).toBe('');
    const [fuel, money] = [quota(chain, 'ada'), have(chain, 'ada')];
    expect(run(chain, 'ada', open(0), open(1), open(2, { copies: 1 }))).toBe('');
    expect(fuel - quota(chain, 'ada')).toBe(40n * (2n * 5000n + 2n * 5001n + 5002n));
    const pay = payOf(contractAt(chain.ledger.state, 0));
    expect(pay).toBe(5000n);
    expect(money - have(chain, 'ada')).toBeGreaterThanOrEqual(40n * (2n * 5000n + 2n * 5001n + 5002n));
    const accept = (number: number) => message('storage.accept', { contract: number });
    expect(run(chain, 'ben', accept(7))).toBe('contract_unknown');
    expect(run(chain, 'ben', accept(0), accept(1), accept(2))).toBe('');
    expect(run(chain, 'ben', accept(0))).toBe('already_exists');
    expect(run(chain, 'cyd', accept(0))).toBe('');
    expect(run(chain, 'dan', accept(0))).toBe('contract_full');
    expect(run(chain, 'dan', accept(2))).toBe('contract_full');
    expect(run(chain, 'ada', open(0, { copies: 1, host: who('cyd') }))).toBe('');
    expect(run(chain, 'dan', accept(3))).toBe('not_allowed');
    expect(run(chain, 'ada', message('storage.close', { contract: 3 }))).toBe('');
    // The period in which it was taken is not paid and owes no proof.
    expect(run(chain, 'ben', message('storage.claim', { root: new Uint8Array(32), missing: [] }))).toBe(
      'period_passed',
    );
    skip(chain);
    const first = claimOf(chain, 'ben', kept);
    expect(run(chain, 'ben', first.message)).toBe('');
    expect(run(chain, 'ben', first.message)).toBe('period_passed');
    expect(run(chain, 'ben', message('storage.prove', { slots: 3, openings: [] }))).toBe('period_passed');
    skip(chain);
    expect(run(chain, 'ben', message('storage.prove', { slots: 3, openings: [] }))).toBe('proof_invalid');
    const before = have(chain, 'ben');
    expect(run(chain, 'ben', first.prove())).toBe('');
    const all = 5000n + 5001n + 5002n;
    expect(have(chain, 'ben') - before).toBeGreaterThan(all - 30_000n);
    expect(run(chain, 'ben', first.prove())).toBe('period_passed');
    // Contract 1 is lost, and said to be: the other two are paid.
    const second = claimOf(chain, 'ben', kept, [1]);
    expect(run(chain, 'ben', second.message)).toBe('');
    skip(chain);
    expect(run(chain, 'ben', second.prove())).toBe('');
    expect(chain.ledger.state.get(slots, slotKey(who('ben'), 1))).toMatchObject({ missed: 1, inRow: 1 });
    expect(chain.ledger.state.get(slots, slotKey(who('ben'), 0))).toMatchObject({ missed: 0, inRow: 0 });
    // Cyd never proved anything: he may be reported, and his place is free.
    expect(run(chain, 'dan', message('storage.report', { host: who('dan') }))).toBe('host_unknown');
    expect(run(chain, 'dan', message('storage.report', { host: who('cyd') }))).toBe('host_proves');
    skip(chain, maxMisses);
    const reporter = have(chain, 'dan');
    expect(run(chain, 'dan', message('storage.report', { host: who('cyd') }))).toBe('');
    expect(have(chain, 'dan')).toBeGreaterThan(reporter - 30_000n);
    expect(contractAt(chain.ledger.state, 0).hosts).toEqual([who('ben')]);
    expect(run(chain, 'dan', accept(0))).toBe('');
    expect(run(chain, 'ada', message('storage.close', { contract: 0 }))).toBe('contract_running');
    skip(chain, 40);
    const owner = have(chain, 'ada');
    const close = [0, 1, 2].map((contract) => message('storage.close', { contract }));
    expect(run(chain, 'ada', ...close)).toBe('');
    expect(have(chain, 'ada')).toBeGreaterThan(owner);
    expect([...chain.ledger.state.rows(contracts)]).toEqual([]);
    expect([...chain.ledger.state.rows(slots)]).toEqual([]);
    expect(chain.ledger.state.get(hosts, bytesKey(who('ben')))?.slots).toBe(0);
    expect(chain.faults()).toEqual([]);
  });

  it('end for a host that claims what it has not, or misses half a day in a row', () => {
    const chain = funded();
    run(chain, 'ada', message('storage.buyFuel', { amount: exc }));
    run(chain, 'ada', open(0), open(1));
    run(chain, 'ben', message('storage.accept', { contract: 0 }), message('storage.accept', { contract: 1 }));
    skip(chain);
    const supply = supplyOf(chain.ledger.state, 'EXC');
    // He lost contract 1 and makes its answer up: with two contracts both are asked for.
    const lying = new Map([...kept, [1, content(77, 5001)]]);
    const lie = claimOf(chain, 'ben', lying);
    run(chain, 'ben', lie.message);
    skip(chain);
    expect(run(chain, 'ben', lie.prove())).toBe('proof_invalid');
    for (let i = 0; i < maxMisses; i++) {
      const honest = claimOf(chain, 'ben', kept, [1]);
      // The open claim of the period before can still be proven, so another is not taken.
      expect(['', 'period_passed']).toContain(run(chain, 'ben', honest.message));
      skip(chain);
      run(chain, 'ben', honest.prove());
    }
    skip(chain);
    const last = claimOf(chain, 'ben', kept, [1]);
    run(chain, 'ben', last.message);
    skip(chain);
    run(chain, 'ben', last.prove());
    expect(chain.ledger.state.get(slots, slotKey(who('ben'), 1))).toBeNull();
    expect(supplyOf(chain.ledger.state, 'EXC')).toBeLessThanOrEqual(supply - 100n);
    expect(contractAt(chain.ledger.state, 1).hosts).toEqual([]);
    expect(chain.ledger.state.get(contracts, numberKey(1))?.spent).toBe(0n);
  });
});

describe('the bounds of storage', () => {
  it('let nobody have more copies read than his fee pays for', () => {
    const chain = funded();
    run(chain, 'ada', message('storage.buyFuel', { amount: 100n * exc }));
    for (let i = 0; i < maxSlots + 1; i++) chain.add('ada', [open(0)]);
    chain.block();
    for (let i = 0; i < maxSlots; i++) chain.add('ben', [message('storage.accept', { contract: i })]);
    expect(chain.block().results.filter(({ ok }) => ok)).toHaveLength(maxSlots);
    expect(run(chain, 'ben', message('storage.accept', { contract: maxSlots }))).toBe('too_many');
    skip(chain);
    const claim = claimOf(
      chain,
      'ben',
      new Map(Array.from({ length: maxSlots }, (_, i) => [i, kept.get(0)!] as const)),
    );
    expect(run(chain, 'ben', claim.message)).toBe('');
    skip(chain);
    const prove = claim.prove();
    const { openings } = prove as unknown as { openings: readonly unknown[] };
    const stating = (count: number) => decodeMessage({ ...prove, slots: count }).weight;
    expect(stating(maxSlots)).toBe(2000 + 50 * maxSlots + 500 * openings.length);
    expect(stating(0)).toBe(2000 + 500 * openings.length);
    expect(() => stating(maxSlots + 1)).toThrow();
    expect(run(chain, 'ben', { ...prove, slots: maxSlots - 1 })).toBe('invalid_argument');
    expect(run(chain, 'ben', prove)).toBe('');
  });

  it('take no content of more leaves than a path can lead to', () => {
    const { root } = kept.get(0) as Content;
    const terms = { root, copies: 1, periods: 1, price: 1n, collateral: 0n, host: null };
    expect(() => message('storage.open', { ...terms, bytes: 1024 * (2 ** 32 - 1) })).not.toThrow();
    expect(() => message('storage.open', { ...terms, bytes: 1024 * (2 ** 32 - 1) + 1 })).toThrow();
  });
});

describe('emission for hosts', () => {
  it('goes by the bytes proven in each period', () => {
    const chain = funded();
    const mining: TokenSpec['mining'] = {
      schedule: { type: 'fixed', perPeriod: 1_000_000n, periods: null },
      periodMs,
      split: { stakers: 0, hosts: 10_000, relays: 0, liquidity: 0, treasury: 0 },
      unclaimed: 'unminted',
    };
    const spec: TokenSpec = {
      symbol: 'HOST',
      name: 'Hosts',
      decimals: 0,
      max: 10n ** 12n,
      flags: { mint: false, burn: false, freeze: false },
      mining,
      staking: null,
      treasury: who('dan'),
    };
    run(chain, 'dan', message('token.create', { spec, initial: 1n }));
    run(chain, 'ada', message('storage.buyFuel', { amount: exc }));
    run(chain, 'ada', open(0), open(1));
    run(chain, 'ben', message('storage.accept', { contract: 0 }), message('storage.accept', { contract: 1 }));
    run(chain, 'cyd', message('storage.accept', { contract: 0 }));
    skip(chain);
    const claims = [claimOf(chain, 'ben', kept), claimOf(chain, 'cyd', kept)] as const;
    run(chain, 'ben', claims[0].message);
    run(chain, 'cyd', claims[1].message);
    skip(chain);
    run(chain, 'ben', claims[0].prove());
    run(chain, 'cyd', claims[1].prove());
    skip(chain);
    const collect = message('storage.collect', { symbol: 'HOST' });
    expect(run(chain, 'ben', message('storage.collect', { symbol: 'EXC' }))).toBe('not_allowed');
    expect(run(chain, 'ben', collect)).toBe('');
    expect(run(chain, 'cyd', collect)).toBe('');
    const [ben, cyd] = [have(chain, 'ben', 'HOST'), have(chain, 'cyd', 'HOST')];
    expect(ben).toBeGreaterThan(1_000_000n);
    // 10,001 bytes to 5,000.
    expect((ben * 5000n) / 10_001n - cyd).toBeLessThanOrEqual(1n);
    expect(cyd - (ben * 5000n) / 10_001n).toBeLessThanOrEqual(1n);
    expect(run(chain, 'ben', collect)).toBe('');
    expect(have(chain, 'ben', 'HOST')).toBe(ben);
    skip(chain, 50);
    run(chain, 'cyd', collect);
  });
});
