import type { Have } from '../consensus/index.ts';
import {
  commitShape,
  decodeBlock,
  encodeBlock,
  evidenceShape,
  headerShape,
  proposalShape,
  signedHeaderShape,
  validatorSetShape,
  voteShape,
} from '../codec/blocks.ts';
import { historyProofShape } from '../codec/history.ts';
import { maxBlockBytes, maxBlockTxs, maxEvidence, maxTxBytes, maxValidators } from '../codec/limits.ts';
import { bytesOf, bytesUpTo, codecOf, listOf, nullable, record, text, union, whole } from '../codec/shape.ts';
import type { Shape } from '../codec/shape.ts';
import { flag } from '../codec/shape.ts';
import type {
  Block,
  Commit,
  Evidence,
  Hash,
  Header,
  HistoryProof,
  Proposal,
  SignedHeader,
  ValidatorSet,
  Vote,
} from '../types.ts';

/* What nodes of one chain say to each other. Everything is strict dag-cbor with bounds on every field. */

/** A block without its transactions: who has them in the mempool need not be sent them again. */
export interface BlockOutline {
  readonly header: Header;
  readonly lastCommit: Commit | null;
  readonly evidence: readonly Evidence[];
  readonly txs: readonly Hash[];
}

/** On the long-lived stream `consensus-<chain>/1`, and (all but `status` and `have`) by gossip on `<chain>/votes/1`. */
export type PeerMessage =
  /** Where the sender stands; first of all, and after each block. */
  | { readonly type: 'status'; readonly height: number; readonly first: number; readonly blockId: Hash }
  | { readonly type: 'proposal'; readonly proposal: Proposal; readonly outline: BlockOutline | null }
  | { readonly type: 'votes'; readonly votes: readonly Vote[] }
  | { readonly type: 'have'; readonly have: Have }
  | { readonly type: 'evidence'; readonly evidence: readonly Evidence[] };

/** One question a stream on `chain-sync-<chain>/1`. */
export type SyncRequest =
  /** Blocks from a height on with their certificates, as many as fit. */
  | { readonly type: 'blocks'; readonly from: number; readonly count: number }
  /** The body of a block that is not decided yet. */
  | { readonly type: 'body'; readonly blockId: Hash }
  /** Transactions of a block that is not decided yet. */
  | { readonly type: 'txs'; readonly hashes: readonly Hash[] }
  /** A header with its certificate and the set that signed it; the newest for 0. */
  | { readonly type: 'light'; readonly height: number }
  /** A header and its proof under the mountain range of a later one. */
  | { readonly type: 'old'; readonly height: number; readonly under: number }
  | { readonly type: 'snapshots' }
  | { readonly type: 'chunk'; readonly height: number; readonly index: number }
  | { readonly type: 'submit'; readonly tx: Uint8Array };

export interface LightBlock {
  readonly signed: SignedHeader;
  /** The set that decided this height. */
  readonly validators: ValidatorSet;
}

export type SyncAnswer =
  | {
      readonly type: 'blocks';
      readonly blocks: readonly { readonly block: Uint8Array; readonly commit: Commit }[];
    }
  | { readonly type: 'body'; readonly block: Uint8Array | null }
  | { readonly type: 'txs'; readonly txs: readonly Uint8Array[] }
  | { readonly type: 'light'; readonly block: LightBlock | null }
  | { readonly type: 'old'; readonly signed: SignedHeader | null; readonly proof: HistoryProof | null }
  | {
      readonly type: 'snapshots';
      readonly snapshots: readonly { readonly height: number; readonly manifest: Uint8Array }[];
    }
  | { readonly type: 'chunk'; readonly chunk: Uint8Array | null }
  | { readonly type: 'submitted'; readonly ok: boolean; readonly code: string; readonly message: string };

export const maxBlocksPerAnswer = 200;
/** Bytes of blocks in one answer, unless the first alone is larger. */
export const blocksAnswerBytes = 4 * 1024 * 1024;
const maxTxsPerRequest = maxBlockTxs;
export const maxManifestBytes = 1024 * 1024;
export const maxChunkBytes = 1024 * 1024;
const maxVotesPerMessage = 1024;
export const maxPeerMessageBytes = 2 * 1024 * 1024;
export const maxGossipBytes = 1024 * 1024;
export const maxAnswerBytes = 2 * maxBlockBytes + 64 * 1024;

const hash = bytesOf(32);
const height = whole();
const round = whole(2 ** 31 - 1);

const voteBits = record({ blockId: nullable(hash), bits: bytesUpTo(16) });
/** Per set: each validator's first vote may be for another block, and some vote twice. */
const bitsList = listOf(voteBits, 2 * maxValidators);
const haveShape: Shape<Have> = record({
  height,
  round: whole(2 ** 31 - 1, -1),
  rounds: listOf(record({ round, proposal: flag, prevotes: bitsList, precommits: bitsList }), 40),
  blocks: listOf(hash, 512),
  wants: listOf(hash, 512),
});

const outlineShape: Shape<BlockOutline> = record({
  header: headerShape,
  lastCommit: nullable(commitShape),
  evidence: listOf(evidenceShape, maxEvidence),
  txs: listOf(hash, maxBlockTxs),
});

const messages = codecOf(
  union<PeerMessage>({
    status: record({ height, first: height, blockId: hash }),
    proposal: record({ proposal: proposalShape, outline: nullable(outlineShape) }),
    votes: record({ votes: listOf(voteShape, maxVotesPerMessage, 1) }),
    have: record({ have: haveShape }),
    evidence: record({ evidence: listOf(evidenceShape, maxEvidence, 1) }),
  }),
  'message of consensus',
  maxPeerMessageBytes,
);
export const encodePeerMessage = messages.encode;
export const decodePeerMessage = messages.decode;

const txBatch = codecOf(
  record({ txs: listOf(bytesUpTo(maxTxBytes), 4096, 1) }),
  'batch of transactions',
  maxGossipBytes,
);
export const encodeTxBatch = (txs: readonly Uint8Array[]): Uint8Array => txBatch.encode({ txs });
export const decodeTxBatch = (bytes: Uint8Array): readonly Uint8Array[] => txBatch.decode(bytes).txs;

const requests = codecOf(
  union<SyncRequest>({
    blocks: record({ from: whole(undefined, 1), count: whole(maxBlocksPerAnswer, 1) }),
    body: record({ blockId: hash }),
    txs: record({ hashes: listOf(hash, maxTxsPerRequest, 1) }),
    light: record({ height }),
    old: record({ height: whole(undefined, 1), under: whole(undefined, 1) }),
    snapshots: record({}),
    chunk: record({ height, index: whole(1_000_000) }),
    submit: record({ tx: bytesUpTo(maxTxBytes) }),
  }),
  'request to a chain',
  maxTxsPerRequest * 40 + 1024,
);
export const encodeSyncRequest = requests.encode;
export const decodeSyncRequest = requests.decode;

const lightShape: Shape<LightBlock> = record({ signed: signedHeaderShape, validators: validatorSetShape });
const answers = codecOf(
  union<SyncAnswer>({
    blocks: record({
      blocks: listOf(record({ block: bytesUpTo(maxBlockBytes), commit: commitShape }), maxBlocksPerAnswer),
    }),
    body: record({ block: nullable(bytesUpTo(maxBlockBytes)) }),
    txs: record({ txs: listOf(bytesUpTo(maxTxBytes), maxBlockTxs) }),
    light: record({ block: nullable(lightShape) }),
    old: record({ signed: nullable(signedHeaderShape), proof: nullable(historyProofShape) }),
    snapshots: record({ snapshots: listOf(record({ height, manifest: bytesUpTo(maxManifestBytes) }), 3) }),
    chunk: record({ chunk: nullable(bytesUpTo(maxChunkBytes)) }),
    submitted: record({ ok: flag, code: text(64), message: text(500) }),
  }),
  'answer about a chain',
  maxAnswerBytes,
);
export const encodeSyncAnswer = answers.encode;
export const decodeSyncAnswer = answers.decode;

/** The outline of a block. */
export function outlineOf(block: Block, hashTx: (tx: Uint8Array) => Hash): BlockOutline {
  const { header, lastCommit, evidence, txs } = block;
  return { header, lastCommit, evidence, txs: txs.map(hashTx) };
}

export { decodeBlock, encodeBlock };
