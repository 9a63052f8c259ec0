import type { BlockRef, FileContent } from '../types.ts';
import { maxBlockSize } from './ladder.ts';
import { createWeakFilter, type WeakFilter } from './weak-sum.ts';

/** What the version before tells about where its bytes may be found again. */
export interface KnownBlocks {
  readonly blocks: readonly BlockRef[];
  /** Offset of each block in the version before. */
  readonly offsets: readonly number[];
  /** Bytes of the version before. */
  readonly size: number;
  /** The length most blocks have; only these are searched at every byte. 0 when there are none. */
  readonly usualLength: number;
  readonly filter: WeakFilter | null;
  /** Indices of blocks of `usualLength` with that weak sum. */
  withSum(sum: number): readonly number[];
  /** Indices of the blocks of other lengths, in order; they are looked for where they are expected only. */
  readonly unusual: readonly number[];
  byHash(plainHash: Uint8Array): BlockRef | null;
  /** Remembers a block made in this version, so that it is sealed once however often it occurs. */
  remember(ref: BlockRef): void;
}

const none: readonly number[] = [];
const keyOf = (hash: Uint8Array): string =>
  Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('latin1');

/** Prepares the lookups over the blocks of `previous`; null and inline versions know nothing. */
export function createKnownBlocks(previous: Pick<FileContent, 'blocks'> | null): KnownBlocks {
  const usable = previous?.blocks.every((b) => b.len >= 1 && b.len <= maxBlockSize) ?? false;
  const blocks = usable ? previous!.blocks : [];
  const offsets: number[] = [];
  const hashes = new Map<string, BlockRef>();
  const lengths = new Map<number, number>();
  let size = 0;
  for (const block of blocks) {
    offsets.push(size);
    size += block.len;
    lengths.set(block.len, (lengths.get(block.len) ?? 0) + 1);
  }
  let usualLength = 0;
  for (const [length, count] of lengths) {
    const best = lengths.get(usualLength) ?? 0;
    if (count > best || (count === best && length > usualLength)) usualLength = length;
  }
  const filter = usualLength > 0 ? createWeakFilter(usualLength) : null;
  const sums = new Map<number, number[]>();
  const unusual: number[] = [];
  for (const [index, block] of blocks.entries()) {
    const key = keyOf(block.plainHash);
    const repeated = hashes.has(key);
    if (!repeated) hashes.set(key, block);
    if (block.len !== usualLength) unusual.push(index);
    else if (!repeated) {
      filter!.add(block.weak);
      const same = sums.get(block.weak);
      if (same) same.push(index);
      else sums.set(block.weak, [index]);
    }
  }
  return {
    blocks,
    offsets,
    size,
    usualLength,
    filter,
    unusual,
    withSum: (sum) => sums.get(sum) ?? none,
    byHash: (hash) => hashes.get(keyOf(hash)) ?? null,
    remember: (ref) => void hashes.set(keyOf(ref.plainHash), ref),
  };
}
