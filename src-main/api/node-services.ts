import type { Events, Service } from '../../src-shared/runtime.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { AnyEntry, OutputOf, ParsedInputOf } from '../../src-shared/rpc/index.ts';
import type { Activity, Transfer } from '../../src-shared/contract/index.ts';
import type { KeyProtector } from '../identity/index.ts';
import type { Published } from './published.ts';

/** What the daemon's command line hands to `createNode`. */
export interface NodeOptions {
  /** The data folder; made (0700) when missing. Its lock is held by the caller. */
  readonly dataDir: string;
  /** Multiaddrs to listen on; empty: the default ones. */
  readonly listen: readonly string[];
  /** Multiaddrs ending in /p2p/<id> to dial and keep. */
  readonly bootstrap: readonly string[];
  readonly mdns: boolean;
  /** Opens the keystore; null: opens only when it has no password. */
  readonly password: string | null;
  /** The system's keychain, which then guards a new keystore. The desktop has one. */
  readonly keychain?: KeyProtector;
  readonly logLevel: 'silent' | 'error' | 'warn' | 'info' | 'debug';
  /** Where the log goes besides stderr, line by line. */
  readonly logFile?: { write(line: string): void };
  /** No network at all: for commands that only read the data folder while no daemon runs. */
  readonly offline?: boolean;
}

type Call<E extends AnyEntry> = (
  input: ParsedInputOf<E>,
  signal: AbortSignal,
) => Promise<OutputOf<E>> | OutputOf<E>;
type Group<G extends keyof AppContract, K extends keyof AppContract[G]> = {
  readonly [P in K]: AppContract[G][P] extends AnyEntry ? Call<AppContract[G][P]> : never;
};

/**
 * Hints that something may look different now. They may come as often as is handy: the API coalesces to 4 Hz, asks the
 * matching method again and sends only what differs.
 */
export type NodeEvents = {
  /** `node.status()`. */
  status: Record<string, never>;
  /** `drives.list()`; and, with an id, `drives.status()` of that drive. */
  drives: { readonly driveId: string | null };
  /** `node.transfers()`. */
  transfers: Record<string, never>;
  /** `net.peers()`. */
  peers: Record<string, never>;
  /** Something a person would like to read about. */
  activity: Activity;
};

/** Bytes on their way out of the node. */
export interface ByteSource {
  /** Of the whole, not only of the part asked for. */
  readonly size: number;
  /** The wanted part. Ending the iteration early releases everything. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** A file on its way in. */
export interface Upload {
  readonly drive: string;
  readonly path: string;
  /** Bytes that will come, no more and no less. */
  readonly size: number;
  readonly replace: boolean;
}

/**
 * All that the contract's handlers need of a node: values in the contract's shapes, failures as `AppError`. Inputs are
 * already checked against the schemas; drives are named by id or by a name only one of them has. Aborting the signal
 * means that the caller has gone or asked to stop.
 */
export interface NodeServices {
  readonly events: Events<NodeEvents>;
  readonly node: Group<'node', 'status'> & {
    transfers(): readonly Transfer[];
    /** The last ones, oldest first. */
    activity(last: number): readonly Activity[];
  };
  readonly doctor: Group<'doctor', 'check'> & {
    /** Reports for the diagnostics bundle, by file name. No secrets, no names of people's files. */
    reports(signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  };
  readonly identity: Group<'identity', keyof AppContract['identity']>;
  readonly devices: Group<'devices', keyof AppContract['devices']>;
  readonly drives: Group<
    'drives',
    Exclude<keyof AppContract['drives'], 'watchList' | 'watchStatus' | 'wait'>
  > & {
    /** Resolves when in step; the API aborts the signal at the caller's time limit and answers `timeout`. */
    wait(
      input: { readonly drive: string },
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['drives']['wait']>>;
  };
  readonly files: Group<'files', Exclude<keyof AppContract['files'], 'open' | 'proof' | 'upload'>> & {
    /** Checks that `path` can be written, before bytes are asked for. */
    checkUpload(input: Upload): void | Promise<void>;
    /** Takes all bytes into the drive's folder, or leaves nothing behind. */
    write(input: Upload, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
    /** The bytes of a version (null: the current one) from `start` to before `end` (null: the end). */
    read(
      input: {
        readonly drive: string;
        readonly path: string;
        readonly version: string | null;
        readonly start: number;
        readonly end: number | null;
      },
      signal: AbortSignal,
    ): Promise<ByteSource>;
    proof(
      input: { readonly drive: string; readonly path: string; readonly version: string | null },
      signal: AbortSignal,
    ): Promise<Uint8Array>;
  };
  readonly trash: Group<'trash', keyof AppContract['trash']>;
  readonly net: Group<'net', Exclude<keyof AppContract['net'], 'watchPeers'>>;
  readonly settings: Group<'settings', keyof AppContract['settings']>;
  readonly hosting: Group<'hosting', keyof AppContract['hosting']>;
}

/** What `createNode(options): Promise<Node>` gives: built but not started. `stop` returns within 5 seconds. */
export interface Node extends NodeServices, Service {
  readonly peerId: string;
  /** null while there is no identity, or it is locked. */
  userId(): string | null;
  /** Full multiaddrs ending in /p2p/<peerId>; known once started. */
  addresses(): readonly string[];
  /** What a gateway may show to browsers. */
  readonly published: Published;
}
