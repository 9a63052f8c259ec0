import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { leafRoot } from '../../history/index.ts';
import { createCodingPool } from './coding-pool.ts';
import { createReedSolomon } from './reed-solomon.ts';
import { codeFor, decodeStripe, encodeStripe, shardsOf, slotOf } from './stripe.ts';
import type { Shard, Stripe } from './stripe.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest());
const shard = (bytes: Uint8Array): Shard => ({ id: sha256(bytes), size: bytes.length });

describe('Reed-Solomon', () => {
  const codec = createReedSolomon();

  it('gives back every shard from any `data` of the others', () => {
    const shape = fc.record({
      data: fc.integer({ min: 1, max: 8 }),
      parity: fc.integer({ min: 1, max: 4 }),
      size: fc.integer({ min: 1, max: 150_000 }),
      order: fc.infiniteStream(fc.nat()),
    });
    fc.assert(
      fc.property(shape, ({ data, parity, size, order }) => {
        const blocks = Array.from({ length: data }, (_, i) =>
          i === data - 1 ? randomBytes(Math.ceil(size / 2)) : randomBytes(size),
        );
        const all = [...blocks, ...codec.encode(blocks, parity, size)];
        const shuffled = all
          .map((_, i) => ({ i, by: order.next().value! }))
          .sort((a, b) => a.by - b.by)
          .map(({ i }) => i);
        const lost = new Set(shuffled.slice(0, parity));
        const left = all.map((one, i) => (lost.has(i) ? null : one));
        for (const wanted of lost) {
          const again = codec.rebuild(left, data, size, wanted);
          const expected = Buffer.alloc(size);
          expected.set(all[wanted]!);
          expect(Buffer.compare(again, expected)).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('refuses when too few are left', () => {
    const blocks = [randomBytes(10), randomBytes(10)];
    const [parity] = codec.encode(blocks, 1, 10);
    expect(() => codec.rebuild([null, null, parity!], 2, 10, 0)).toThrow(
      expect.objectContaining({ code: 'gone' }),
    );
  });

  it('agrees with parity computed by hand', () => {
    // One parity shard of this code's matrix over equal data is not zero, and a shard of zeros adds nothing.
    const block = randomBytes(1000);
    const zeros = new Uint8Array(1000);
    expect(codec.encode([zeros, zeros], 2, 1000).every((one) => one.every((byte) => byte === 0))).toBe(true);
    const [a] = codec.encode([block, zeros], 1, 1000);
    const [b] = codec.encode([zeros, block], 1, 1000);
    const [both] = codec.encode([block, block], 1, 1000);
    // Linear: the parity of a sum is the sum of the parities.
    expect(
      Buffer.compare(
        both!,
        a!.map((byte, i) => byte ^ b![i]!),
      ),
    ).toBe(0);
  });
});

describe('stripes', () => {
  const pool = createCodingPool();
  afterAll(() => pool.stop());

  it('cost 1.5 times the size and stand the loss of as many hosts as whole copies', () => {
    expect(codeFor(1)).toBeNull();
    expect(codeFor(3)).toEqual({ data: 4, parity: 2 });
    for (let copies = 2; copies <= 9; copies++) {
      const { data, parity } = codeFor(copies)!;
      expect((data + parity) / data).toBe(1.5);
      expect(parity).toBe(copies - 1);
    }
    expect(codeFor(10)).toBeNull();
  });

  it('are computed and rebuilt in a thread, also those of a file that ends within one', async () => {
    const blocks = [randomBytes(70_000), randomBytes(70_000), randomBytes(333)];
    const { roots, parity } = await pool.encode(blocks, { data: 4, parity: 2 });
    expect(roots.map((root) => Buffer.from(root))).toEqual(blocks.map((one) => Buffer.from(leafRoot(one))));
    const stripe: Stripe = {
      data: 4,
      blocks: blocks.map(shard),
      parity: parity.map(({ id, bytes }) => ({ id, size: bytes.length })),
    };
    const shards = [...blocks, null, ...parity.map(({ bytes }) => bytes)];
    for (const [i, one] of shardsOf(stripe).entries()) {
      if (one === null) continue;
      for (const other of [0, 1, 2, 4, 5].filter((n) => n !== i)) {
        const left = shards.map((bytes, n) => (n === i || n === other ? null : bytes));
        expect(Buffer.compare(sha256(await pool.rebuild(stripe, left, i)), one.id)).toBe(0);
      }
    }
    expect(new Set(shardsOf(stripe).map((_, i) => slotOf(stripe, i))).size).toBe(6);
    expect(decodeStripe(encodeStripe(stripe))).toEqual(stripe);
  });

  it('are refused unless they are exactly one', () => {
    const stripe: Stripe = {
      data: 2,
      blocks: [shard(randomBytes(5)), shard(randomBytes(9))],
      parity: [shard(randomBytes(9))],
    };
    const good = encodeStripe(stripe);
    for (const bad of [
      { ...stripe, data: 1 },
      { ...stripe, data: 17 },
      { ...stripe, blocks: [] },
      { ...stripe, parity: [] },
      { ...stripe, parity: [shard(randomBytes(8))] },
      { ...stripe, blocks: [stripe.blocks[0]!, stripe.blocks[0]!] },
      { ...stripe, parity: [{ id: new Uint8Array(31), size: 9 }] },
    ]) {
      expect(() => decodeStripe(encodeStripe(bad))).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 255 }), fc.nat({ max: 40 }), (at, value, cut) => {
        const bytes = Uint8Array.from(good);
        bytes[at % bytes.length] = value;
        try {
          decodeStripe(bytes.subarray(0, bytes.length - cut));
        } catch (error) {
          if (!isAppError(error)) throw error;
        }
      }),
    );
  });
});
