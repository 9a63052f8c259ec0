export type * from './types.ts';
export { createHistory } from './history.ts';
export type { HistoryDeps } from './history.ts';
export { createGenesis } from './author.ts';
export type { AuthorDeps } from './author.ts';
export { entryId, entryHash, compareBytes, sameBytes } from './ids.ts';
export {
  decodeEntry,
  encodeEntry,
  decodeHeader,
  encodeHeader,
  signingBytes,
  maxBodyBytes,
  maxEntryBytes,
  maxHeaderBytes,
  maxParents,
  maxAccess,
} from './codec.ts';
export { validateEntry, linksOf } from './validate.ts';
export type { LinkLookup, LinkTarget } from './validate.ts';
export { merkleRoot, merkleLeaf, merkleLeaves, merklePath, opSalt, verifyMerklePath } from './merkle.ts';
export type { MerkleProof } from './merkle.ts';
export { leafBytes, leafCount, leafRoot, proveLeaf, rootOfLeaf, verifyLeaf } from './leaf-tree.ts';
export type { LeafProof } from './leaf-tree.ts';
export { verifyHeaderChain, maxChainLinks } from './header-chain.ts';
export type { HeaderChain } from './header-chain.ts';
export type { WaitingLimits } from './waiting-room.ts';
