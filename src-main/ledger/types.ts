import type { AppError } from '../../src-shared/errors.ts';

/*
 * The shapes that all parts of the ledger share. How each is encoded stands in `codec`, what each means in docs/ledger.md.
 * Hashes are SHA-256 (32 bytes) in domains of their own; amounts are u128 integers in the smallest unit of their token and are
 * encoded as 16 bytes, big-endian; times are whole ms since the epoch.
 */

/** 32 bytes. */
export type Hash = Uint8Array;
/** An account: the 32 bytes under its bech32m user id, SHA-256 of the actor's root signing key. */
export type Address = Uint8Array;
/** SHA-256 of a validator's consensus key, 32 bytes. A validator is run by an account, and signs with a key of its own. */
export type ValidatorId = Uint8Array;
/** A token is named by its symbol: 2 to 12 of A-Z and 0-9, unique in its chain. The base coin is the first one. */
export type TokenSymbol = string;
/** 0 <= amount < 2^128. */
export type Amount = bigint;

/** One member of the active validator set. */
export interface Validator {
  readonly id: ValidatorId;
  /** Ed25519, 32 bytes. */
  readonly key: Uint8Array;
  /** Voting power: bonded base coin in whole coins, more than zero. */
  readonly power: bigint;
}

/** Sorted by power, highest first, then by id; at most 100. */
export type ValidatorSet = readonly Validator[];

/** What is signed for by a certificate: one header is one block. Its hash is the block id. */
export interface Header {
  readonly v: 1;
  /** `<name>-<first 16 hex digits of the genesis hash>`, the name 1 to 32 of a-z, 0-9 and -: an id that can be checked against a genesis. */
  readonly chainId: string;
  /** 1 for the first block after genesis. */
  readonly height: number;
  /** The proposer's time: later than the previous block's, and not far ahead of the validators' clocks. */
  readonly time: number;
  /** Id of the block before; the genesis hash at height 1. */
  readonly prev: Hash;
  /** Of the commit of the block before; zeros at height 1. */
  readonly lastCommitHash: Hash;
  /** RFC 6962 Merkle root over the transaction hashes. */
  readonly txRoot: Hash;
  /** Of the state AFTER this block's transactions: the proposer runs them before it proposes, validators before they vote. */
  readonly stateRoot: Hash;
  /** Merkle root over the transactions' results, in order. */
  readonly resultsRoot: Hash;
  /** Root of the Merkle mountain range over the ids of all blocks before this one. */
  readonly historyRoot: Hash;
  /** The set that decides this height, and the one that decides the next. A change takes effect two blocks after the block that made it. */
  readonly validatorsHash: Hash;
  readonly nextValidatorsHash: Hash;
  readonly evidenceHash: Hash;
  readonly proposer: ValidatorId;
}

export interface Block {
  readonly header: Header;
  /** Encoded transactions, in the order of their execution. */
  readonly txs: readonly Uint8Array[];
  /** The certificate of the block before; null at height 1. */
  readonly lastCommit: Commit | null;
  readonly evidence: readonly Evidence[];
}

export type VoteType = 'prevote' | 'precommit';

/** Signed over chain id, type, height, round and block id (null: nil). */
export interface Vote {
  readonly type: VoteType;
  readonly height: number;
  readonly round: number;
  readonly blockId: Hash | null;
  readonly validator: ValidatorId;
  readonly sig: Uint8Array;
}

/** Precommits of more than two thirds of the power for one block in one round. */
export interface Commit {
  readonly height: number;
  readonly round: number;
  readonly blockId: Hash;
  /** In the order of the validator set, without those that did not sign. */
  readonly signatures: readonly { readonly validator: ValidatorId; readonly sig: Uint8Array }[];
}

/** A proposer offers a block in a round; `validRound` is the round of the polka it rests on, -1 for a new block (arXiv:1807.04938). */
export interface Proposal {
  readonly height: number;
  readonly round: number;
  readonly validRound: number;
  readonly blockId: Hash;
  readonly proposer: ValidatorId;
  readonly sig: Uint8Array;
}

/** Proof that a validator broke the protocol: two votes of one type, height and round; or a light-client attack's conflicting header. */
export type Evidence =
  | { readonly type: 'duplicateVote'; readonly a: Vote; readonly b: Vote }
  | {
      readonly type: 'lightAttack';
      /** The header that was shown to somebody, with signatures of this chain's validators. */
      readonly header: Header;
      readonly commit: Commit;
      /** The final header of that height, so that who checks needs no old blocks: `path` proves it. */
      readonly actual: Header;
      readonly path: HistoryProof;
    };

/** Shows that a block id stands at its height in the mountain range of a header's `historyRoot`. */
export interface HistoryProof {
  /** Of the block that is proven. */
  readonly height: number;
  /** How many blocks the range holds: the height of the header whose `historyRoot` it is, less one. */
  readonly size: number;
  /** Siblings from the block up to its peak. */
  readonly path: readonly Hash[];
  /** All peaks, highest mountain first. */
  readonly peaks: readonly Hash[];
}

/** A header with the certificate that makes it final. */
export interface SignedHeader {
  readonly header: Header;
  readonly commit: Commit;
}

/** How a transaction in a block ended; failed ones paid their fee and changed nothing else but the nonce. */
export interface TxResult {
  readonly hash: Hash;
  readonly ok: boolean;
  /** An error code of the contract when it failed, else ''. */
  readonly code: string;
  readonly message: string;
  readonly fee: Amount;
}

/** A block executed on top of the last committed state, not yet written. */
export interface ExecutedBlock {
  readonly block: Block;
  readonly blockId: Hash;
  readonly results: readonly TxResult[];
  /** The set for height + 2, when this block changes it. */
  readonly validatorsAfterNext: ValidatorSet;
}

/** What a proposer knows when it makes a block. */
export interface ProposalInput {
  readonly height: number;
  readonly time: number;
  readonly proposer: ValidatorId;
  readonly lastCommit: Commit | null;
  readonly evidence: readonly Evidence[];
  /** Candidates in the order the mempool wants them; those that can't pay are left out. */
  readonly txs: readonly Uint8Array[];
  /** Bytes of transactions at the most. */
  readonly maxBytes: number;
}

/**
 * Work in slices of some ms, so that what waits on the thread has its turn between them. A block committed in between ends it:
 * the next slice throws AppError `cancelled`.
 */
export type Slices<T> = Generator<undefined, T, undefined>;

/** The state machine as consensus sees it: deterministic, no clock, no network. Made by `createApplication`. */
export interface Application {
  readonly chainId: string;
  readonly genesisHash: Hash;
  /** Height and id of the last committed block (0 and the genesis hash before the first). */
  last(): {
    readonly height: number;
    readonly blockId: Hash;
    readonly time: number;
    readonly stateRoot: Hash;
  };
  /**
   * False while the state is not here: of a chain that continues another which this computer did not follow. Only a snapshot
   * helps then.
   */
  founded(): boolean;
  /** The validator sets of the next height to decide, and of the one after. */
  validators(): { readonly current: ValidatorSet; readonly next: ValidatorSet };
  /** The set that decided an earlier height, while it is kept (the evidence's age at least); else null. */
  validatorsAt(height: number): ValidatorSet | null;
  /** When a block is wanted although nobody sends anything, ms since the epoch (stake that ends its way out, say); null: never. */
  dueAt(): number | null;
  /** Looks at a transaction as the mempool does: decoding, signatures, nonce (or later), balance for the fee, expiry. */
  checkTx(
    tx: Uint8Array,
  ): { readonly ok: true; readonly info: TxInfo } | { readonly ok: false; readonly error: AppError };
  /**
   * Checks the signatures of transactions in slices and remembers the outcome, so that `checkTx`, `propose` and `execute` need
   * not: for whoever receives many at once. False: can't be decoded, or badly signed.
   */
  verifyTxs(txs: readonly Uint8Array[]): Promise<readonly boolean[]>;
  /**
   * Whether evidence could stand in the next block.
   * @returns it as it would stand there: beside the header of an attack the real one of its height, with its place in history as of now
   * @throws AppError `evidence_invalid`, `evidence_expired`, `not_found`
   */
  checkEvidence(evidence: Evidence): Evidence;
  /** Makes and executes a block for this height on top of the last committed state. */
  propose(input: ProposalInput): ExecutedBlock;
  /** The same in slices. */
  proposing(input: ProposalInput): Slices<ExecutedBlock>;
  /**
   * Executes somebody's block and compares every hash of its header. The same block is executed once.
   * @throws AppError `block_invalid` telling what does not fit
   */
  execute(block: Block): ExecutedBlock;
  /** The same in slices. */
  executing(block: Block): Slices<ExecutedBlock>;
  /**
   * Makes an executed block the state: block, certificate, state and height in one SQLite transaction.
   * @param commit the certificate that decided it
   */
  commit(executed: ExecutedBlock, commit: Commit): void;
}

/** What the fee of a transaction takes from one place as it is due now. */
export interface FeeDue {
  /**
   * Names the place: the payer's account, what its delegated key may still spend, and for a fee in another token the fund or pool that
   * pays the validators. All that waits and names the same takes from the same.
   */
  readonly of: string;
  /** Smallest units. */
  readonly amount: Amount;
  /** What is there by the committed state. */
  readonly owned: Amount;
}

/** What the mempool needs to know of a transaction. */
export interface TxInfo {
  readonly hash: Hash;
  readonly sender: Address;
  readonly nonce: number;
  /** The sender's next nonce by the committed state; at most `nonce`. */
  readonly committedNonce: number;
  /** Last height it may stand in. */
  readonly validUntil: number;
  /**
   * Fee offered a byte, in the base coin's smallest units times 2^16 (so that cheap ones still differ). An offer counts as far as
   * the payer has it, and up to 8 times the fee due now: what is offered beyond the fee is never taken.
   */
  readonly feeRate: bigint;
  /** Each is compared with all that waits and takes from the same place. */
  readonly dues: readonly FeeDue[];
  readonly bytes: number;
}

/** Reading what is committed; the state machine implements it beside `Application`. */
export interface BlockSource {
  /** Height of the oldest block that is still kept; 0 when there is none. */
  firstHeight(): number;
  /** A committed block with the certificate that decided it; null when it is pruned or not there yet. */
  blockAt(height: number): { readonly block: Block; readonly commit: Commit } | null;
  /** Header and certificate alone; kept when the block's transactions are pruned. */
  signedHeaderAt(height: number): SignedHeader | null;
  /** Where a transaction was included; null when it is in no kept block. */
  findTx(hash: Hash): { readonly height: number; readonly index: number; readonly result: TxResult } | null;
  /** Proves the id of the block at `height` under `historyRoot` of the header at `of` (> height). @throws AppError `not_found` */
  proveHistory(height: number, of: number): Uint8Array;
}

/** A snapshot as it is offered to others. */
export interface SnapshotInfo {
  readonly height: number;
  /** Encoded manifest: chunk hashes and sizes, and what belongs to the state beside its rows (mountain range, validator sets). */
  readonly manifest: Uint8Array;
}

/** Takes the chunks of one snapshot; made by `SnapshotSource.restore`. */
export interface SnapshotRestore {
  /** SHA-256 and size of each chunk, in order. */
  readonly chunks: readonly { readonly hash: Hash; readonly bytes: number }[];
  /** @throws AppError `bad_hash` when the chunk is not the one the manifest names */
  put(index: number, chunk: Uint8Array): void;
  /** Makes it the state, in one transaction. @throws AppError `snapshot_invalid` when the root is not the header's */
  finish(): void;
  /** Forgets it; the state is as before. */
  abort(): void;
}

/** Making, serving and restoring snapshots. */
export interface SnapshotSource {
  /** Those kept here, newest first. */
  snapshots(): readonly SnapshotInfo[];
  /** Null when it is not kept any more. */
  snapshotChunk(height: number, index: number): Uint8Array | null;
  /**
   * Begins to restore, on a state that has committed nothing yet.
   * @param trusted header of the snapshot's height with its certificate, already verified by the light client
   * @throws AppError `malformed`, `too_large`, `snapshot_invalid` when the manifest does not fit the header
   */
  restore(manifest: Uint8Array, trusted: SignedHeader): SnapshotRestore;
}
