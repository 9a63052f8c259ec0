import type { ChainEvents, ChainGenesis, ChainOptions, ChainStatus, Role } from '../chain/types.ts';
import type { SnapshotOptions } from '../snapshot/snapshots.ts';
import type { LedgerReader } from '../execute/application.ts';
import type { Hash, SignedHeader, SnapshotInfo, TxInfo } from '../types.ts';
import type { FarNetwork } from './network-far.ts';
import type { NearNetwork } from './network-near.ts';

/** What a thread that runs a chain is started with. */
export interface ChainThreadStart {
  /** Encoded. */
  readonly genesis: Uint8Array;
  readonly chain: ChainGenesis;
  /** Of the database. */
  readonly file: string;
  /** Of the ledger that the genesis continues, where it is here. */
  readonly previousFile: string | null;
  readonly cacheKiB: number;
  readonly options: ChainOptions;
  readonly keepBlocks: number | null;
  readonly keepBytes: number | null;
  readonly snapshots: SnapshotOptions | null;
  /** Secret of the consensus key; null: this node never votes. */
  readonly consensusSeed: Uint8Array | null;
  readonly connected: readonly string[];
}

/** What the main thread is told whenever it changes. */
export interface ChainView {
  readonly status: ChainStatus;
  readonly peers: readonly { readonly peerId: string; readonly height: number }[];
}

/** What the main thread calls. */
export interface FarChain extends FarNetwork {
  start(): Promise<ChainView>;
  stop(): Promise<void>;
  submit(tx: Uint8Array): Promise<TxInfo>;
  nextNonce(sender: Uint8Array, committed: number): Promise<number>;
  waiting(hash: Hash): Promise<Uint8Array | null>;
  waitingAll(): Promise<readonly TxInfo[]>;
  setRole(role: Role): Promise<ChainView>;
  header(height: number): Promise<SignedHeader>;
  proveRow: LedgerReader['proveRow'];
  proveRows: LedgerReader['proveRows'];
  takeSnapshot(): Promise<SnapshotInfo>;
}

/** What the thread calls. */
export interface NearChain extends NearNetwork {
  /** The database is open. */
  opened(view: ChainView): void;
  failed(code: string, message: string): void;
  event<K extends keyof ChainEvents>(name: K, value: ChainEvents[K]): void;
  view(view: ChainView): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', fields: Record<string, unknown>, message: string): void;
}
