import { describe, expect, it } from 'vitest';
import type { TokenSpec, WireMessage } from '../../codec/index.ts';
import { maxTime } from '../../codec/index.ts';
import { day } from '../../codec/token-spec.ts';
import { addressOfName, createTestChain, testGenesis } from '../../testing.ts';
import type { TestChain } from '../../testing.ts';
import { message } from '../index.ts';
import { account, balanceOf } from '../value.ts';
import { outFor } from './maths.ts';
import { averagePrices, poolAt, poolKeyOf, positionKey, positions, priceBits, tradedInDay } from './state.ts';
import { findPool } from './views.ts';

const exc = 1_000_000n;
const have = (chain: TestChain, name: string, symbol = 'EXC'): bigint =>
  balanceOf(chain.ledger.state, account(addressOfName(name)), symbol);
const poolOf = (chain: TestChain, x: string, y: string, feeBp = 30) =>
  poolAt(chain.ledger.state, poolKeyOf(x, y, feeBp));
const sharesOf = (chain: TestChain, name: string, x: string, y: string, feeBp = 30): bigint =>
  chain.ledger.state.get(positions, positionKey(account(addressOfName(name)), poolKeyOf(x, y, feeBp)))
    ?.shares ?? 0n;

const tokenSpec = (symbol: string, changes: Partial<TokenSpec> = {}): TokenSpec => ({
  symbol,
  name: symbol,
  decimals: 2,
  max: 2n ** 128n - 1n,
  flags: { mint: true, burn: true, freeze: false },
  mining: {
    schedule: { type: 'none' },
    periodMs: day,
    split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
    unclaimed: 'unminted',
  },
  staking: null,
  treasury: addressOfName('dan'),
  ...changes,
});

/** Runs one transaction in a block of its own and answers with its code, '' when it went well. */
function run(chain: TestChain, name: string, ...msgs: readonly WireMessage[]): string {
  chain.add(name, msgs);
  const { results } = chain.block();
  expect(chain.faults()).toEqual([]);
  return results[0]?.code ?? 'left out';
}

const pool = (a: string, b: string, amountA: bigint, amountB: bigint, feeBp = 30) =>
  message('pool.create', { a, b, feeBp, amountA, amountB });
const hop = (to: string, feeBp = 30) => ({ to, feeBp });
const swap = (
  from: string,
  amount: bigint,
  hops: readonly { to: string; feeBp: number }[],
  minOut = 0n,
  deadline = maxTime,
) => message('pool.swapIn', { from, amount, hops, minOut, deadline });

/** Ada owns AAA, BBB and CCC (which can be frozen); pools EXC-AAA, AAA-BBB, BBB-CCC. Ben has base coin. */
function market(): TestChain {
  const chain = createTestChain(testGenesis());
  for (const name of ['ada', 'ben', 'cyd']) {
    chain.add('founder', [
      message('bank.send', { to: addressOfName(name), symbol: 'EXC', amount: 1_000_000n * exc, memo: '' }),
    ]);
  }
  chain.block();
  for (const symbol of ['AAA', 'BBB', 'CCC']) {
    const flags = { mint: true, burn: true, freeze: symbol === 'CCC' };
    chain.add('ada', [message('token.create', { spec: tokenSpec(symbol, { flags }), initial: 10n ** 15n })]);
  }
  chain.add('ada', [
    pool('EXC', 'AAA', 10_000n * exc, 10n ** 9n),
    pool('BBB', 'AAA', 10n ** 9n, 2n * 10n ** 9n),
    pool('CCC', 'BBB', 10n ** 9n, 10n ** 9n, 100),
  ]);
  expect(chain.block().results.filter(({ ok }) => !ok)).toEqual([]);
  expect(chain.faults()).toEqual([]);
  return chain;
}

describe('pools', () => {
  it('trade through four pools and keep to what was asked, each refusal with its own code', () => {
    const chain = market();
    expect(run(chain, 'ada', pool('CCC', 'EXC', 10n ** 9n, 10_000n * exc, 5))).toBe('');
    const path = [hop('AAA'), hop('BBB'), hop('CCC', 100), hop('EXC', 5)];
    // Round through all four and back: it costs, as the prices agree only roughly.
    expect(run(chain, 'ben', swap('EXC', exc, path))).toBe('');
    expect(have(chain, 'ben')).toBeLessThan(1_000_000n * exc);
    const first = poolOf(chain, 'EXC', 'AAA');
    const out = outFor(5n * exc, first.reserveB, first.reserveA, 30);
    expect(run(chain, 'ben', swap('EXC', 5n * exc, [hop('AAA')], out + 1n))).toBe('slippage_exceeded');
    expect(run(chain, 'ben', swap('EXC', 5n * exc, [hop('AAA')], out))).toBe('');
    expect(have(chain, 'ben', 'AAA')).toBe(out);

    const { time } = chain.ledger.last();
    expect(run(chain, 'ben', swap('EXC', exc, [hop('AAA')], 0n, time + 999))).toBe('deadline_passed');
    expect(run(chain, 'ben', swap('EXC', exc, [hop('AAA'), hop('EXC')]))).toBe('path_repeats');
    expect(run(chain, 'ben', swap('EXC', exc, [hop('EXC')]))).toBe('invalid_argument');
    expect(run(chain, 'ben', swap('EXC', exc, [hop('AAA', 31)]))).toBe('pool_unknown');
    expect(run(chain, 'ben', swap('EXC', exc, [hop('ZZZ')]))).toBe('token_unknown');
    expect(run(chain, 'ben', swap('EXC', 1n, [hop('AAA')]))).toBe('amount_too_small');
    expect(run(chain, 'ben', swap('AAA', out + 1n, [hop('BBB')]))).toBe('underfunded');
    const exactly = (
      from: string,
      outAmount: bigint,
      maxIn: bigint,
      ...hops: readonly ReturnType<typeof hop>[]
    ) => message('pool.swapOut', { from, hops, out: outAmount, maxIn, deadline: maxTime });
    const { reserveA } = poolOf(chain, 'EXC', 'AAA');
    expect(run(chain, 'ben', exactly('EXC', reserveA, 2n ** 127n, hop('AAA')))).toBe('reserve_exceeded');
    expect(run(chain, 'ben', exactly('EXC', 1000n, 1n, hop('AAA')))).toBe('slippage_exceeded');
    const before = have(chain, 'ben', 'BBB');
    expect(run(chain, 'ben', exactly('EXC', 1234n, 100n * exc, hop('AAA'), hop('BBB')))).toBe('');
    expect(have(chain, 'ben', 'BBB') - before).toBe(1234n);

    expect(run(chain, 'ben', pool('AAA', 'EXC', 1000n, 10n ** 9n))).toBe('pool_exists');
    expect(run(chain, 'ben', pool('AAA', 'EXC', 1000n, 1000n, 1))).toBe('amount_too_small');
    // What is wrong in itself is no transaction at all.
    expect(() => pool('AAA', 'AAA', 1n, 1n)).toThrow('two different tokens');
    expect(() => swap('EXC', 1n, [...path, hop('AAA', 1)])).toThrow('1 to 4');
    expect(() => swap('EXC', 2n ** 128n, path)).toThrow('out of range');
    expect(() => swap('EXC', 0n, path)).toThrow('more than zero');
  });

  it('take and give liquidity by share, and keep the first thousand shares for ever', () => {
    const chain = market();
    const mine = sharesOf(chain, 'ada', 'AAA', 'EXC');
    const deposit = (maxA: bigint, maxB: bigint, minShares = 0n, deadline = maxTime) =>
      message('pool.deposit', { a: 'EXC', b: 'AAA', feeBp: 30, maxA, maxB, minShares, deadline });
    const withdraw = (shares: bigint, minA = 0n, minB = 0n) =>
      message('pool.withdraw', { a: 'EXC', b: 'AAA', feeBp: 30, shares, minA, minB, deadline: maxTime });
    const give = message('bank.send', {
      to: addressOfName('ben'),
      symbol: 'AAA',
      amount: 10n ** 8n,
      memo: '',
    });
    expect(run(chain, 'ada', give)).toBe('');

    expect(run(chain, 'ben', deposit(1000n * exc, 10n ** 8n, 2n ** 100n))).toBe('slippage_exceeded');
    expect(run(chain, 'ben', deposit(1000n * exc, 10n ** 8n, 0n, 1))).toBe('deadline_passed');
    expect(run(chain, 'ben', deposit(1n, 10n ** 8n))).toBe('amount_too_small');
    expect(run(chain, 'ben', deposit(2000n * exc, 10n ** 8n))).toBe('');
    // Only as much as fits the price was taken.
    expect(have(chain, 'ben', 'AAA')).toBe(0n);
    expect(have(chain, 'ben')).toBeGreaterThan(998_000n * exc);
    const his = sharesOf(chain, 'ben', 'AAA', 'EXC');
    expect(run(chain, 'ben', withdraw(his + 1n))).toBe('shares_exceeded');
    expect(run(chain, 'ben', withdraw(his, 0n, 10n ** 8n + 1n))).toBe('slippage_exceeded');
    expect(run(chain, 'cyd', withdraw(1n))).toBe('shares_exceeded');
    expect(run(chain, 'ben', withdraw(his))).toBe('');
    // Rounding is against who leaves.
    expect(have(chain, 'ben', 'AAA')).toBeLessThanOrEqual(10n ** 8n);
    expect(run(chain, 'ada', withdraw(mine))).toBe('');
    expect(poolOf(chain, 'AAA', 'EXC').shares).toBe(1000n);
    // The pool goes on with what is locked: it can be traded with and filled again.
    expect(run(chain, 'ada', deposit(10_000n * exc, 10n ** 9n))).toBe('');
    expect(run(chain, 'ben', swap('EXC', exc, [hop('AAA')]))).toBe('');
  });

  it('go on while a token in the middle or at an end of a path is frozen for who trades', () => {
    const chain = market();
    const freeze = (name: string, frozen: boolean) =>
      message('token.freeze', { symbol: 'CCC', address: addressOfName(name), frozen });
    expect(run(chain, 'ada', pool('EXC', 'CCC', 10_000n * exc, 10n ** 9n))).toBe('');
    expect(run(chain, 'ada', freeze('ben', true))).toBe('');
    // In the middle: what passes through is the pools', not Ben's.
    expect(run(chain, 'ben', swap('EXC', exc, [hop('CCC'), hop('BBB', 100)]))).toBe('');
    // At the end: he could not move what he bought.
    expect(run(chain, 'ben', swap('EXC', exc, [hop('CCC')]))).toBe('token_frozen');
    expect(run(chain, 'ada', freeze('ben', false))).toBe('');
    expect(run(chain, 'ben', swap('EXC', exc, [hop('CCC')]))).toBe('');
    expect(run(chain, 'ada', freeze('ben', true))).toBe('');
    const got = have(chain, 'ben', 'CCC');
    expect(run(chain, 'ben', swap('CCC', got, [hop('EXC')]))).toBe('token_frozen');
    expect(have(chain, 'ben', 'CCC')).toBe(got);
    // Frozen by the transaction itself, between two of its swaps: all of it is undone.
    const twice = [swap('CCC', 1000n, [hop('EXC')]), freeze('ada', true), swap('CCC', 1000n, [hop('EXC')])];
    const before = poolOf(chain, 'EXC', 'CCC');
    chain.add('ada', twice);
    expect(chain.block().results[0]?.code).toBe('token_frozen');
    expect(poolOf(chain, 'EXC', 'CCC')).toEqual(before);
  });

  it('stay within u128 at its edges', () => {
    const chain = createTestChain(testGenesis());
    const most = 2n ** 128n - 1n;
    for (const symbol of ['BIG', 'HUGE']) {
      chain.add('founder', [message('token.create', { spec: tokenSpec(symbol), initial: most })]);
    }
    chain.block();
    expect(run(chain, 'founder', pool('BIG', 'HUGE', most - 10n ** 6n, most - 10n ** 6n, 1))).toBe('');
    expect(run(chain, 'founder', swap('BIG', 10n ** 6n, [hop('HUGE', 1)]))).toBe('');
    expect(run(chain, 'founder', swap('HUGE', 1_999_000n, [hop('BIG', 1)]))).toBe('');
    expect(poolOf(chain, 'BIG', 'HUGE', 1).reserveB).toBeLessThanOrEqual(most);
    const out = (outAmount: bigint) =>
      message('pool.swapOut', {
        from: 'BIG',
        hops: [hop('HUGE', 1)],
        out: outAmount,
        maxIn: most,
        deadline: maxTime,
      });
    expect(run(chain, 'founder', out(most - 10n ** 7n))).toBe('too_large');
    // One unit against all there can be: shares that do not fit are refused.
    expect(run(chain, 'founder', pool('EXC', 'BIG', 999_000_000n * exc, 1n, 1))).toBe('');
    chain.block({ after: 100 * day });
    chain.block({ after: 3650 * day });
    expect(run(chain, 'founder', swap('EXC', exc, [hop('BIG', 1)]))).toBe('amount_too_small');
    expect(chain.faults()).toEqual([]);
  });

  it('remember their price, so that one block can not make it, and what was traded in a day', () => {
    const chain = market();
    const key = poolKeyOf('AAA', 'EXC', 30);
    const average = () =>
      averagePrices(chain.ledger.state, key, poolAt(chain.ledger.state, key), chain.ledger.last().time);
    expect(average()).toBeNull();
    chain.block({ after: 600_000 });
    const steady = average();
    expect(steady?.a).toBe(((10_000n * exc) << priceBits) / 10n ** 9n);
    // A tenth of the pool's money pushes the price by a fifth, for one second.
    expect(run(chain, 'ben', swap('EXC', 1000n * exc, [hop('AAA')]))).toBe('');
    expect(average()?.a).toBe(steady?.a);
    chain.block();
    const pushed = average()?.a ?? 0n;
    expect(pushed).toBeGreaterThan(steady?.a ?? 0n);
    expect(pushed).toBeLessThan(((steady?.a ?? 0n) * 1001n) / 1000n);
    const pool1 = poolAt(chain.ledger.state, key);
    const { time } = chain.ledger.last();
    expect(tradedInDay(pool1, time).b).toBe(1000n * exc);
    expect(tradedInDay(pool1, time + day + (day >> 1)).b).toBeLessThanOrEqual(500n * exc + exc);
    expect(tradedInDay(pool1, time + 2 * day)).toEqual({ a: 0n, b: 0n });
  });
});

describe('fees through a pool', () => {
  it('are taken before anything else, so that a swap that fails has paid', () => {
    const chain = market();
    const give = (symbol: string, amount: bigint) =>
      message('bank.send', { to: addressOfName('eve'), symbol, amount, memo: '' });
    chain.add('ada', [give('AAA', 10_000n), give('BBB', 10_000n)]);
    chain.block();
    const before = poolOf(chain, 'AAA', 'EXC');
    chain.add('eve', [swap('AAA', 1_000_000n, [hop('EXC')])], { feeAsset: 'AAA', feeMax: 10_000n });
    const { results } = chain.block();
    expect(results).toMatchObject([{ ok: false, code: 'underfunded' }]);
    const after = poolOf(chain, 'AAA', 'EXC');
    const fee = results[0]?.fee ?? 0n;
    expect(have(chain, 'eve', 'AAA')).toBe(10_000n - fee);
    expect(after.reserveA - before.reserveA).toBe(fee);
    expect(after.reserveB).toBeLessThan(before.reserveB);
    expect(chain.faults()).toEqual([]);
    // BBB has no pool with the base coin, and less than the price is not enough: neither gets into a block.
    chain.add('eve', [give('BBB', 1n)], { feeAsset: 'BBB', feeMax: 10_000n });
    expect(chain.block().results).toEqual([]);
    chain.add('eve', [give('AAA', 1n)], { feeAsset: 'AAA', feeMax: fee - 1n });
    expect(chain.block().results.length).toBeLessThanOrEqual(1);
    // Spending all and then the fee can not be: the fee went first.
    chain.add('eve', [give('AAA', 10_000n - fee)], { feeAsset: 'AAA', feeMax: 10_000n });
    expect(chain.block().results).toMatchObject([{ ok: false, code: 'underfunded' }]);
  });

  it('use the creator’s rate while the fund behind it lasts, then the pool', () => {
    const chain = market();
    expect(
      run(
        chain,
        'ada',
        message('token.setFeeRate', { symbol: 'AAA', rate: { num: 1n, den: 1n } }),
        message('token.fundFees', { symbol: 'AAA', amount: 1000n }),
        message('bank.send', { to: addressOfName('eve'), symbol: 'AAA', amount: 100_000n, memo: '' }),
      ),
    ).toBe('');
    const pay = () => {
      const one = message('bank.send', { to: addressOfName('ben'), symbol: 'AAA', amount: 1n, memo: '' });
      chain.add('eve', [one], { feeAsset: 'AAA', feeMax: 10_000n });
      return chain.block().results[0];
    };
    const treasury = have(chain, 'dan', 'AAA');
    expect(pay()?.ok).toBe(true);
    expect(have(chain, 'dan', 'AAA')).toBeGreaterThan(treasury);
    const now = have(chain, 'dan', 'AAA');
    expect(pay()?.ok).toBe(true);
    expect(have(chain, 'dan', 'AAA')).toBe(now);
    expect(chain.faults()).toEqual([]);
  });
});

describe('emission for liquidity', () => {
  it('reaches those who hold shares of the pool its owner favours, by share', () => {
    const chain = market();
    const mining: TokenSpec['mining'] = {
      schedule: { type: 'fixed', perPeriod: 1_000_000n, periods: null },
      periodMs: day,
      split: { stakers: 0, hosts: 0, relays: 0, liquidity: 10_000, treasury: 0 },
      unclaimed: 'unminted',
    };
    const made = message('token.create', { spec: tokenSpec('LIQ', { mining }), initial: 10n ** 12n });
    expect(run(chain, 'ben', made, pool('LIQ', 'EXC', 10n ** 9n, 1000n * exc))).toBe('');
    const give = message('bank.send', {
      to: addressOfName('cyd'),
      symbol: 'LIQ',
      amount: 10n ** 9n,
      memo: '',
    });
    expect(run(chain, 'ben', give)).toBe('');
    const key = { a: 'EXC', b: 'LIQ', feeBp: 30 };
    const deposit = message('pool.deposit', {
      ...key,
      maxA: 1000n * exc,
      maxB: 10n ** 9n,
      minShares: 0n,
      deadline: maxTime,
    });
    expect(run(chain, 'cyd', deposit)).toBe('');
    chain.block({ after: day });
    const [ben, cyd] = [have(chain, 'ben', 'LIQ'), have(chain, 'cyd', 'LIQ')];
    // What waits is seen before anybody touches the pool, and seeing it changes nothing.
    const reading = { state: chain.ledger.state, time: chain.ledger.last().time };
    const shown = findPool(reading, key, addressOfName('cyd'))!.position!.earnedB;
    expect(findPool(reading, key, addressOfName('cyd'))!.position!.earnedB).toBe(shown);
    expect(run(chain, 'cyd', message('pool.claim', key))).toBe('');
    expect(have(chain, 'cyd', 'LIQ') - cyd - shown).toBeLessThan(20n);
    expect(have(chain, 'cyd', 'LIQ') - cyd).toBeGreaterThanOrEqual(shown);
    expect(run(chain, 'ben', message('pool.claim', key))).toBe('');
    const [byBen, byCyd] = [have(chain, 'ben', 'LIQ') - ben, have(chain, 'cyd', 'LIQ') - cyd];
    expect(byCyd).toBeGreaterThan(499_900n);
    expect(byCyd).toBeLessThan(500_100n);
    // Ben was alone for a few seconds.
    expect(byBen).toBeGreaterThan(byCyd);
    expect(byBen + byCyd).toBeLessThanOrEqual(1_000_100n);
    // Only the owner may turn it to another pool; what was due until then stays with this one.
    const favour = message('pool.favour', { symbol: 'LIQ', a: 'LIQ', b: 'AAA', feeBp: 30 });
    expect(run(chain, 'cyd', favour)).toBe('not_owner');
    expect(run(chain, 'ben', favour)).toBe('pool_unknown');
    expect(run(chain, 'dan', message('pool.claim', key))).toBe('left out');
    expect(run(chain, 'ada', message('pool.claim', key))).toBe('shares_exceeded');
  });
});
