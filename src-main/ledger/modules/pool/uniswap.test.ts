import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../../../src-shared/errors.ts';
import type { Key } from '../../state/table.ts';
import { addressOfName } from '../../testing.ts';
import { as, createBareState, fund } from '../testing/bare-state.ts';
import type { BareState } from '../testing/bare-state.ts';
import { account } from '../value.ts';
import { firstShares, inFor, outFor } from './maths.ts';
import { poolModule } from './pool.ts';
import { poolAt, poolKeyOf, positionKey, positions } from './state.ts';
import { addLiquidity, removeLiquidity, tradeIn, tradeOut } from './trade.ts';
import { createUniswapPair } from './testing/uniswap.ts';

const key: Key = poolKeyOf('AAA', 'BBB', 30);
const ada = account(addressOfName('ada'));

/** One pool of ours, of the same two amounts. */
function ourPool(a: bigint, b: bigint): BareState {
  const ctx = createBareState(['AAA', 'BBB']);
  for (const symbol of ['AAA', 'BBB']) fund(ctx, 'ada', symbol, 2n ** 120n);
  const made = { a: 'AAA', b: 'BBB', feeBp: 30, amountA: a, amountB: b };
  poolModule.messages['pool.create'].run(as(ctx, 'ada'), made);
  return ctx;
}

const refused = (work: () => unknown): string | null => {
  try {
    work();
    return null;
  } catch (error) {
    if (isAppError(error)) return error.code;
    throw error;
  }
};

const size = fc.oneof(
  fc.bigInt({ min: 1n, max: 5000n }),
  fc.bigInt({ min: 1n, max: 10n ** 12n }),
  fc.bigInt({ min: 1n, max: 2n ** 90n }),
);
const step = fc.record({
  act: fc.constantFrom('in', 'in', 'out', 'deposit', 'withdraw'),
  intoA: fc.boolean(),
  amount: size,
  other: size,
  seconds: fc.nat(2000),
});

describe('a pool beside the bytecode of Uniswap v2', () => {
  it('gives, takes and refuses the same over random sequences', { timeout: 120_000 }, async () => {
    let done = 0;
    let denied = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 2000n, max: 2n ** 80n }),
        fc.bigInt({ min: 2000n, max: 2n ** 80n }),
        fc.array(step, { minLength: 4, maxLength: 10 }),
        async (firstA, firstB, steps) => {
          const theirs = await createUniswapPair();
          let seconds = 1_600_000_000;
          theirs.setTime(seconds);
          expect(await theirs.mint(firstA, firstB)).toBe(firstShares(firstA, firstB));
          const ctx = ourPool(firstA, firstB);
          for (const { act, intoA, amount, other, seconds: passed } of steps) {
            seconds += passed;
            theirs.setTime(seconds);
            ctx.time += passed * 1000;
            const pool = poolAt(ctx.state, key);
            const [reserveIn, reserveOut] = intoA
              ? [pool.reserveB, pool.reserveA]
              : [pool.reserveA, pool.reserveB];
            const [from, to] = intoA ? ['BBB', 'AAA'] : ['AAA', 'BBB'];
            const hops = [{ to, feeBp: 30 }];
            ctx.state.mark();
            let code: string | null;
            if (act === 'in') {
              const out = outFor(amount, reserveIn, reserveOut, 30);
              code = refused(() => tradeIn(ctx, ada, ada, { from, amount, hops, minOut: 0n }));
              // One more than what we give, the pair would not give.
              expect(await theirs.swap(intoA, amount, out + 1n)).toBe(false);
              expect(await theirs.swap(intoA, amount, out)).toBe(code === null);
            } else if (act === 'out') {
              code = refused(() => tradeOut(ctx, ada, ada, { from, out: amount, hops, maxIn: 2n ** 110n }));
              if (code === null) {
                const needed = inFor(amount, reserveIn, reserveOut, 30);
                // The published formula adds one where the division comes out even, too; two less is always refused.
                if (needed > 2n) expect(await theirs.swap(intoA, needed - 2n, amount)).toBe(false);
                expect(await theirs.swap(intoA, needed, amount)).toBe(true);
              } else if (code === 'reserve_exceeded') {
                expect(await theirs.swap(intoA, amount, amount)).toBe(false);
              }
            } else if (act === 'deposit') {
              let added: ReturnType<typeof addLiquidity> | undefined;
              code = refused(() => (added = addLiquidity(ctx, ada, key, amount, other)));
              if (added) expect(await theirs.mint(added.a, added.b)).toBe(added.shares);
            } else {
              const own = ctx.state.get(positions, positionKey(ada, key))?.shares ?? 0n;
              const shares = amount % (own + (own >> 4n) + 2n);
              let removed: ReturnType<typeof removeLiquidity> | undefined;
              code = refused(() => (removed = removeLiquidity(ctx, ada, key, shares)));
              const burnt = await theirs.burn(shares);
              expect(burnt).toEqual(removed ? { a: removed.a, b: removed.b } : null);
            }
            if (code === null) {
              ctx.state.keep();
              done += 1;
            } else {
              ctx.state.revert();
              denied += 1;
            }
            const mine = poolAt(ctx.state, key);
            const { sumA, sumB, ...reserves } = await theirs.state();
            expect({ reserveA: mine.reserveA, reserveB: mine.reserveB, shares: mine.shares }).toEqual(
              reserves,
            );
            // Theirs are in seconds and wrap at 2^256.
            if (code === null) {
              expect(mine.sumA).toBe(sumA * 1000n);
              expect(mine.sumB).toBe(sumB * 1000n);
            }
          }
        },
      ),
      { seed: 7, numRuns: Number(process.env['EXTRACHAIN_UNISWAP_RUNS'] ?? 12) },
    );
    expect(done).toBeGreaterThan(30);
    expect(denied).toBeGreaterThan(3);
  });
});
