import { leafRoot, proveLeaf } from '../history/index.ts';
import type { LeafProof } from '../history/index.ts';

/** What the thread is asked: the root of a block, or proofs of some of its leaves. */
export type LeafTask =
  | { readonly block: Uint8Array; readonly leaves: null }
  | { readonly block: Uint8Array; readonly leaves: readonly number[] };
export type LeafAnswer = Uint8Array | readonly (LeafProof | null)[];

export default function work({ block, leaves }: LeafTask): LeafAnswer {
  return leaves === null ? leafRoot(block) : leaves.map((leaf) => proveLeaf(block, leaf));
}
