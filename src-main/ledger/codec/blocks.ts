import { compareBytes, hashIn, inDomain, zeroHash } from './hash.ts';
import { encodeStrict } from '../../identity/index.ts';
import type {
  Block,
  Commit,
  Evidence,
  Hash,
  Header,
  Proposal,
  SignedHeader,
  TxResult,
  Validator,
  ValidatorId,
  ValidatorSet,
  Vote,
} from '../types.ts';
import { historyProofShape } from './history.ts';
import {
  hashLength,
  maxBlockBytes,
  maxBlockTxBytes,
  maxBlockTxs,
  maxCommitBytes,
  maxEvidence,
  maxEvidenceBytes,
  maxHeaderBytes,
  maxProposalBytes,
  maxRound,
  maxTime,
  maxTxBytes,
  maxValidators,
  maxVoteBytes,
} from './limits.ts';
import { listRoot } from './merkle.ts';
import {
  bytesOf,
  bytesUpTo,
  codecOf,
  listOf,
  nullable,
  oneOf,
  pattern,
  record,
  refined,
  union,
  unsigned,
  whole,
} from './shape.ts';
import type { Shape } from './shape.ts';
import { sha256 } from './hash.ts';

const hash = bytesOf(hashLength);
const signature = bytesOf(64);
const height = whole(undefined, 1);
const round = whole(maxRound);

/** The name of a chain: what its founder called it, and the beginning of its genesis hash. */
export const chainIdShape = pattern(/^[a-z0-9][a-z0-9-]{0,31}-[0-9a-f]{16}$/, 'a chain id');

export const headerShape: Shape<Header> = record({
  v: oneOf(1),
  chainId: chainIdShape,
  height,
  time: whole(maxTime),
  prev: hash,
  lastCommitHash: hash,
  txRoot: hash,
  stateRoot: hash,
  resultsRoot: hash,
  historyRoot: hash,
  validatorsHash: hash,
  nextValidatorsHash: hash,
  evidenceHash: hash,
  proposer: hash,
});

export const commitShape: Shape<Commit> = refined(
  record({
    height,
    round,
    blockId: hash,
    signatures: listOf(record({ validator: hash, sig: signature }), maxValidators, 1),
  }),
  ({ signatures }) =>
    new Set(signatures.map(({ validator }) => Buffer.from(validator).toString('latin1'))).size ===
    signatures.length
      ? null
      : 'a validator signs twice',
);

export const voteShape: Shape<Vote> = record({
  type: oneOf('prevote', 'precommit'),
  height,
  round,
  blockId: nullable(hash),
  validator: hash,
  sig: signature,
});

export const signedHeaderShape: Shape<SignedHeader> = record({ header: headerShape, commit: commitShape });

export const proposalShape: Shape<Proposal> = refined(
  record({ height, round, validRound: whole(maxRound, -1), blockId: hash, proposer: hash, sig: signature }),
  ({ round, validRound }) => (validRound < round ? null : 'its valid round is not an earlier one'),
);

/** Two votes are in the order of their block ids, nil first, so that one offence has one encoding. */
const byBlock = (a: Vote, b: Vote): number => compareBytes(a.blockId ?? zeroHash, b.blockId ?? zeroHash);

export const evidenceShape: Shape<Evidence> = union<Evidence>({
  duplicateVote: refined(record({ a: voteShape, b: voteShape }), ({ a, b }) =>
    byBlock(a, b) < 0 ? null : 'its votes are not two in order of their blocks',
  ),
  lightAttack: record({
    header: headerShape,
    commit: commitShape,
    actual: headerShape,
    path: historyProofShape,
  }),
});

const blockShape: Shape<Block> = refined(
  record({
    header: headerShape,
    txs: listOf(bytesUpTo(maxTxBytes), maxBlockTxs),
    lastCommit: nullable(commitShape),
    evidence: listOf(evidenceShape, maxEvidence),
  }),
  ({ txs }) =>
    txs.reduce((sum, tx) => sum + tx.length, 0) <= maxBlockTxBytes ? null : 'its transactions are too many',
);

const validatorShape: Shape<Validator> = record({ id: hash, key: bytesOf(32), power: unsigned(8) });

/** Order of a validator set: power, highest first, then id. */
export const byPower = (a: Validator, b: Validator): number =>
  a.power === b.power ? compareBytes(a.id, b.id) : a.power > b.power ? -1 : 1;

export const validatorSetShape: Shape<ValidatorSet> = refined(
  listOf(validatorShape, maxValidators, 1),
  (set) =>
    set.every(
      (one, i) =>
        one.power > 0n &&
        compareBytes(one.id, validatorIdOf(one.key)) === 0 &&
        (i === 0 || byPower(set[i - 1] as Validator, one) < 0),
    )
      ? null
      : 'its members are not in order',
);

const headers = codecOf(headerShape, 'header of a block', maxHeaderBytes);
const signedHeaders = codecOf(signedHeaderShape, 'signed header', maxHeaderBytes + maxCommitBytes + 64);
const blocks = codecOf(blockShape, 'block', maxBlockBytes);
const commits = codecOf(commitShape, 'commit', maxCommitBytes);
const votes = codecOf(voteShape, 'vote', maxVoteBytes);
const proposals = codecOf(proposalShape, 'proposal', maxProposalBytes);
const evidences = codecOf(evidenceShape, 'evidence', maxEvidenceBytes);
const sets = codecOf(validatorSetShape, 'validator set', maxValidators * 128);

export const encodeHeader = headers.encode;
export const decodeHeader = headers.decode;
export const encodeSignedHeader = signedHeaders.encode;
export const decodeSignedHeader = signedHeaders.decode;
export const encodeBlock = blocks.encode;
export const decodeBlock = blocks.decode;
export const encodeCommit = commits.encode;
export const decodeCommit = commits.decode;
export const encodeVote = votes.encode;
export const decodeVote = votes.decode;
export const encodeProposal = proposals.encode;
export const decodeProposal = proposals.decode;
export const encodeEvidence = evidences.encode;
export const decodeEvidence = evidences.decode;
export const encodeValidatorSet = sets.encode;
export const decodeValidatorSet = sets.decode;

/** The id of a block: the hash of its header. */
export const blockId = (header: Header): Hash => hashIn('block', encodeHeader(header));

/** SHA-256 of a validator's consensus key. */
export const validatorIdOf = (key: Uint8Array): ValidatorId => sha256(key);

/** What `lastCommitHash` holds: zeros for none (height 1). */
export const commitHash = (commit: Commit | null): Hash =>
  commit === null ? zeroHash : hashIn('commit', encodeCommit(commit));

export const evidenceHash = (one: Evidence): Hash => hashIn('evidence', encodeEvidence(one));

/** What `evidenceHash` of a header holds. */
export const evidenceListHash = (list: readonly Evidence[]): Hash =>
  hashIn('evidence list', Buffer.concat(list.map(evidenceHash)));

export const validatorSetHash = (set: ValidatorSet): Hash => hashIn('validators', encodeValidatorSet(set));

/** What `resultsRoot` holds: over each transaction's hash, whether it went well, its error code and its fee. */
export const resultsRoot = (results: readonly TxResult[]): Hash => listRoot(results.map(resultHash));

/** The message is for people and may be put better in a later version: it is left out. */
export const resultHash = (result: TxResult): Hash =>
  hashIn('tx result', encodeStrict([result.hash, result.ok, result.code, result.fee.toString()]));

/** What a validator signs for a vote. Nothing in it can differ between two honest votes for one block in one round. */
export function voteSignBytes(
  chainId: string,
  vote: Pick<Vote, 'type' | 'height' | 'round' | 'blockId'>,
): Uint8Array {
  return inDomain(
    'vote signature',
    encodeStrict([chainId, vote.type, vote.height, vote.round, vote.blockId]),
  );
}

/** The vote bytes that the signatures of a commit are over. */
export const commitSignBytes = (chainId: string, commit: Commit): Uint8Array =>
  voteSignBytes(chainId, { ...commit, type: 'precommit' });

/** What a proposer signs. */
export function proposalSignBytes(
  chainId: string,
  proposal: Pick<Proposal, 'height' | 'round' | 'validRound' | 'blockId'>,
): Uint8Array {
  return inDomain(
    'proposal signature',
    encodeStrict([chainId, proposal.height, proposal.round, proposal.validRound, proposal.blockId]),
  );
}
