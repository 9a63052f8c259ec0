import type {
  AppMethodName,
  ItemOf,
  ParsedParamsOf,
  ResultOf,
} from '../../../src-shared/apps/methods/index.ts';
import type { Grant, PermissionName, SourceManifest } from '../../../src-shared/apps/index.ts';
import type { AppContract } from '../../../src-shared/contract/index.ts';
import type { AnyEntry, OutputOf, ParsedInputOf } from '../../../src-shared/rpc/index.ts';
import type { Clock, Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import type { Signer } from '../../identity/index.ts';
import type { Approvals, Decision, Question } from '../approvals/index.ts';
import type { PermissionRecords } from '../permissions/index.ts';
import type { Session, Sessions } from '../sessions/index.ts';

/** An installed app, as far as its host has to know it. */
export interface HostedApp {
  readonly appId: string;
  readonly name: string;
  readonly version: string;
  readonly manifest: Pick<SourceManifest, 'entry' | 'permissions' | 'services'>;
  /** A file of its bundle, checked against its hash; null: there is no such file. */
  read(path: string): Promise<Uint8Array | null>;
  /** Served from a folder that somebody works on: pages are loaded anew when files change. */
  readonly isDeveloped: boolean;
}

/** Calls of the contract, by group: what the node does for the person, of which apps get a part. */
type Group<G extends keyof AppContract, K extends keyof AppContract[G]> = {
  readonly [P in K]: AppContract[G][P] extends AnyEntry
    ? (
        input: ParsedInputOf<AppContract[G][P]>,
        signal: AbortSignal,
      ) => Promise<OutputOf<AppContract[G][P]>> | OutputOf<AppContract[G][P]>
    : never;
};
/** Subscriptions of the contract. */
type Watching<G extends keyof AppContract, K extends keyof AppContract[G]> = {
  readonly [P in K]: AppContract[G][P] extends AnyEntry
    ? (
        input: ParsedInputOf<AppContract[G][P]>,
        signal: AbortSignal,
      ) => AsyncIterable<OutputOf<AppContract[G][P]>>
    : never;
};
type Later<T> = T | Promise<T>;

/** A call of a service in the name of an app. */
export type ServiceCallInput = ParsedInputOf<AppContract['services']['call']> & {
  /** Whoever answers has to have this interface. */
  readonly interface?: string;
};

/** What the handlers of methods need of the node. */
export interface AppNode {
  readonly drives: Group<'drives', 'list' | 'link' | 'shareFolder' | 'visibility' | 'setVisibility'>;
  readonly files: Group<'files', 'list' | 'mkdir' | 'remove'> & {
    checkUpload(input: { drive: string; path: string; size: number; replace: boolean }): Later<void>;
    write(
      input: { drive: string; path: string; size: number; replace: boolean },
      bytes: AsyncIterable<Uint8Array>,
      signal: AbortSignal,
    ): Promise<void>;
    read(
      input: { drive: string; path: string; version: string | null; start: number; end: number | null },
      signal: AbortSignal,
    ): Promise<{ readonly size: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  };
  /** Drives that are open to whoever has their link, kept here or not. */
  readonly published: {
    /** @throws AppError `not_granted` for a link that does not open its drive, `not_found`, `drive_unknown`, `unreachable` */
    read(
      input: { link: string; path: string; start: number; end: number | null },
      signal: AbortSignal,
    ): Promise<{ readonly size: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  };
  readonly wallet: Group<'wallet', 'balance' | 'preview' | 'send' | 'proof'>;
  readonly transactions: Group<'transactions', 'show'> & {
    wait(
      input: { readonly hash: string },
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['transactions']['wait']>>;
  };
  readonly streams: Group<'streams', 'list' | 'leave' | 'stop'> & {
    poster(
      input: { readonly stream: string },
      signal: AbortSignal,
    ): Promise<{ readonly bytes: Uint8Array; readonly type: string } | null>;
    /** Joins it and says who answers its player. */
    watch(stream: string, signal: AbortSignal): Promise<{ readonly streamId: string } & Playing>;
    publish(
      input: ParsedParamsOf<'exc_streamPublish'>,
      signal: AbortSignal,
    ): Promise<{ readonly streamId: string; readonly link: string } & Ingesting>;
  };
  readonly collections: Group<
    'collections',
    Exclude<keyof AppContract['collections'], 'watch' | 'watchList' | 'replicate' | 'hosts'>
  > &
    Watching<'collections', 'watch'>;
  readonly messages: Group<'messages', 'send' | 'done'> & Watching<'messages', 'watch'>;
  /** Services in the name of an app. */
  readonly services: {
    list(
      query: ParsedInputOf<AppContract['services']['list']>,
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['services']['list']>>;
    describe(
      query: ParsedInputOf<AppContract['services']['describe']>,
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['services']['describe']>>;
    call(
      app: string,
      input: ServiceCallInput,
      signal: AbortSignal,
    ): Promise<OutputOf<AppContract['services']['call']>>;
    callStream(
      app: string,
      input: ServiceCallInput,
      signal: AbortSignal,
    ): AsyncIterable<OutputOf<AppContract['services']['callStream']>>;
    provide(
      app: string,
      manifest: unknown,
      signal: AbortSignal,
    ): AsyncIterable<OutputOf<AppContract['services']['provide']>>;
    reply(app: string, input: ParsedInputOf<AppContract['services']['reply']>): void;
  };
  /** Collections of that app, or invitations to some, may have changed. */
  onCollections(app: string, listener: () => void): () => void;
  /** The active network; null: none. */
  chainId(): string | null;
  /** The person's account. @throws AppError `no_identity`, `keystore_locked` */
  userId(): string;
  /** Signs with the person's own account. @throws AppError `not_allowed` on a linked computer */
  accountSigner(): Signer;
  /** The person's encryption key now. */
  encKey(): Uint8Array;
  /** 32 bytes that only this person has, another for every app and purpose. */
  appSecret(appId: string, purpose: string): Uint8Array;
  /** Of another person. @throws AppError `user_unknown`, `unreachable` */
  encKeyOf(user: string, signal: AbortSignal): Promise<Uint8Array>;
  /** Opens a box for any key the person has or had. */
  tryUnwrap(box: Uint8Array): Uint8Array | null;
  on(event: 'drives' | 'streams', listener: (driveId: string | null) => void): () => void;
  notify(appName: string, title: string, body: string): void;
}
export interface Playing {
  readonly entrance: string;
  serve(request: Request, rest: string): Promise<Response>;
  close(): void;
  readonly closed: Promise<void>;
}
export interface Ingesting {
  serve(request: Request, rest: string): Promise<Response>;
  readonly ended: Promise<void>;
}

/** Bytes by capability URL, on the origin of one app. `createDownloads` of the API is one. */
export interface AppBytes {
  offer(file: {
    readonly fileName: string;
    readonly type: string | null;
    open(
      start: number,
      end: number | null,
      signal: AbortSignal,
    ): Promise<{ readonly size: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  }): string;
  accept(reception: {
    readonly label: { readonly drive: string; readonly path: string; readonly modified: number | null };
    readonly size: number;
    take(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  }): string;
  mount(
    handler: (request: Request, rest: string) => Promise<Response>,
    options?: { readonly idle: number; readonly onIdle: () => void },
  ): { readonly url: string; end(): void };
  serve(request: Request): Promise<Response>;
}

/** All that handlers are made of. */
export interface HandlerDeps {
  readonly node: AppNode;
  readonly records: PermissionRecords;
  readonly sessions: Sessions;
  readonly approvals: Approvals;
  /** Of one app; another one after something was taken back from it. */
  bytes(appId: string): AppBytes;
  /** The type under which a file may be shown; null: only to be saved. */
  previewType(fileName: string): string | null;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Logger;
}

/** One call of a method: who calls, and what it may use. */
export interface Call {
  readonly app: HostedApp;
  readonly session: Session;
  /** What is granted at this moment. */
  readonly grants: () => readonly Grant[];
  /** Aborted when the page goes away or the session ends. */
  readonly signal: AbortSignal;
  /** Says in the log of deeds what it was about. */
  about(text: string): void;
  /**
   * Opens a subscription. It ends with the session, with `exc_unsubscribe`, and as soon as `needs` is not granted any more.
   * @param begin given what sends an item; returns what ends it
   */
  subscribe<M extends AppMethodName>(
    method: M,
    begin: (send: (item: ItemOf<M>) => void) => () => void,
    stillAllowed?: () => boolean,
  ): { subscription: string };
  unsubscribe(id: string): void;
  /** Runs another method of the table for the same page. */
  invoke(method: string, params: unknown): Promise<unknown>;
  ask(question: Omit<Question, 'appId' | 'appName'>): Promise<Decision>;
  /** Whether a permission is granted, folders not looked at. */
  has(permission: PermissionName): boolean;
}

/** A handler for every method: what is missing does not compile. */
export type AppHandlers = {
  readonly [M in AppMethodName]: (call: Call, params: ParsedParamsOf<M>) => Later<ResultOf<M>>;
};
