import { AppError } from '../../../src-shared/errors.ts';
import type { Hash, HistoryProof } from '../types.ts';
import { hashIn, sameBytes, sha256 } from './hash.ts';
import { hashLength } from './limits.ts';
import { bytesOf, codecOf, listOf, record, whole } from './shape.ts';

/*
 * A Merkle mountain range over block ids (Todd 2012; the form of RFC 9162's trees without their last bagging): full binary
 * trees over 2^k blocks each, largest first, one for each bit of the count. The root binds the count and all peaks, so a
 * proof is a path to one peak and the list of peaks. The block of height h is leaf h - 1.
 */

const nodeTag = Uint8Array.of(1);
/** 2^47 blocks, one each millisecond, last 4,000 years. */
const maxPeaks = 48;

export const historyProofShape = record({
  height: whole(undefined, 1),
  size: whole(undefined, 1),
  path: listOf(bytesOf(hashLength), maxPeaks),
  peaks: listOf(bytesOf(hashLength), maxPeaks),
});

const proofs = codecOf(historyProofShape, 'proof of an old block', 4096);
export const encodeHistoryProof = proofs.encode;
export const decodeHistoryProof = proofs.decode;

/** The peaks of a range: what must be kept to add to it. */
export interface HistoryPeaks {
  readonly size: number;
  /** Highest mountain first. */
  readonly peaks: readonly Hash[];
}

export const noHistory: HistoryPeaks = { size: 0, peaks: [] };

const parentOf = (left: Hash, right: Hash): Hash => sha256(Buffer.concat([nodeTag, left, right]));

/** The root of a range: SHA-256 over its size (u64, big-endian) and peaks. */
export function historyRoot({ size, peaks }: HistoryPeaks): Hash {
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(size));
  return hashIn('history', Buffer.concat([count, ...peaks]));
}

/**
 * Adds the id of the next block.
 * @param made is told of each node: its level (0: the id itself) and its place among the nodes of that level
 */
export function addToHistory(
  range: HistoryPeaks,
  blockId: Hash,
  made: (level: number, place: number, hash: Hash) => void = () => {},
): HistoryPeaks {
  const peaks = [...range.peaks];
  let node = blockId;
  let place = range.size;
  let level = 0;
  made(level, place, node);
  // A mountain stands for each one-bit of the size: adding a block carries like adding one does.
  while (place % 2 === 1) {
    node = parentOf(peaks.pop() as Hash, node);
    place = (place - 1) / 2;
    level += 1;
    made(level, place, node);
  }
  peaks.push(node);
  return { size: range.size + 1, peaks };
}

/** Levels and places of the mountains of a range, highest first. */
function mountains(size: number): { readonly level: number; readonly first: number }[] {
  const found: { level: number; first: number }[] = [];
  let first = 0;
  for (let level = maxPeaks; level >= 0; level--) {
    const span = 2 ** level;
    if (Math.floor(size / span) % 2 === 1) {
      found.push({ level, first });
      first += span;
    }
  }
  return found;
}

/** Where the peaks of a range of that size stand. */
export const peakPlaces = (size: number): { readonly level: number; readonly place: number }[] =>
  mountains(size).map(({ level, first }) => ({ level, place: first / 2 ** level }));

/**
 * @param node answers with the hash of a node that `addToHistory` told of
 * @throws AppError `not_found` when the block is not in the range
 */
export function proveInHistory(
  height: number,
  size: number,
  node: (level: number, place: number) => Hash,
): HistoryProof {
  const leaf = height - 1;
  const mountain = mountains(size).find(({ level, first }) => leaf >= first && leaf < first + 2 ** level);
  if (!Number.isSafeInteger(height) || height < 1 || !mountain) {
    throw new AppError('not_found', `There is no block ${height} in this history.`);
  }
  const path: Hash[] = [];
  for (let level = 0, place = leaf; level < mountain.level; level++, place = Math.floor(place / 2)) {
    path.push(node(level, place % 2 === 0 ? place + 1 : place - 1));
  }
  return { height, size, path, peaks: peakPlaces(size).map(({ level, place }) => node(level, place)) };
}

/** True when the block of that id stands at `proof.height` under the `historyRoot` of the header of height `proof.size` + 1. */
export function verifyInHistory(root: Hash, blockId: Hash, proof: HistoryProof): boolean {
  const { height, size, path, peaks } = proof;
  const ranges = mountains(size);
  const at = ranges.findIndex(({ level, first }) => height > first && height <= first + 2 ** level);
  const mountain = ranges[at];
  if (!mountain || peaks.length !== ranges.length || path.length !== mountain.level) return false;
  let hash = blockId;
  let place = height - 1 - mountain.first;
  for (const sibling of path) {
    hash = place % 2 === 0 ? parentOf(hash, sibling) : parentOf(sibling, hash);
    place = Math.floor(place / 2);
  }
  return sameBytes(hash, peaks[at] as Hash) && sameBytes(historyRoot({ size, peaks }), root);
}
