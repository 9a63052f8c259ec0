import type { Events, Service } from '../../src-shared/runtime.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { AnyEntry, OutputOf, ParsedInputOf } from '../../src-shared/rpc/index.ts';
import type { Activity, Transfer } from '../../src-shared/contract/index.ts';
import type { AppHost } from '../apps/index.ts';
import type { Reception } from './receptions.ts';
import type { KeyProtector } from '../identity/index.ts';
import type { Ingest, Playback } from '../stream/index.ts';
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
  /** Folder of the bundles of apps that come with the program; left out: none do. */
  readonly shippedApps?: string;
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
  /** `people.list()`. */
  people: Record<string, never>;
  /** `node.transfers()`. */
  transfers: Record<string, never>;
  /** `net.peers()`. */
  peers: Record<string, never>;
  /** `chain.status()` of that chain, and all that depends on its state. */
  chain: { readonly chainId: string };
  /** Lists of collections and invitations of that app, and what is in them. */
  collections: { readonly app: string };
  /** `streams.list()` and `streams.stats()`. */
  streams: Record<string, never>;
  /** `apps.installed()`. */
  apps: Record<string, never>;
  /** `apps.approvals()`. */
  approvals: Record<string, never>;
  /** Something a person would like to read about. */
  activity: Activity;
};

/** What opens a page of an app, once. */
export interface AppLaunch {
  readonly appId: string;
  readonly name: string;
  readonly secret: string;
  /** Where in the app; '': its beginning. */
  readonly path: string;
}

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
    Exclude<keyof AppContract['drives'], 'watchList' | 'watchStatus' | 'watchShared' | 'wait'>
  > & {
    /** Resolves when in step; the API aborts the signal at the caller's time limit and answers `timeout`. */
    wait(
      input: { readonly drive: string },
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['drives']['wait']>>;
  };
  readonly files: Group<
    'files',
    Exclude<keyof AppContract['files'], 'open' | 'archive' | 'proof' | 'upload' | 'uploads'>
  > & {
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
    /**
     * Bytes of a drive that `link` opens to everybody who has it, kept here or not: what anybody else would get by that link.
     * @throws AppError `not_granted` when the link opens nothing, `not_found`, `drive_unknown`, `unreachable`
     */
    readOpened(
      input: {
        readonly link: string;
        readonly path: string;
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
  readonly directory: Group<'directory', keyof AppContract['directory']>;
  readonly people: Group<'people', Exclude<keyof AppContract['people'], 'watch'>>;
  readonly trash: Group<'trash', keyof AppContract['trash']>;
  readonly net: Group<'net', Exclude<keyof AppContract['net'], 'watchPeers'>>;
  readonly settings: Group<'settings', keyof AppContract['settings']>;
  readonly hosting: Group<'hosting', keyof AppContract['hosting']>;
  readonly streams: Group<
    'streams',
    Exclude<
      keyof AppContract['streams'],
      'watchList' | 'watchStats' | 'watchEncoder' | 'start' | 'resume' | 'watch' | 'poster'
    >
  > & {
    poster(
      input: { readonly stream: string },
      signal: AbortSignal,
    ): Promise<{ readonly bytes: Uint8Array; readonly type: string } | null>;
    resume(
      input: { readonly stream: string },
      signal: AbortSignal,
    ): Promise<{ readonly streamId: string; readonly link: string }>;
    start(
      input: ParsedInputOf<AppContract['streams']['start']>,
      signal: AbortSignal,
    ): Promise<{ readonly streamId: string; readonly link: string }>;
    watch(input: { readonly stream: string }, signal: AbortSignal): Promise<{ readonly streamId: string }>;
    /** Of an own stream. */
    ingest(streamId: string): Ingest;
    /** Of a stream that is watched: one for each player. */
    playback(streamId: string): Playback;
  };
  readonly services: Group<'services', Exclude<keyof AppContract['services'], 'callStream' | 'provide'>> & {
    callStream(
      input: ParsedInputOf<AppContract['services']['callStream']>,
      signal: AbortSignal,
    ): AsyncIterable<OutputOf<AppContract['services']['callStream']>>;
    provide(
      input: ParsedInputOf<AppContract['services']['provide']>,
      signal: AbortSignal,
    ): AsyncIterable<OutputOf<AppContract['services']['provide']>>;
  };
  readonly messages: Group<'messages', Exclude<keyof AppContract['messages'], 'watch'>> & {
    watch(
      input: ParsedInputOf<AppContract['messages']['watch']>,
      signal: AbortSignal,
    ): AsyncIterable<OutputOf<AppContract['messages']['watch']>>;
  };
  readonly collections: Group<
    'collections',
    Exclude<keyof AppContract['collections'], 'watch' | 'watchList'>
  > & {
    watch(
      input: ParsedInputOf<AppContract['collections']['watch']>,
      signal: AbortSignal,
    ): AsyncIterable<OutputOf<AppContract['collections']['watch']>>;
  };
  readonly chain: Group<'chain', Exclude<keyof AppContract['chain'], 'watch' | 'wait'>> & {
    /** Resolves when the height is reached; the API aborts the signal at the caller's time limit. */
    wait(
      input: { readonly chain: string | null; readonly height: number },
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['chain']['wait']>>;
  };
  readonly wallet: Group<'wallet', keyof AppContract['wallet']>;
  readonly tokens: Group<'tokens', keyof AppContract['tokens']>;
  readonly stakes: Group<'stakes', keyof AppContract['stakes']>;
  readonly pools: Group<'pools', keyof AppContract['pools']>;
  readonly vaults: Group<'vaults', keyof AppContract['vaults']>;
  readonly names: Group<'names', keyof AppContract['names']>;
  readonly storage: Group<'storage', keyof AppContract['storage']>;
  readonly apps: Group<
    'apps',
    Exclude<keyof AppContract['apps'], 'watchInstalled' | 'watchApprovals' | 'media' | 'launch' | 'receive'>
  > & {
    /** Takes a bundle of `size` bytes, once. @returns its name, and what takes the bytes */
    receive(input: ParsedInputOf<AppContract['apps']['receive']>): {
      readonly received: string;
      readonly take: Reception['take'];
    };
    /** A secret that opens one page of the app; the carrier makes an address of it. */
    launch(input: ParsedInputOf<AppContract['apps']['launch']>, signal: AbortSignal): Promise<AppLaunch>;
    media(
      input: ParsedInputOf<AppContract['apps']['media']>,
      signal: AbortSignal,
    ): Promise<{ readonly fileName: string; readonly type: string; readonly bytes: Uint8Array }>;
  };
  readonly signing: Group<'signing', Exclude<keyof AppContract['signing'], 'wait'>> & {
    wait(
      input: { readonly id: string },
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['signing']['wait']>>;
  };
  readonly transactions: Group<'transactions', Exclude<keyof AppContract['transactions'], 'wait'>> & {
    wait(
      input: { readonly hash: string },
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['transactions']['wait']>>;
  };
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
  /** Runs installed apps, for the carrier that shows them. */
  readonly appHost: AppHost;
}
