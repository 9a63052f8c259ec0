import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emittedUntil } from '../../../src-shared/emission.ts';
import type { MiningSchedule } from '../../../src-shared/emission.ts';
import { defaultParams } from '../codec/index.ts';
import { feeFor, nextPrice, priceScale } from '../execute/fees.ts';
import { earnedOf, emptyPool, rateDue, sharesFor, sharesOf, withReward, worthOf } from './staking-pools.ts';
import type { Pool, Stake } from './staking-pools.ts';
import { atMost, frac, minus, over, plus, times } from './testing/fractions.ts';
import type { Fraction } from './testing/fractions.ts';

/* The formulas against slow models in exact fractions. */

const seed = 20261126;

const zero = frac(0n);

type Op =
  | { readonly type: 'join'; readonly who: number; readonly value: bigint }
  | { readonly type: 'leave'; readonly who: number; readonly value: bigint }
  | { readonly type: 'reward'; readonly value: bigint }
  | { readonly type: 'slash'; readonly parts: bigint };

const who = fc.nat(3);
const value = fc.oneof(fc.bigInt({ min: 1n, max: 20n }), fc.bigInt({ min: 1n, max: 10n ** 15n }));
const joins = fc.record({ type: fc.constant('join' as const), who, value });
const leaves = fc.record({ type: fc.constant('leave' as const), who, value });
const rewards = fc.record({ type: fc.constant('reward' as const), value });
const slashes = fc.record({ type: fc.constant('slash' as const), parts: fc.bigInt({ min: 1n, max: 5000n }) });

/** Runs operations on a pool and on the model of it; `check` looks at both after each. */
function run(
  ops: readonly Op[],
  check: (state: {
    pool: Pool;
    stakes: readonly Stake[];
    paid: readonly bigint[];
    owned: readonly Fraction[];
    earned: readonly Fraction[];
    given: bigint;
    step: number;
  }) => void,
): void {
  let pool = emptyPool(0);
  const stakes: Stake[] = Array.from({ length: 4 }, () => ({ shares: 0n, paid: 0n, fraction: 0n }));
  const paid = [0n, 0n, 0n, 0n];
  const owned: Fraction[] = [zero, zero, zero, zero];
  const earned: Fraction[] = [zero, zero, zero, zero];
  let given = 0n;
  const settle = (i: number): void => {
    const stake = stakes[i] as Stake;
    const due = earnedOf(pool, stake);
    paid[i] = (paid[i] as bigint) + (due >> 64n);
    stakes[i] = { ...stake, paid: pool.acc, fraction: due & (2n ** 64n - 1n) };
  };
  const put = (i: number, shares: bigint): void => {
    const stake = { ...(stakes[i] as Stake), shares };
    if (shares === 0n) pool = { ...pool, rem: pool.rem + stake.fraction };
    stakes[i] = shares === 0n ? { shares, paid: 0n, fraction: 0n } : stake;
  };
  for (const [step, op] of ops.entries()) {
    if (op.type === 'join') {
      const made = sharesFor(op.value, pool.tokens, pool.shares);
      settle(op.who);
      pool = { ...pool, tokens: pool.tokens + op.value, shares: pool.shares + made };
      put(op.who, (stakes[op.who] as Stake).shares + made);
      owned[op.who] = plus(owned[op.who] as Fraction, frac(op.value));
    } else if (op.type === 'leave') {
      const own = stakes[op.who] as Stake;
      const worth = worthOf(own.shares, pool.tokens, pool.shares);
      const out = op.value < worth ? op.value : worth;
      if (out === 0n) continue;
      const gone = sharesOf(out, own.shares, pool.tokens, pool.shares);
      settle(op.who);
      pool = { ...pool, tokens: pool.tokens - out, shares: pool.shares - gone };
      put(op.who, own.shares - gone);
      const left = minus(owned[op.who] as Fraction, frac(out));
      owned[op.who] = (stakes[op.who] as Stake).shares === 0n || left.n < 0n ? zero : left;
    } else if (op.type === 'reward') {
      const after = withReward(pool, op.value);
      if (!after) continue;
      pool = after;
      given += op.value;
      const all = owned.reduce(plus, zero);
      for (const i of owned.keys()) {
        if (all.n > 0n)
          earned[i] = plus(earned[i] as Fraction, times(frac(op.value), over(owned[i] as Fraction, all)));
      }
    } else {
      const cut = (pool.tokens * op.parts) / 10_000n;
      if (pool.tokens === 0n) continue;
      const kept = frac(pool.tokens - cut, pool.tokens);
      pool = { ...pool, tokens: pool.tokens - cut };
      for (const i of owned.keys()) owned[i] = times(owned[i] as Fraction, kept);
    }
    check({ pool, stakes, paid, owned, earned, given, step });
  }
}

const exactly = ({ pool, stakes, paid, given }: Parameters<Parameters<typeof run>[1]>[0]): void => {
  // To the fraction: what was given is what was paid, is owed, and lies in the remainder.
  const owed = stakes.reduce((sum, stake) => sum + earnedOf(pool, stake), pool.rem);
  expect(owed + (paid.reduce((sum, one) => sum + one, 0n) << 64n)).toBe(given << 64n);
  expect(stakes.reduce((sum, { shares }) => sum + shares, 0n)).toBe(pool.shares);
  expect(pool.tokens <= pool.shares).toBe(true);
};

describe('a stake pool', () => {
  it('without slashing: stakes are exact, and every reward reaches each to less than a unit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(joins, leaves, { weight: 2, arbitrary: rewards }), { maxLength: 40 }),
        (ops) => {
          run(ops, (state) => {
            exactly(state);
            for (const [i, stake] of state.stakes.entries()) {
              expect(frac(worthOf(stake.shares, state.pool.tokens, state.pool.shares))).toEqual(
                state.owned[i],
              );
              const got = plus(frac(earnedOf(state.pool, stake), 1n << 64n), frac(state.paid[i] as bigint));
              const off = minus(got, state.earned[i] as Fraction);
              // A fraction below a unit is lost to who takes out everything, each time, and spread over the others.
              const bound = frac(BigInt(state.step + 1));
              expect(atMost(off, bound) && atMost(minus(zero, off), bound)).toBe(true);
            }
          });
        },
      ),
      { seed, numRuns: 150 },
    );
  });

  it('with slashing: nobody has more than the exact part and a unit for each step, nor much less', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(joins, leaves, rewards, slashes), { maxLength: 25 }), (ops) => {
        run(ops, (state) => {
          exactly(state);
          const bound = frac(2n * BigInt(state.step + 1));
          for (const [i, stake] of state.stakes.entries()) {
            const worth = frac(worthOf(stake.shares, state.pool.tokens, state.pool.shares));
            const off = minus(worth, state.owned[i] as Fraction);
            expect(atMost(off, bound) && atMost(minus(zero, off), bound)).toBe(true);
          }
        });
      }),
      { seed, numRuns: 150 },
    );
  });

  it('a yearly rate comes to the same however often it is settled', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 20n }),
        fc.nat(100_000),
        fc.array(fc.integer({ min: 1, max: 10 ** 9 }), { minLength: 1, maxLength: 20 }),
        (tokens, rateBp, spans) => {
          const end = spans.reduce((sum, one) => sum + one, 0);
          const once = rateDue({ ...emptyPool(0), tokens }, rateBp, end);
          let pool: Pool = { ...emptyPool(0), tokens };
          let total = 0n;
          let time = 0;
          for (const span of spans) {
            time += span;
            const { reward, rem } = rateDue(pool, rateBp, time);
            total += reward;
            pool = { ...pool, rateAt: time, rateRem: rem };
          }
          expect(total).toBe(once.reward);
          expect(pool.rateRem).toBe(once.rem);
          const exact = (tokens * BigInt(rateBp) * BigInt(end)) / (10_000n * 365n * 86_400_000n);
          expect(total).toBe(exact);
        },
      ),
      { seed, numRuns: 200 },
    );
  });
});

describe('emission', () => {
  const amount = fc.bigInt({ min: 0n, max: 10n ** 12n });
  const periods = fc.integer({ min: 1, max: 12 });
  const schedule: fc.Arbitrary<MiningSchedule> = fc.oneof(
    fc.constant({ type: 'none' as const }),
    fc.record({
      type: fc.constant('fixed' as const),
      perPeriod: amount,
      periods: fc.option(periods, { nil: null }),
    }),
    fc.record({ type: fc.constant('halving' as const), perPeriod: amount, halveEvery: periods }),
    fc.record({
      type: fc.constant('list' as const),
      stages: fc.array(fc.record({ periods, perPeriod: amount }), { minLength: 1, maxLength: 5 }),
    }),
  );
  /** What period `n` lets out, counted from 0. */
  const ofPeriod = (one: MiningSchedule, n: number): bigint => {
    if (one.type === 'none') return 0n;
    if (one.type === 'fixed') return one.periods === null || n < one.periods ? one.perPeriod : 0n;
    if (one.type === 'halving') return one.perPeriod / 2n ** BigInt(Math.floor(n / one.halveEvery));
    let first = 0;
    for (const stage of one.stages) {
      if (n < first + stage.periods) return stage.perPeriod;
      first += stage.periods;
    }
    return 0n;
  };

  it('is the sum of its periods, and of the part of the one under way', () => {
    fc.assert(
      fc.property(schedule, fc.integer({ min: 1, max: 1000 }), fc.nat(60_000), (one, periodMs, elapsed) => {
        const whole = Math.floor(elapsed / periodMs);
        if (whole > 400) return;
        let sum = 0n;
        for (let n = 0; n < whole; n++) sum += ofPeriod(one, n);
        sum += (ofPeriod(one, whole) * BigInt(elapsed - whole * periodMs)) / BigInt(periodMs);
        expect(emittedUntil(one, periodMs, elapsed)).toBe(sum);
        expect(emittedUntil(one, periodMs, elapsed + 1) >= sum).toBe(true);
      }),
      { seed, numRuns: 500 },
    );
  });

  it('never begins before its time, and ends', () => {
    const halving: MiningSchedule = { type: 'halving', perPeriod: 2n ** 100n, halveEvery: 10 };
    expect(emittedUntil(halving, 1000, -5)).toBe(0n);
    expect(emittedUntil(halving, 1000, 0)).toBe(0n);
    expect(emittedUntil(halving, 1000, 10 ** 15)).toBe(10n * (2n ** 101n - 1n));
  });
});

describe('the price of a fee', () => {
  it('moves by an eighth at the most, towards demand, and not below the least', () => {
    const price = fc.bigInt({ min: BigInt(defaultParams.minFeePrice), max: 2n ** 100n });
    fc.assert(
      fc.property(price, fc.nat(defaultParams.maxBlockWeight), (before, weight) => {
        const after = nextPrice(before, weight, defaultParams);
        const target = defaultParams.maxBlockWeight / 2;
        expect(after >= BigInt(defaultParams.minFeePrice)).toBe(true);
        expect(after <= before + before / 8n + 1n && after >= before - before / 8n).toBe(true);
        if (weight > target) expect(after > before).toBe(true);
        if (weight < target) expect(after <= before).toBe(true);
        if (weight === target) expect(after).toBe(before);
        const fee = feeFor(weight, before);
        expect(
          fee * priceScale >= BigInt(weight) * before && (fee - 1n) * priceScale < BigInt(weight) * before,
        ).toBe(true);
      }),
      { seed, numRuns: 500 },
    );
  });
});
