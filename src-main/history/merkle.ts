import { AppError } from '../../src-shared/errors.ts';
import { hashLength, sameBytes, sha256 } from './ids.ts';

/*
 * Merkle trees over the salted operations of one entry, after RFC 6962 (section 2.1): leaves and nodes are hashed in domains
 * of their own (0x00, 0x01). Beyond the RFC, leaves are salted, so that a path tells nothing of its neighbours, and the root
 * (0x02) binds the number of leaves, so that a path fits one index and one size only.
 */

const leafTag = Uint8Array.of(0);
const nodeTag = Uint8Array.of(1);
const rootTag = Uint8Array.of(2);
const saltTag = Uint8Array.of(3);
/** A path of 32 hashes serves 2^32 leaves, as many as an index can name. */
const maxLeaves = 2 ** 32 - 1;

/** One operation with what shows that it stands at `index` of the `size` operations of an entry. */
export interface MerkleProof {
  readonly salt: Uint8Array;
  readonly op: Uint8Array;
  readonly index: number;
  readonly size: number;
  /** Siblings from the leaf up, 32 bytes each. */
  readonly path: readonly Uint8Array[];
}

/**
 * The salt of operation `index`: SHA-256(0x03, salt of the body, u32 big-endian index). All inputs have one length, so a salt
 * that was opened says nothing of the others.
 * @param bodySalt secret of the body, 32 bytes
 */
export function opSalt(bodySalt: Uint8Array, index: number): Uint8Array {
  if (bodySalt.length !== hashLength) throw new AppError('invalid_argument', 'A salt has 32 bytes.');
  return sha256(saltTag, bodySalt, u32(index));
}

/** SHA-256(0x00, salt, op). The salt has 32 bytes. */
export function merkleLeaf(salt: Uint8Array, op: Uint8Array): Uint8Array {
  if (salt.length !== hashLength) throw new AppError('invalid_argument', 'A salt has 32 bytes.');
  return sha256(leafTag, salt, op);
}

/** The leaves of all operations of a body, in order. */
export function merkleLeaves(bodySalt: Uint8Array, ops: readonly Uint8Array[]): Uint8Array[] {
  return ops.map((op, i) => merkleLeaf(opSalt(bodySalt, i), op));
}

/** The root over leaves made by `merkleLeaf`: what an entry's `opsRoot` holds. Of no leaves too. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return rootOf(subtree(leaves, 0, leaves.length), leaves.length);
}

/**
 * The siblings of leaf `index`, from the leaf up (RFC 6962, 2.1.1).
 * @throws AppError `invalid_argument` when there is no such leaf
 */
export function merklePath(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
    throw new AppError('invalid_argument', `There is no operation ${index}.`);
  }
  const path: Uint8Array[] = [];
  let start = 0;
  let end = leaves.length;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      path.push(subtree(leaves, middle, end));
      end = middle;
    } else {
      path.push(subtree(leaves, start, middle));
      start = middle;
    }
  }
  return path.reverse();
}

/**
 * True when the proof's operation stands at its index under `root`. For one root and operation there is exactly one proof
 * that verifies: index and size are bound, and the path has as many hashes as that leaf has siblings.
 */
export function verifyMerklePath(root: Uint8Array, proof: MerkleProof): boolean {
  const { salt, op, index, size, path } = proof;
  if (!Number.isInteger(size) || size < 1 || size > maxLeaves) return false;
  if (!Number.isInteger(index) || index < 0 || index >= size) return false;
  if (salt.length !== hashLength || path.some((hash) => hash.length !== hashLength)) return false;

  // Which side each sibling stands on, from the root down: the way merklePath went.
  const siblingIsRight: boolean[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    siblingIsRight.push(index < middle);
    if (index < middle) end = middle;
    else start = middle;
  }
  if (path.length !== siblingIsRight.length) return false;
  let hash = merkleLeaf(salt, op);
  for (const sibling of path) {
    hash = siblingIsRight.pop() ? sha256(nodeTag, hash, sibling) : sha256(nodeTag, sibling, hash);
  }
  return sameBytes(rootOf(hash, size), root);
}

function subtree(leaves: readonly Uint8Array[], start: number, end: number): Uint8Array {
  if (end === start) return sha256();
  if (end - start === 1) return leaves[start] as Uint8Array;
  const middle = start + splitPoint(end - start);
  return sha256(nodeTag, subtree(leaves, start, middle), subtree(leaves, middle, end));
}

/** The largest power of two smaller than `count` (at least 2). */
function splitPoint(count: number): number {
  return 2 ** (31 - Math.clz32(count - 1));
}

function rootOf(top: Uint8Array, size: number): Uint8Array {
  return sha256(rootTag, u32(size), top);
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
