import { hash } from 'node:crypto';

/*
 * Merkle trees over the ciphertext of one block, after RFC 6962 (section 2.1): leaves of 1 KiB and nodes are hashed in domains
 * of their own; the last leaf may be shorter. The committed root binds the number of bytes, so that one path fits one leaf only.
 */

/** Bytes of a leaf: what a host sends to prove that it has a block. */
export const leafBytes = 1024;
const leafTag = Uint8Array.of(0);
const nodeTag = Uint8Array.of(1);
const rootTag = Uint8Array.of(2);

/** One leaf with the siblings from it up to the root. */
export interface LeafProof {
  readonly leaf: Uint8Array;
  readonly path: readonly Uint8Array[];
}

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  hash('sha256', parts.length === 1 ? parts[0]! : Buffer.concat(parts), 'buffer');

/** Leaves of a block of that many bytes; an empty one has a single empty leaf. */
export function leafCount(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / leafBytes));
}

/** All levels of the tree, leaves first. A node without a sibling moves up as it is, which is RFC 6962's shape. */
function levels(block: Uint8Array): Uint8Array[][] {
  let level: Uint8Array[] = [];
  for (let i = 0; i < leafCount(block.length); i++) {
    level.push(sha256(leafTag, block.subarray(i * leafBytes, (i + 1) * leafBytes)));
  }
  const all = [level];
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const right = level[i + 1];
      above.push(right ? sha256(nodeTag, level[i]!, right) : level[i]!);
    }
    all.push((level = above));
  }
  return all;
}

function bind(top: Uint8Array, bytes: number): Uint8Array {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(bytes));
  return sha256(rootTag, size, top);
}

/** The root committed when a block is handed to a host, 32 bytes. Takes about 2 ms a MiB. */
export function leafRoot(block: Uint8Array): Uint8Array {
  return bind(levels(block).at(-1)![0]!, block.length);
}

/** The proof of one leaf; null when the block has no such leaf. */
export function proveLeaf(block: Uint8Array, index: number): LeafProof | null {
  if (!Number.isInteger(index) || index < 0 || index >= leafCount(block.length)) return null;
  const path: Uint8Array[] = [];
  let at = index;
  for (const level of levels(block).slice(0, -1)) {
    const sibling = level[at ^ 1];
    if (sibling) path.push(sibling);
    at >>= 1;
  }
  const start = index * leafBytes;
  return { leaf: new Uint8Array(block.subarray(start, start + leafBytes)), path };
}

/**
 * The root of the block of `bytes` bytes of which `proof` shows leaf `index`; null when the proof fits no such block. Needs no
 * other byte of the block.
 */
export function rootOfLeaf(bytes: number, index: number, proof: LeafProof): Uint8Array | null {
  const count = leafCount(bytes);
  if (!Number.isInteger(index) || index < 0 || index >= count) return null;
  if (proof.leaf.length !== Math.min(leafBytes, bytes - index * leafBytes)) return null;
  if (proof.path.some((one) => one.length !== 32)) return null;
  let node = sha256(leafTag, proof.leaf);
  let next = 0;
  for (let at = index, width = count; width > 1; at >>= 1, width = Math.ceil(width / 2)) {
    if ((at ^ 1) >= width) continue;
    const sibling = proof.path[next++];
    if (!sibling) return null;
    node = at % 2 === 0 ? sha256(nodeTag, node, sibling) : sha256(nodeTag, sibling, node);
  }
  return next === proof.path.length ? bind(node, bytes) : null;
}

/** True when `proof` shows leaf `index` of the block of `bytes` bytes under `root`. */
export function verifyLeaf(root: Uint8Array, bytes: number, index: number, proof: LeafProof): boolean {
  const found = rootOfLeaf(bytes, index, proof);
  return found !== null && Buffer.compare(found, root) === 0;
}
