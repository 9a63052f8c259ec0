import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockRef, FileContent } from '../types.ts';
import { openBlock } from './block.ts';
import { indexSource, type IndexedBytes } from './index-source.ts';
import { blockSizeFor, maxBlocksFor, minBlockSize } from './ladder.ts';
import { createWeakFilter, weakSum } from './weak-sum.ts';

const kib = 1024;
const seal = { epoch: 'e'.repeat(64), key: new Uint8Array(32).fill(7) };

/** Deterministic noise (xorshift), so that a failing case replays. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = (seed * 2654435761 + 1) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x;
  }
  return bytes;
}

interface Result {
  readonly indexed: IndexedBytes;
  /** Plaintext bytes in new blocks. */
  readonly fresh: number;
  readonly freshBlocks: number;
}

/** Indexes and checks all that must hold whatever the input: the blocks are the file, and new ones open again. */
async function check(
  bytes: Uint8Array,
  previous: Pick<FileContent, 'blocks'> | null,
  store = new Map<string, Uint8Array>(),
): Promise<Result> {
  let fresh = 0;
  let freshBlocks = 0;
  const indexed = await indexSource(
    {
      size: bytes.length,
      read(target, position) {
        const part = bytes.subarray(position, position + target.length);
        target.set(part);
        // Sometimes later, as a disk would.
        return position % 3 === 0 ? Promise.resolve(part.length) : part.length;
      },
    },
    {
      seal,
      previous,
      memory: (length) => new Uint8Array(length),
      onNew: {
        memory: (length) => new Uint8Array(length),
        found(ref, offset, ciphertext) {
          fresh += ref.len;
          freshBlocks++;
          const plain = openBlock(seal.key, ref, ciphertext);
          expect(Buffer.compare(plain, bytes.subarray(offset, offset + ref.len))).toBe(0);
          store.set(Buffer.from(ref.id).toString('hex'), plain);
        },
      },
    },
  );
  expect(Buffer.from(indexed.hash).toString('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  const parts = indexed.blocks.map((ref) => store.get(Buffer.from(ref.id).toString('hex'))!);
  const whole = indexed.inline ?? Buffer.concat(parts);
  expect(Buffer.compare(whole, bytes)).toBe(0);
  expect(indexed.size).toBe(bytes.length);
  expect(indexed.blocks.length).toBeLessThanOrEqual(maxBlocksFor(bytes.length));
  for (const [i, ref] of indexed.blocks.entries()) {
    expect(ref.len).toBe(parts[i]!.length);
    expect(ref.weak).toBe(weakSum(parts[i]!));
  }
  return { indexed, fresh, freshBlocks };
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

describe('ladder', () => {
  it('gives the smallest size with at most 2,000 blocks', () => {
    expect(blockSizeFor(0)).toBe(128 * kib);
    expect(blockSizeFor(2000 * 128 * kib)).toBe(128 * kib);
    expect(blockSizeFor(2000 * 128 * kib + 1)).toBe(256 * kib);
    expect(blockSizeFor(2 ** 30)).toBe(1024 * kib);
    expect(blockSizeFor(2 ** 45)).toBe(16 * 1024 * kib);
  });
});

describe('weak sum', () => {
  const slow = (bytes: Uint8Array): number =>
    bytes.reduce((sum, byte) => (Math.imul(sum, 0x08104225) + byte) | 0, 1) >>> 0;

  it('is the polynomial, whatever the alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(9), (bytes, skip) => {
        expect(weakSum(bytes.subarray(skip))).toBe(slow(bytes.subarray(skip)));
      }),
      { seed: 2 },
    );
  });

  it('rolls to exactly the windows that are wanted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat(159), (length, seed, target) => {
        const bytes = noise(200, seed);
        const filter = createWeakFilter(length);
        filter.add(slow(bytes.subarray(target, target + length)));
        const found = filter.roll(bytes, 0, 200 - length, slow(bytes.subarray(0, length)));
        expect(found.sum).toBe(slow(bytes.subarray(found.at, found.at + length)));
        if (length >= 4) expect(found.at).toBe(Math.min(target, 200 - length));
        if (found.at + length < 200) {
          const next = filter.step(found.sum, bytes[found.at]!, bytes[found.at + length]!);
          expect(next).toBe(slow(bytes.subarray(found.at + 1, found.at + 1 + length)));
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});

describe('index', () => {
  it.each([0, 1, 4096])('keeps a file of %i bytes inline', async (length) => {
    const { indexed } = await check(noise(length, 1), null);
    expect(indexed.inline).toHaveLength(length);
    expect(indexed.blocks).toEqual([]);
  });

  it.each([4097, 128 * kib, 128 * kib + 1, 3_000_000])('cuts %i bytes by the ladder', async (length) => {
    const { indexed, freshBlocks } = await check(noise(length, 1), null);
    expect(indexed.inline).toBeNull();
    expect(indexed.blocks).toHaveLength(Math.ceil(length / minBlockSize));
    expect(freshBlocks).toBe(indexed.blocks.length);
  });

  it('seals equal blocks once', async () => {
    const { indexed, freshBlocks } = await check(new Uint8Array(20 * minBlockSize), null);
    expect(indexed.blocks).toHaveLength(20);
    expect(freshBlocks).toBe(1);
  });

  describe('against the version before', () => {
    const old = noise(40 * minBlockSize + 5000, 9);
    const store = new Map<string, Uint8Array>();
    const before = check(old, null, store);
    const edits: readonly [string, (bytes: Uint8Array) => Uint8Array, number][] = [
      ['nothing changed', (b) => b.slice(), 0],
      ['a byte changed', (b) => b.with(1_000_000, b[1_000_000]! ^ 1), 1],
      ['the first byte changed', (b) => b.with(0, b[0]! ^ 1), 1],
      ['the last byte changed', (b) => b.with(b.length - 1, b.at(-1)! ^ 1), 1],
      ['a byte inserted in front', (b) => join(Uint8Array.of(1), b), 1],
      ['a byte inserted within', (b) => join(b.slice(0, 2_000_000), Uint8Array.of(1), b.slice(2_000_000)), 3],
      ['a byte removed in front', (b) => b.slice(1), 1],
      ['a byte removed within', (b) => join(b.slice(0, 2_000_000), b.slice(2_000_001)), 2],
      ['bytes appended', (b) => join(b, noise(10_000, 4)), 1],
      ['cut short', (b) => b.slice(0, 3_000_000), 1],
      ['halves exchanged', (b) => join(b.slice(2_500_000), b.slice(0, 2_500_000)), 3],
      ['twice', (b) => join(b, b), 1],
    ];
    it.each(edits)('%s', async (_, edit, most) => {
      const { indexed, freshBlocks } = await check(edit(old), (await before).indexed, new Map(store));
      expect(freshBlocks).toBeLessThanOrEqual(most);
      for (const ref of indexed.blocks) expect(ref.id).toHaveLength(32);
    });
  });

  it('finds unchanged bytes after any series of edits, and moves little more than what was edited', async () => {
    const edit = fc.record({
      kind: fc.constantFrom('insert', 'delete', 'overwrite', 'move'),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      to: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 200_000 })),
      seed: fc.nat(1e6),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1e6),
        fc.integer({ min: 5000, max: 2_500_000 }),
        fc.array(edit, { maxLength: 5 }),
        async (seed, size, edits) => {
          let bytes = noise(size, seed);
          const store = new Map<string, Uint8Array>();
          let { indexed } = await check(bytes, null, store);
          for (const { kind, at, to, length, seed: noiseSeed } of edits) {
            const from = Math.floor(at * bytes.length);
            const rest = join(bytes.subarray(0, from), bytes.subarray(from + length));
            const target = Math.floor(to * rest.length);
            const piece = kind === 'move' ? bytes.slice(from, from + length) : noise(length, noiseSeed);
            if (kind === 'insert') bytes = join(bytes.subarray(0, from), piece, bytes.subarray(from));
            else if (kind === 'delete') bytes = rest;
            else if (kind === 'overwrite')
              bytes = join(bytes.subarray(0, from), piece, bytes.subarray(from + length));
            else bytes = join(rest.subarray(0, target), piece, rest.subarray(target));
            const result = await check(bytes, indexed, store);
            indexed = result.indexed;
            // Each edge of an edit costs the block it falls into, and short neighbours it takes up.
            const edges = kind === 'move' ? 3 : 1;
            expect(result.fresh).toBeLessThanOrEqual(2 * length + edges * 4 * minBlockSize);
          }
        },
      ),
      { seed: 5, numRuns: 40 },
    );
  });

  it('cuts anew what many edits have fragmented', async () => {
    let bytes = noise(20 * minBlockSize, 1);
    const store = new Map<string, Uint8Array>();
    let { indexed } = await check(bytes, null, store);
    let most = 0;
    for (let i = 0; i < 60; i++) {
      const at = (i * 7919 * 131) % bytes.length;
      bytes = join(bytes.subarray(0, at), noise(50_000, i), bytes.subarray(at));
      ({ indexed } = await check(bytes, indexed, store));
      most = Math.max(most, indexed.blocks.length);
    }
    expect(most).toBeGreaterThan(40);
  });

  it('survives a previous version that lies about sums, hashes and lengths', async () => {
    const bytes = noise(600_000, 3);
    const ref = fc.record({
      id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      epoch: fc.constant('f'.repeat(64)),
      plainHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      len: fc.oneof(fc.integer({ min: 1, max: 200_000 }), fc.integer(), fc.constant(minBlockSize)),
      weak: fc.oneof(fc.constant(weakSum(bytes.subarray(5, 5 + minBlockSize))), fc.nat()),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(ref, { maxLength: 30 }), async (blocks: BlockRef[]) => {
        await check(bytes, { blocks });
      }),
      { seed: 6, numRuns: 30 },
    );
  });

  it('gives up searching where crafted sums would have it hash for ever', async () => {
    const bytes = new Uint8Array(3_000_000).fill(1);
    const lie = {
      id: new Uint8Array(32),
      epoch: 'f'.repeat(64),
      plainHash: new Uint8Array(32),
      len: minBlockSize,
    };
    await check(bytes, { blocks: [{ ...lie, weak: weakSum(bytes.subarray(0, minBlockSize)) }] });
  });

  it('notices a source that ends early', async () => {
    const read = (target: Uint8Array): number => Math.min(target.length, 100_000);
    await expect(
      indexSource({ size: 1_000_000, read }, { seal, previous: null, memory: (n) => new Uint8Array(n) }),
    ).rejects.toMatchObject({ code: 'changed_while_reading' });
  });
});
