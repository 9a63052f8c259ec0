import { describe, expect, it } from 'vitest';
import { message } from '../../ledger/index.ts';
import { addressOfName, createTestChain } from '../../ledger/testing.ts';
import { openDatabase } from '../../store/index.ts';
import { createEarnings, feesBetween, seenOf } from './earnings.ts';

/** Earnings over time, from a real state machine. */

const exc = 1_000_000n;
const hour = 3_600_000;

describe('earnings by hour', () => {
  it('of a pool are the fees its shares earned, whatever prices do, and none for what comes and goes', () => {
    const chain = createTestChain();
    const { ledger } = chain;
    const address = addressOfName('founder');
    const db = openDatabase(':memory:');
    const earnings = createEarnings(db);
    const seen = () => seenOf({ state: ledger.state, ...ledger.last() }, address, []);
    const look = () => earnings.note('net', 'me', seen());
    const run = (name: string, one: ReturnType<typeof message>): void => {
      chain.add(name, [one]);
      expect(chain.block().results.map(({ code }) => code)).toEqual(['']);
      look();
    };
    const deadline = 2 ** 43;
    const swap = (from: string, to: string, amount: bigint) =>
      message('pool.swapIn', { from, amount, hops: [{ to, feeBp: 30 }], minOut: 0n, deadline });
    const mining = {
      schedule: { type: 'none' as const },
      periodMs: hour,
      split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
      unclaimed: 'unminted' as const,
    };
    const spec = {
      ...{ symbol: 'TEA', name: 'Tea', decimals: 6, max: 10n ** 15n, mining, staking: null },
      flags: { mint: false, burn: false, freeze: false },
      treasury: address,
    };
    run('founder', message('token.create', { spec, initial: 10n ** 12n }));
    const pool = { a: 'EXC', b: 'TEA', feeBp: 30 };
    run('founder', message('pool.create', { ...pool, amountA: 100_000n * exc, amountB: 100_000n * exc }));
    run('founder', swap('EXC', 'TEA', 1000n * exc));
    run('founder', swap('TEA', 'EXC', 1000n * exc));
    // Twice 0.3 % of a thousand, to the 1,000 shares that nobody owns.
    const [first] = earnings.list('net', 'me');
    expect(first).toMatchObject({ of: 'fees', pool: { a: 'EXC', b: 'TEA', fee: 30 }, symbol: 'EXC' });
    expect(Number(first!.hours[0]!.pay)).toBeGreaterThan(5.8);
    expect(Number(first!.hours[0]!.pay)).toBeLessThan(6.1);
    // Shares that come earn nothing by coming, and those that go take nothing along.
    const before = first!.hours[0]!.pay;
    const deposit = { ...pool, maxA: 50_000n * exc, maxB: 60_000n * exc, minShares: 0n, deadline };
    run('founder', message('pool.deposit', deposit));
    run('founder', message('pool.withdraw', { ...pool, shares: 10n ** 10n, minA: 0n, minB: 0n, deadline }));
    expect(Number(earnings.list('net', 'me')[0]!.hours[0]!.pay)).toBeCloseTo(Number(before), 3);
    // The next hour has a sum of its own, also in a new process.
    chain.block({ after: hour });
    const again = createEarnings(db);
    again.note('net', 'me', seen());
    run('founder', swap('EXC', 'TEA', 10_000n * exc));
    const hours = again.list('net', 'me')[0]!.hours;
    expect(hours).toHaveLength(2);
    expect(hours[1]!.time - hours[0]!.time).toBe(hour);
    expect(Number(hours[1]!.pay)).toBeGreaterThan(28);
    expect(Number(hours[1]!.pay)).toBeLessThan(31);
    // A month later the first ones are gone.
    chain.block({ after: 32 * 24 * hour });
    run('founder', swap('TEA', 'EXC', 1000n * exc));
    expect(again.list('net', 'me')[0]!.hours).toHaveLength(1);
    again.forget('net');
    expect(again.list('net', 'me')).toEqual([]);
  });

  it('are none between two looks at the same pool, nor where the product of the reserves fell', () => {
    const seen = { k: 10n ** 30n, all: 10n ** 15n, shares: 10n ** 14n, reserve: 10n ** 15n };
    expect(feesBetween(seen, seen)).toBe(0n);
    expect(feesBetween(seen, { ...seen, k: 10n ** 29n })).toBe(0n);
    // Four times the product is twice the worth, so half of what it is worth now: both sides of a tenth of the pool.
    expect(feesBetween(seen, { ...seen, k: 4n * 10n ** 30n, reserve: 2n * 10n ** 15n })).toBe(
      2n * 10n ** 14n,
    );
  });
});
