import { createHash } from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import type { BlockRef, FileContent } from '../types.ts';
import { sameBytes, sealedLength, sealNew, sha256 } from './block.ts';
import { createByteWindow, windowChunk, type ByteSource, type ByteWindow } from './byte-window.ts';
import { createKnownBlocks, type KnownBlocks } from './known-blocks.ts';
import { blockSizeFor, inlineLimit, maxBlocksFor } from './ladder.ts';
import type { SealKey } from './types.ts';
import { weakSum } from './weak-sum.ts';

export interface IndexOptions {
  readonly seal: SealKey;
  readonly previous: Pick<FileContent, 'blocks'> | null;
  /** Told of each newly sealed block, in the order of the file; awaited. */
  readonly onNew?: OnNew | undefined;
  /** Asked between blocks. */
  readonly aborted?: (() => boolean) | undefined;
  /** Memory of at least that many bytes, contents irrelevant; given back by the caller after the promise settles. */
  readonly memory: (bytes: number) => Uint8Array;
}

export interface OnNew {
  /** Memory for a ciphertext of so many bytes; it is then handed to `found`. */
  memory(bytes: number): Uint8Array;
  found(ref: BlockRef, offset: number, ciphertext: Uint8Array): Promise<void> | void;
}

/** What of a `FileContent` follows from the bytes alone. */
export type IndexedBytes = Pick<FileContent, 'size' | 'hash' | 'inline' | 'blockSize' | 'blocks'>;

/**
 * Reads a source once and names its blocks: those of the previous version wherever they are now (first where they are
 * expected, by SHA-256 directly; then at any byte, by rolling sum and SHA-256), and the bytes between cut into new ones.
 * After rsync: Tridgell 1999, "Efficient Algorithms for Sorting and Synchronization", chapter 3.
 *
 * Throws `changed_while_reading`, `cancelled`, and what the source throws.
 */
export async function indexSource(source: ByteSource, options: IndexOptions): Promise<IndexedBytes> {
  if (source.size <= inlineLimit) return indexInline(source);
  const known = createKnownBlocks(options.previous);
  const found = await createPass(source, options, known, known.blocks.length > 0).run();
  if (found) return found;
  // Too fragmented: cut anew. Blocks that happen to come out equal keep their references.
  return (await createPass(source, options, known, false).run())!;
}

async function indexInline(source: ByteSource): Promise<IndexedBytes> {
  const inline = new Uint8Array(source.size);
  if (source.size > 0 && (await source.read(inline, 0)) < inline.length) {
    throw new AppError('changed_while_reading', 'The file became shorter while it was being read.');
  }
  return {
    size: source.size,
    hash: sha256(inline),
    inline,
    blockSize: blockSizeFor(source.size),
    blocks: [],
  };
}

/** A block of the version before that is expected to start at `at`. */
interface Expected {
  readonly at: number;
  readonly index: number;
}

function createPass(
  source: ByteSource,
  options: IndexOptions,
  known: KnownBlocks,
  match: boolean,
): { run(): Promise<IndexedBytes | null> } {
  const { size } = source;
  const blockSize = blockSizeFor(size);
  const maxBlocks = maxBlocksFor(size);
  const usual = known.usualLength;
  // A short block beside new bytes is taken up into them, or every edit would leave crumbs behind.
  const short = Math.min(blockSize, usual) / 4;
  const longest = match ? known.blocks.reduce((most, b) => Math.max(most, b.len), 0) : 0;
  const memory = options.memory(Math.min(size, 2 * blockSize + longest + 2 * windowChunk));
  // A file of one block is hashed once, as that block.
  const whole = size > blockSize ? createHash('sha256') : null;
  const window: ByteWindow = createByteWindow(source, memory, (bytes) => void whole?.update(bytes));
  const blocks: BlockRef[] = [];
  /** Everything before is in `blocks`, except `pending`. */
  let runStart = 0;
  let pos = 0;
  /** A short block found in its place, kept back until it is known whether new bytes follow. Ends at `runStart`. */
  let pending: BlockRef | null = null;
  /** How far the last match had moved. */
  let shift = 0;
  /** Bytes hashed for weak sums that had lied; above a bound the search stops, against crafted data. */
  let wasted = 0;

  /** Where ciphertexts go that nobody wants: only their ids are needed. */
  let scratch = new Uint8Array(0);
  function scratchOf(length: number): Uint8Array {
    if (scratch.length < length) scratch = Buffer.allocUnsafeSlow(length);
    return scratch.subarray(0, length);
  }

  const start = (): number => runStart - (pending?.len ?? 0);

  async function fill(upTo: number): Promise<void> {
    if (options.aborted?.()) throw new AppError('cancelled', 'Reading the file was cancelled.');
    window.keep(start());
    await window.fill(upTo);
  }

  async function cutOne(from: number, length: number): Promise<void> {
    const plain = window.view(from, length);
    const plainHash = sha256(plain);
    const same = known.byHash(plainHash);
    if (same) {
      blocks.push(same);
      return;
    }
    const into = options.onNew?.memory(sealedLength(length)) ?? scratchOf(sealedLength(length));
    const id = sealNew(options.seal.key, plain, plainHash, into);
    const ref = { id, epoch: options.seal.epoch, plainHash, len: length, weak: weakSum(plain) };
    known.remember(ref);
    blocks.push(ref);
    await options.onNew?.found(ref, from, into);
  }

  /** Turns new bytes before `upTo` into blocks: full ones, and with `all` the rest too. */
  async function cut(upTo: number, all: boolean): Promise<void> {
    if (upTo <= runStart) return;
    let from = start();
    pending = null;
    runStart = from;
    while (upTo - from >= blockSize || (all && upTo > from)) {
      const length = Math.min(blockSize, upTo - from);
      await fill(from + length);
      await cutOne(from, length);
      from += length;
      runStart = from;
    }
  }

  /** Makes `position` the current one, cutting full blocks on the way so that little has to stay in memory. */
  async function advance(position: number): Promise<void> {
    while (position - start() >= blockSize) await cut(start() + blockSize, false);
    pos = position;
  }

  async function isAt(index: number, position: number): Promise<boolean> {
    const ref = known.blocks[index];
    if (!ref || position + ref.len > size) return false;
    await fill(position + ref.len);
    return sameBytes(sha256(window.view(position, ref.len)), ref.plainHash);
  }

  async function accept(index: number): Promise<void> {
    const ref = known.blocks[index]!;
    await cut(pos, true);
    if (pending) blocks.push(pending);
    pending = null;
    shift = pos - known.offsets[index]!;
    pos += ref.len;
    runStart = pos;
    if (ref.len < short && pos < size) pending = ref;
    else blocks.push(ref);
  }

  /** Where blocks of unusual length should be from here on, if they kept their place, moved like the last match, or with the end. */
  function expectations(): Expected[] {
    const list: Expected[] = [];
    for (const by of new Set([0, shift, size - known.size])) {
      for (const index of known.unusual) {
        const at = known.offsets[index]! + by;
        if (at >= pos && known.blocks[index]!.len >= short) list.push({ at, index });
      }
    }
    return list.sort((a, b) => b.at - a.at);
  }

  /** Moves `pos` to the next place where a block of the version before is found; its index, or null. */
  async function search(): Promise<number | null> {
    const expected = expectations();
    const lastWindow = size - usual;
    const filter = known.filter!;
    if (pos <= lastWindow) {
      await fill(pos + usual);
      let sum = weakSum(window.view(pos, usual));
      while (wasted <= 2 * size) {
        await fill(pos + usual + windowChunk);
        const { bytes, base } = window.raw();
        const stop = Math.min(
          lastWindow,
          window.end() - usual,
          start() + blockSize,
          expected.at(-1)?.at ?? size,
        );
        const rolled = filter.roll(bytes, pos - base, Math.max(pos, stop) - base, sum);
        pos = rolled.at + base;
        sum = rolled.sum;
        for (const index of known.withSum(sum)) {
          if (await isAt(index, pos)) return index;
          wasted += usual;
        }
        while (expected.length > 0 && expected.at(-1)!.at <= pos) {
          const { at, index } = expected.pop()!;
          if (at === pos && (await isAt(index, pos))) return index;
        }
        if (pos >= lastWindow) break;
        await advance(pos);
        await fill(pos + usual + 1);
        sum = filter.step(sum, window.view(pos, 1)[0]!, window.view(pos + usual, 1)[0]!);
        pos++;
      }
    }
    for (let next = expected.pop(); next; next = expected.pop()) {
      if (next.at < pos || next.at >= size) continue;
      await advance(next.at);
      if (await isAt(next.index, pos)) return next.index;
    }
    return null;
  }

  async function run(): Promise<IndexedBytes | null> {
    try {
      let next = 0;
      while (match && pos < size) {
        let index: number | null = next;
        if (!(await isAt(next, pos))) index = await search();
        if (index === null) break;
        await accept(index);
        if (blocks.length > maxBlocks) return null;
        next = index + 1;
      }
      await advance(size);
      await cut(size, true);
      if (pending) blocks.push(pending);
      if (match && blocks.length > maxBlocks) return null;
      const single = blocks.length === 1 ? blocks[0]!.plainHash : null;
      const hash = whole ? whole.digest() : (single ?? sha256(window.view(0, size)));
      return { size, hash, inline: null, blockSize, blocks };
    } finally {
      await window.settle();
    }
  }
  return { run };
}
