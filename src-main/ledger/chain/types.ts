import type { ErrorCode } from '../../../src-shared/errors.ts';
import type { Clock, Events, Logger, RandomBytes, Service } from '../../../src-shared/runtime.ts';
import type { Signer } from '../../identity/index.ts';
import type { FrameStream, ProtocolOptions, Topic, TopicOptions } from '../../network/index.ts';
import type { ConsensusParams, Step } from '../consensus/types.ts';
import type { LightBlock } from '../light/index.ts';
import type { MempoolLimits } from '../mempool/index.ts';
import type {
  Application,
  BlockSource,
  Evidence,
  Hash,
  Header,
  SignedHeader,
  SnapshotSource,
  TxInfo,
  ValidatorId,
  ValidatorSet,
} from '../types.ts';

/** `validator`: `full`, and votes when its key is in the set. `full`: executes every block. `light`: headers and proofs only. */
export type Role = 'validator' | 'full' | 'light';

/** What everybody who follows a chain knows of it from the start. */
export interface ChainGenesis {
  readonly chainId: string;
  readonly hash: Hash;
  /** ms since the epoch. */
  readonly time: number;
  /** The set of heights 1 and 2. */
  readonly validators: ValidatorSet;
  /** Unbonding time of the base coin, ms: evidence lives as long, and light clients trust half of it. */
  readonly unbondingMs: number;
}

export interface ChainOptions {
  readonly role: Role;
  /** Folder of its own for sign-state, write-ahead log and headers; is made. */
  readonly dir: string;
  /** Peer ids to ask first and to stay connected to, with multiaddrs as hints (from a link or an invite). */
  readonly peers?: readonly { readonly peerId: string; readonly hints: readonly string[] }[];
  /** Timeouts and intervals; what is not given is as in docs/ledger.md. */
  readonly consensus?: Partial<ConsensusParams>;
  readonly mempool?: Partial<MempoolLimits>;
  /** A header to trust instead of genesis (a contact's checkpoint): after the trusting period ran out, or to join sooner. */
  readonly checkpoint?: Checkpoint;
  /** Of a light node: a block that was checked whole on this computer, to go on from when it is newer than what the node has. */
  readonly trusted?: LightBlock;
  /** A node with nothing yet that is so many blocks behind begins with a snapshot. Default 500. */
  readonly snapshotFrom?: number;
}

export interface Checkpoint {
  readonly height: number;
  readonly blockId: Hash;
}

/** What a chain needs of the network: little enough to be handed to another thread. */
export interface ChainNetwork {
  handle(protocol: string, options: ProtocolOptions, handler: (stream: FrameStream) => Promise<void>): void;
  unhandle(protocol: string): void;
  open(peer: string, protocol: string, options: ProtocolOptions, signal?: AbortSignal): Promise<FrameStream>;
  topic(name: string, options: TopicOptions): Topic;
  penalise(peer: string, reason: string): void;
  want(peer: string, hints?: readonly string[]): void;
  unwant(peer: string): void;
  /** Those connected. */
  peers(): readonly { readonly peerId: string }[];
  on(
    name: 'peerConnected' | 'peerDisconnected',
    listener: (peer: { readonly peerId: string }) => void,
  ): () => void;
}

export interface ChainDeps {
  readonly genesis: ChainGenesis;
  /** The state machine; null for a light node. */
  readonly application: (Application & BlockSource & SnapshotSource) | null;
  readonly network: ChainNetwork;
  /** The consensus key; null: this node never votes. */
  readonly signer: Signer | null;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
}

export type SyncState =
  /** Nobody to ask is connected, and this node can't go on alone. */
  | 'alone'
  | 'snapshot'
  | 'blocks'
  | 'following'
  /** See `ChainStatus.problem`. */
  | 'halted';

export interface ChainStatus {
  readonly chainId: string;
  readonly role: Role;
  readonly height: number;
  readonly blockId: Hash;
  /** Time of the last block, ms since the epoch. */
  readonly time: number;
  readonly sync: SyncState;
  /** Highest height a peer told of; unchecked. */
  readonly peerHeight: number;
  readonly peers: number;
  /** Whether this node votes now, and when not, why. */
  readonly voting: boolean;
  readonly notVoting: ErrorCode | null;
  readonly consensus: RoundView | null;
  readonly mempool: { readonly count: number; readonly bytes: number };
  /** Light node: how many others confirmed the newest header. 0 with a single validator. */
  readonly witnesses: number;
  /** Why it stands still; null while all is well. */
  readonly problem: { readonly code: ErrorCode; readonly message: string } | null;
}

/** Where the round stands, for the window. Powers are sums of the votes seen here. */
export interface RoundView {
  readonly height: number;
  readonly round: number;
  readonly step: Step;
  readonly proposer: ValidatorId;
  readonly proposal: Hash | null;
  readonly prevotes: bigint;
  readonly precommits: bigint;
  readonly total: bigint;
  readonly lockedRound: number;
}

/** Which transactions a block holds, in order: small enough to be told of each block. */
export interface BlockTxs {
  /** 32 bytes each, one after another. */
  readonly hashes: Uint8Array;
  /** One byte each: 1 when it did what it says, 0 when it failed. */
  readonly ok: Uint8Array;
}

export type ChainEvents = {
  /** A block is final and part of the state here (light: its header is verified). In order, each height once. */
  block: {
    readonly height: number;
    readonly header: Header;
    readonly blockId: Hash;
    /** Null on a light node. */
    readonly txs: BlockTxs | null;
  };
  /** Coalesced to at most 4 a second. */
  round: RoundView;
  /** Coalesced to at most 4 a second. */
  mempool: { readonly count: number; readonly bytes: number };
  sync: { readonly state: SyncState; readonly height: number; readonly target: number };
  /** It left the mempool without a block: expired, replaced, or no longer valid. */
  dropped: { readonly hash: Hash; readonly code: ErrorCode };
  evidence: Evidence;
  problem: { readonly code: ErrorCode; readonly message: string };
};

/** One chain that this node follows. Several may run on one node. */
export interface Chain extends Service, Events<ChainEvents> {
  readonly chainId: string;
  status(): ChainStatus;
  validators(): ValidatorSet;
  /** Header and certificate of a block; a light node fetches and verifies it. @throws AppError `not_found`, `header_invalid`, `trust_expired`, `unreachable` */
  header(height: number, signal?: AbortSignal): Promise<SignedHeader>;
  /**
   * Checks a transaction, puts it into the mempool and gossips it (light: hands it to peers). Resolves once it is accepted here
   * (light: by a peer).
   * @throws AppError of `checkTx`, `tx_known`, `tx_underpriced`, `mempool_full`, `catching_up`, `unreachable`
   */
  submit(tx: Uint8Array): Promise<TxInfo>;
  /** The nonce a sender's next transaction takes: after what is committed and what waits here without a gap. `committed` as `account` tells it. */
  nextNonce(sender: Uint8Array, committed: number): Promise<number>;
  /** The encoded transaction while it waits here. */
  waiting(hash: Hash): Promise<Uint8Array | null>;
  /** All that wait, in the order the next proposer would take them. */
  waitingAll(): Promise<readonly TxInfo[]>;
  /** Resolves when that height is final here. @throws AppError `cancelled` */
  waitFor(height: number, signal?: AbortSignal): Promise<void>;
  /**
   * Changes the role while running (light needs no application; others do). `validator` also says, after `profile_copied`, that this
   * computer is the one to sign. @throws AppError `invalid_argument` */
  setRole(role: Role): Promise<void>;
  /** Multiaddrs and peer ids worth putting into a link to this chain. */
  peers(): readonly { readonly peerId: string; readonly height: number }[];
}
