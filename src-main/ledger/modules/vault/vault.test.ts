import { describe, expect, it } from 'vitest';
import type { WireMessage } from '../../codec/index.ts';
import { maxTime } from '../../codec/index.ts';
import { day } from '../../codec/token-spec.ts';
import { addressOfName, createTestChain, testGenesis } from '../../testing.ts';
import type { TestChain } from '../../testing.ts';
import { message } from '../index.ts';
import { poolKeyOf } from '../pool/state.ts';
import { account, balanceOf, pot } from '../value.ts';
import { planMove } from './plan.ts';
import { tradeLimit } from './rebalance.ts';
import type { Step } from './rebalance.ts';
import type { Bounds, Strategy } from './state.ts';
import { vaultAt, vaultMoveKey, vaultMoves, vaultShareKey, vaultShares } from './state.ts';
import { idleOf, placesOf, worthOfPlace } from './worth.ts';

const exc = 1_000_000n;
const people = ['ada', 'ben', 'cyd', 'eve'];
const have = (chain: TestChain, name: string, symbol = 'EXC'): bigint =>
  balanceOf(chain.ledger.state, account(addressOfName(name)), symbol);
const held = (chain: TestChain, name: string, vault = 0): bigint =>
  chain.ledger.state.get(vaultShares, vaultShareKey(addressOfName(name), vault))?.shares ?? 0n;
const reading = (chain: TestChain) => ({ state: chain.ledger.state, time: chain.ledger.last().time });
const worths = (chain: TestChain): bigint[] =>
  placesOf(reading(chain), 0, vaultAt(chain.ledger.state, 0)).map(worthOfPlace);
const idle = (chain: TestChain): bigint => idleOf(chain.ledger.state, 0, vaultAt(chain.ledger.state, 0));

function run(chain: TestChain, name: string, ...msgs: readonly WireMessage[]): string {
  chain.add(name, msgs);
  const { results } = chain.block();
  expect(chain.faults()).toEqual([]);
  return results[0]?.code ?? 'left out';
}

const bounds: Bounds = {
  follow: 'target',
  minMove: exc,
  cooldownMs: 60_000,
  maxMoveBp: 2000,
  periodMs: day,
  maxLossBp: 100,
  tipBp: 10,
  tipCap: exc,
};
const strategies: Strategy[] = [
  { other: 'AAA', feeBp: 30, targetBp: 4000, minBp: 1000, maxBp: 6000 },
  { other: 'BBB', feeBp: 30, targetBp: 4000, minBp: 1000, maxBp: 6000 },
];
const deposit = (amount: bigint, minShares = 0n, deadline = maxTime) =>
  message('vault.deposit', { vault: 0, amount, minShares, deadline });
const withdraw = (shares: bigint, minAmount = 0n) =>
  message('vault.withdraw', { vault: 0, shares, minAmount, deadline: maxTime });
const move = (step: Step) => message('vault.rebalance', { vault: 0, ...step });
const swap = (from: string, amount: bigint, to: string) =>
  message('pool.swapIn', { from, amount, hops: [{ to, feeBp: 30 }], minOut: 0n, deadline: maxTime });

/** Two pools of 100,000 EXC each, older than a window, and Ada's vault over both. */
function market(changes: Partial<Bounds> = {}): TestChain {
  const chain = createTestChain(testGenesis());
  for (const name of people) {
    const amount = 10_000_000n * exc;
    chain.add('founder', [
      message('bank.send', { to: addressOfName(name), symbol: 'EXC', amount, memo: '' }),
    ]);
  }
  const mining = {
    schedule: { type: 'none' as const },
    periodMs: day,
    split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
    unclaimed: 'unminted' as const,
  };
  for (const symbol of ['AAA', 'BBB']) {
    const flags = { mint: true, burn: true, freeze: false };
    const terms = {
      decimals: 6,
      max: 10n ** 20n,
      flags,
      mining,
      staking: null,
      treasury: addressOfName('dan'),
    };
    chain.add('founder', [
      message('token.create', { spec: { symbol, name: symbol, ...terms }, initial: 10n ** 15n }),
      message('pool.create', {
        a: 'EXC',
        b: symbol,
        feeBp: 30,
        amountA: 100_000n * exc,
        amountB: 10n ** 11n,
      }),
      ...people.map((name) =>
        message('bank.send', { to: addressOfName(name), symbol, amount: 10n ** 12n, memo: '' }),
      ),
    ]);
  }
  chain.add('ada', [
    message('vault.create', { name: 'Movers', asset: 'EXC', strategies, bounds: { ...bounds, ...changes } }),
  ]);
  expect(chain.block().results.filter(({ ok }) => !ok)).toEqual([]);
  chain.block({ after: 700_000 });
  return chain;
}

/** Does what the vault would do next, until nothing is left to do or so many moves are made. */
function settle(chain: TestChain, most: number): number {
  for (let made = 0; made < most; made++) {
    const step = planMove(reading(chain), 0);
    if (!step) return made;
    expect(run(chain, 'eve', move(step))).toBe('');
    chain.block({ after: 60_000 });
  }
  return most;
}

describe('a vault', () => {
  it('takes money, moves it towards its targets in safe steps, pays who calls, and gives it back', () => {
    const chain = market();
    expect(run(chain, 'ada', deposit(10_000n * exc))).toBe('');
    expect(planMove(reading(chain), 0)).toMatchObject({ from: 0 });
    const tips = have(chain, 'eve');
    const moves = settle(chain, 40);
    expect(moves).toBeGreaterThan(5);
    expect(have(chain, 'eve')).toBeGreaterThan(tips - BigInt(moves) * 100_000n);
    const [first, second] = worths(chain) as [bigint, bigint];
    // A fifth of it a day: after these moves it rests until tomorrow.
    expect(first + second).toBeGreaterThan(1800n * exc);
    expect(first + second).toBeLessThanOrEqual(2000n * exc);
    expect(planMove(reading(chain), 0)).toBeNull();
    for (let days = 0; days < 8; days++) {
      chain.block({ after: day });
      settle(chain, 20);
    }
    const after = worths(chain);
    const total = after.reduce((sum, one) => sum + one, idle(chain));
    for (const one of after) {
      expect(one).toBeGreaterThan((total * 3900n) / 10_000n);
      expect(one).toBeLessThan((total * 4100n) / 10_000n);
    }
    const shown = chain.ledger.state.get(
      vaultMoves,
      vaultMoveKey(0, vaultAt(chain.ledger.state, 0).moves - 1),
    );
    expect(shown?.after).toBeLessThan(shown?.before ?? 0n);
    // All of it cost less than the bounds let: fees of half of what moved, and tips.
    expect(total).toBeGreaterThan((10_000n * exc * 995n) / 1000n);
    const before = have(chain, 'ada');
    expect(run(chain, 'ada', withdraw(held(chain, 'ada') + 1n))).toBe('shares_exceeded');
    expect(run(chain, 'ada', withdraw(held(chain, 'ada'), total))).toBe('slippage_exceeded');
    expect(run(chain, 'ada', withdraw(held(chain, 'ada')))).toBe('');
    // Leaving at once costs the fee and the price it pushes: four thousandth of what is in pools here, twice over.
    expect(have(chain, 'ada') - before).toBeGreaterThan((total * 97n) / 100n);
    expect(vaultAt(chain.ledger.state, 0).shares).toBe(0n);
  });

  it('refuses each move that breaks a bound, with its own code and numbers', () => {
    const chain = market({ maxMoveBp: 500 });
    expect(run(chain, 'ada', deposit(10_000n * exc, 2n ** 120n))).toBe('slippage_exceeded');
    expect(run(chain, 'ada', deposit(10_000n * exc, 0n, 1))).toBe('deadline_passed');
    expect(run(chain, 'ada', deposit(10_000n * exc))).toBe('');
    expect(run(chain, 'eve', message('vault.rebalance', { vault: 7, from: 0, to: 1, amount: 1n }))).toBe(
      'vault_unknown',
    );
    expect(run(chain, 'eve', move({ from: 0, to: 3, amount: 10n * exc }))).toBe('invalid_argument');
    expect(run(chain, 'eve', move({ from: 1, to: 1, amount: 10n * exc }))).toBe('invalid_argument');
    expect(run(chain, 'eve', move({ from: 0, to: 1, amount: exc - 1n }))).toBe('move_too_small');
    expect(run(chain, 'eve', move({ from: 0, to: 1, amount: 501n * exc }))).toBe('period_exhausted');
    expect(run(chain, 'eve', move({ from: 0, to: 1, amount: 400n * exc }))).toBe('move_too_large');
    expect(run(chain, 'eve', move({ from: 1, to: 0, amount: 10n }))).toBe('shares_exceeded');
    expect(run(chain, 'eve', move({ from: 0, to: 1, amount: 250n * exc }))).toBe('');
    expect(run(chain, 'eve', move({ from: 0, to: 1, amount: 10n * exc }))).toBe('cooldown');
    chain.block({ after: 60_000 });
    expect(run(chain, 'eve', move({ from: 0, to: 1, amount: 260n * exc }))).toBe('period_exhausted');
    // Back from where it was just put: further from the targets, and less than the least.
    const { shares } = placesOf(reading(chain), 0, vaultAt(chain.ledger.state, 0))[0]!;
    expect(run(chain, 'eve', move({ from: 1, to: 0, amount: shares }))).toBe('allocation_exceeded');
    expect(run(chain, 'ben', message('vault.setTargets', { vault: 0, targets: [1000, 1000] }))).toBe(
      'not_owner',
    );
    expect(run(chain, 'ada', message('vault.setTargets', { vault: 0, targets: [999, 1000] }))).toBe(
      'allocation_exceeded',
    );
    expect(run(chain, 'ada', message('vault.setTargets', { vault: 0, targets: [6000, 6000] }))).toBe(
      'allocation_exceeded',
    );
    // Somebody pushes the price: no move until it is back or has become the average.
    expect(run(chain, 'ben', swap('EXC', 2000n * exc, 'BBB'))).toBe('');
    expect(run(chain, 'eve', move({ from: 0, to: 2, amount: 100n * exc }))).toBe('price_unsettled');
    expect(planMove(reading(chain), 0)?.to).not.toBe(2);
    const narrow = market({ maxLossBp: 1 });
    expect(run(narrow, 'ada', deposit(10_000n * exc))).toBe('');
    expect(run(narrow, 'eve', move({ from: 0, to: 1, amount: 200n * exc }))).toBe('loss_exceeded');
    expect(run(narrow, 'ada', message('vault.setTargets', { vault: 0, targets: [1000, 1000] }))).toBe('');
  });

  it('makes no share dear for later ones: a first depositor’s gift of trading fees stays his loss', () => {
    const chain = market();
    expect(run(chain, 'eve', deposit(1n))).toBe('');
    // There is no way to give to a vault but by depositing.
    expect(balanceOf(chain.ledger.state, pot('vault/0'), 'EXC')).toBe(1n);
    expect(run(chain, 'eve', deposit(5_000n * exc))).toBe('');
    const before = have(chain, 'ben');
    expect(run(chain, 'ben', deposit(3n))).toBe('');
    expect(held(chain, 'ben')).toBeGreaterThan(0n);
    expect(run(chain, 'ben', withdraw(held(chain, 'ben')))).toBe('');
    expect(have(chain, 'ben')).toBeGreaterThanOrEqual(before - 1n - 20_000n);
  });

  it('goes by what is traded when it says so, between least and most', () => {
    const chain = market({ follow: 'usage' });
    expect(run(chain, 'ada', deposit(10_000n * exc))).toBe('');
    for (let i = 0; i < 5; i++) {
      expect(run(chain, 'ben', swap('EXC', 100n * exc, 'AAA'))).toBe('');
      expect(run(chain, 'ben', swap('AAA', 99n * exc, 'EXC'))).toBe('');
    }
    chain.block({ after: 700_000 });
    settle(chain, 6);
    const [first, second] = worths(chain) as [bigint, bigint];
    expect(first).toBeGreaterThan(500n * exc);
    expect(second).toBeLessThan(first);
    const key = poolKeyOf('EXC', 'AAA', 30);
    expect(key).toBe(poolKeyOf('AAA', 'EXC', 30));
    expect(tradeLimit(100_000n * exc, 30)).toBe(150n * exc);
  });
});
