import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeStrict } from '../../identity/index.ts';
import {
  amount,
  bigintBytes,
  bytesBigint,
  bytesUpTo,
  flag,
  listOf,
  nullable,
  oneOf,
  positiveAmount,
  record,
  refined,
  text,
  union,
  unsigned,
  whole,
} from './shape.ts';
import type { Shape } from './shape.ts';

type Kind =
  { readonly type: 'one'; readonly at: number } | { readonly type: 'two'; readonly list: readonly bigint[] };
const shape = record({
  whole: whole(),
  text: text(2000),
  bytes: bytesUpTo(3000),
  flag,
  word: oneOf('a', 'b'),
  amount,
  positive: nullable(positiveAmount),
  wide: unsigned(40),
  kinds: listOf(union<Kind>({ one: record({ at: whole(9) }), two: record({ list: listOf(amount, 4) }) }), 5),
  even: refined(whole(), (value) => (value % 2 === 0 ? null : 'odd')),
}) as Shape<unknown>;

const big = fc.oneof(
  fc.bigInt({ min: -2n, max: 2n ** 130n }),
  fc.constantFrom(0n, 1n, 2n ** 128n - 1n, 2n ** 128n),
);
/** Mostly values that are taken, some that are not. */
const values = fc.record({
  whole: fc.oneof(fc.maxSafeNat(), fc.constantFrom(-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER)),
  text: fc.string({ unit: 'binary', maxLength: 700 }),
  bytes: fc.uint8Array({ maxLength: 3010, size: 'max' }),
  flag: fc.boolean(),
  word: fc.constantFrom('a', 'b', 'b', 'a', 'c'),
  amount: big,
  positive: fc.option(big),
  wide: fc.bigInt({ min: 0n, max: 2n ** 320n - 1n }),
  kinds: fc.array(
    fc.oneof(
      fc.record({ type: fc.constant('one'), at: fc.nat(10) }),
      fc.record({ type: fc.constant('two'), list: fc.array(big, { maxLength: 4 }) }),
    ),
    { maxLength: 6 },
  ),
  even: fc.nat(),
});

describe('shapes', () => {
  it('know how much room a value takes at the most, and of which they would refuse nothing', () => {
    let taken = 0;
    fc.assert(
      fc.property(values, (value) => {
        const most = shape.most(value);
        let bytes: Uint8Array | null;
        try {
          bytes = encodeStrict(shape.to(value, 'value'));
        } catch {
          bytes = null;
        }
        expect(most === null).toBe(bytes === null);
        if (bytes === null) return;
        taken += 1;
        expect(most).toBeGreaterThanOrEqual(bytes.length);
      }),
      { seed: 7, numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  it('write integers as their big-endian bytes, of any length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 48 }),
        fc.bigInt({ min: 0n, max: 2n ** 384n - 1n }),
        (length, value) => {
          const fits = BigInt.asUintN(8 * length, value);
          const bytes = bigintBytes(fits, length);
          expect(Buffer.from(bytes).toString('hex')).toBe(fits.toString(16).padStart(2 * length, '0'));
          expect(bytesBigint(bytes)).toBe(fits);
        },
      ),
      { seed: 1 },
    );
  });
});
