import { merkleLeaf, merklePath, merkleRoot, verifyMerklePath } from '../../history/index.ts';
import type { Hash } from '../types.ts';
import { hashLength, maxBlockTxs } from './limits.ts';
import { bytesOf, listOf, record, whole } from './shape.ts';
import type { ValueOf } from './shape.ts';

/*
 * Lists of hashes (of transactions, of results, of a snapshot's chunks) under one root: RFC 6962 trees as the history chains
 * have them, where the root binds the number of leaves too. A leaf is SHA-256(0x00, hash).
 */

const nothing = new Uint8Array();

/** Shows that a hash stands at `index` of `size` hashes under a root. */
export const listProofShape = record({
  index: whole(maxBlockTxs - 1),
  size: whole(maxBlockTxs, 1),
  path: listOf(bytesOf(hashLength), 16),
});
export type ListProof = ValueOf<typeof listProofShape>;

const leavesOf = (hashes: readonly Hash[]): Uint8Array[] => hashes.map((hash) => merkleLeaf(hash, nothing));

/** The root of a list of hashes, of an empty one too. */
export const listRoot = (hashes: readonly Hash[]): Hash => merkleRoot(leavesOf(hashes));

/** @throws AppError `invalid_argument` when there is no such index */
export function proveInList(hashes: readonly Hash[], index: number): ListProof {
  return { index, size: hashes.length, path: merklePath(leavesOf(hashes), index) };
}

export const verifyInList = (root: Hash, hash: Hash, proof: ListProof): boolean =>
  hash.length === hashLength && verifyMerklePath(root, { salt: hash, op: nothing, ...proof });
