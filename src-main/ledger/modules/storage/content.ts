import { leafCount, rootOfLeaf } from '../../../history/index.ts';
import type { LeafProof } from '../../../history/index.ts';
import { hashIn, listRoot, proveInList, verifyInList } from '../../codec/index.ts';
import { bytesOf, bytesUpTo, listOf, record, whole } from '../../codec/shape.ts';
import type { ValueOf } from '../../codec/shape.ts';
import type { Hash } from '../../types.ts';
import { leafBytes, maxBytes } from './state.ts';

/*
 * What a contract is over: blocks one after another, each under the very root that hosting audits it by, and all of these in a
 * list under one root. So who has the roots of the blocks needs no byte of them to write a contract, and proves a leaf with its block alone.
 * An item of the list says how many leaves stand before its block: a leaf of the whole has one place only.
 */

/** One block, as hosting commits to it. */
export interface ContentBlock {
  /** `leafRoot` of its bytes. */
  readonly root: Hash;
  readonly bytes: number;
}

const maxBlocks = 2 ** 24;

export const openingFields = {
  /** The bytes asked for, with their path to the root of their block. */
  leaf: bytesUpTo(leafBytes),
  path: listOf(bytesOf(32), 32),
  /** Bytes of that block, and leaves before it. */
  bytes: whole(maxBytes, 1),
  first: whole(maxBytes / leafBytes),
  /** Where it stands in the list of blocks. */
  place: record({ index: whole(maxBlocks), size: whole(maxBlocks, 1), path: listOf(bytesOf(32), 24) }),
};
const openingShape = record(openingFields);
/** Shows one leaf of a contract's content. */
export type ContentOpening = ValueOf<typeof openingShape>;

function itemOf(root: Hash, first: number): Hash {
  const at = Buffer.alloc(8);
  at.writeBigUInt64BE(BigInt(first));
  return hashIn('storage block', Buffer.concat([root, at]));
}

export interface Content {
  /** What the contract names. */
  readonly root: Hash;
  /** Leaves of 1 KiB in all blocks; the last one of a block may be shorter, and counts. */
  readonly leaves: number;
  /** The block that holds a leaf, and which of its leaves that is. */
  find(leaf: number): { readonly block: number; readonly leaf: number };
  /** @param proof of that leaf in its block */
  open(leaf: number, proof: LeafProof): ContentOpening;
}

/** The content that these blocks make, in their order. */
export function contentOf(blocks: readonly ContentBlock[]): Content {
  const firsts: number[] = [];
  let leaves = 0;
  for (const { bytes } of blocks) {
    firsts.push(leaves);
    leaves += leafCount(bytes);
  }
  const items = blocks.map(({ root }, i) => itemOf(root, firsts[i]!));
  const blockOf = (leaf: number): number => {
    let [low, high] = [0, firsts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (firsts[middle]! <= leaf) low = middle;
      else high = middle;
    }
    return low;
  };
  return {
    root: listRoot(items),
    leaves,
    find(leaf) {
      const block = blockOf(leaf);
      return { block, leaf: leaf - firsts[block]! };
    },
    open(leaf, proof) {
      const block = blockOf(leaf);
      return {
        leaf: proof.leaf,
        path: proof.path,
        bytes: blocks[block]!.bytes,
        first: firsts[block]!,
        place: proveInList(items, block),
      };
    },
  };
}

/** Whether an opening shows that leaf of the content under `root`. */
export function verifyContent(root: Hash, leaf: number, opening: ContentOpening): boolean {
  const { bytes, first, place } = opening;
  const block = rootOfLeaf(bytes, leaf - first, opening);
  return block !== null && verifyInList(root, itemOf(block, first), place);
}
