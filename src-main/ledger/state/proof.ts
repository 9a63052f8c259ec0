import { compareBytes, sameBytes, sha256, zeroHash } from '../codec/index.ts';
import { bytesOf, bytesUpTo, codecOf, listOf, nullable, record, refined } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import type { Hash } from '../types.ts';
import { leafOf, nodeOf, pathOf } from './commitment.ts';

/** The longest key and value of a row. */
export const maxKeyBytes = 256;
export const maxValueBytes = 64 * 1024;

const leafShape = record({ path: bytesOf(32), valueHash: bytesOf(32) });

/** Shows what the state holds under a key: a value, or nothing. */
export const rowProofShape = refined(
  record({
    key: bytesUpTo(maxKeyBytes),
    /** Null: there is no such row. */
    value: nullable(bytesUpTo(maxValueBytes)),
    /** Hashes beside the way, from the root down. */
    siblings: listOf(bytesOf(32), 256),
    /** The one row that lies where this one would, if any. Only when `value` is null. */
    other: nullable(leafShape),
  }),
  ({ value, other }) =>
    value !== null && other !== null ? 'a row that exists has no other in its place' : null,
);
export type RowProof = ValueOf<typeof rowProofShape>;

const codec = codecOf(rowProofShape, 'proof of a row', maxValueBytes + 16 * 1024);
export const encodeRowProof = codec.encode;
export const decodeRowProof = codec.decode;

/** True when the state of that root holds `proof.value` under `proof.key`, or, if it is null, nothing. */
export function verifyRow(stateRoot: Hash, proof: RowProof): boolean {
  const path = pathOf(proof.key);
  let hash = zeroHash;
  if (proof.value !== null) {
    hash = leafOf(path, sha256(proof.value));
  } else if (proof.other !== null) {
    if (compareBytes(proof.other.path, path) === 0) return false;
    if (!agree(proof.other.path, path, proof.siblings.length)) return false;
    hash = leafOf(proof.other.path, proof.other.valueHash);
  }
  for (let depth = proof.siblings.length - 1; depth >= 0; depth--) {
    const sibling = proof.siblings[depth] as Hash;
    const right = (((path[depth >> 3] as number) >> (7 - (depth & 7))) & 1) === 1;
    hash = right ? nodeOf(sibling, hash) : nodeOf(hash, sibling);
  }
  return sameBytes(hash, stateRoot);
}

/** True when two paths begin with the same so many bits. */
function agree(a: Hash, b: Hash, bits: number): boolean {
  for (let i = 0; i < bits; i++) {
    const at = i >> 3;
    const shift = 7 - (i & 7);
    if ((((a[at] as number) ^ (b[at] as number)) >> shift) & 1) return false;
  }
  return true;
}
