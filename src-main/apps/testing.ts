import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Grant, PermissionName } from '../../src-shared/apps/index.ts';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { Port } from '../../src-shared/rpc/index.ts';
import { silentLogger, type Clock } from '../../src-shared/runtime.ts';
import { createSigner, encryptionKeyOf, tryUnwrap, userIdOf } from '../identity/index.ts';
import { openDatabase } from '../store/index.ts';
import { createAppHost, type AppHost } from './host.ts';
import { createPermissionRecords, type PermissionRecords } from './permissions/index.ts';
import type { AppBytes, AppNode } from './provider/index.ts';

const steady: Clock = {
  now: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Of the one service that the manifests of test apps name. */
export const echoInterface = { name: 'Echo', methods: { say: { params: true, result: true } } };

/** The hash that the node of tests says of any service. */
export const testInterface = 'ab'.repeat(32);

/** What reached the node: the name of a call and what it was about. */
export interface Reached {
  readonly call: string;
  readonly drive?: string;
  readonly path?: string;
}

/**
 * A host of apps before a node that answers everything and remembers what it was asked for: so a test sees what gets
 * through to it. Keys, records, origins and sessions are the real ones.
 * @param dirs app id to the folder it is served from
 */
export function createTestHost(
  dirs: Readonly<Record<string, string | null>>,
  options: {
    readonly permissions?: readonly PermissionName[];
    readonly makeBytes: (origin: string) => AppBytes;
    readonly clock?: Clock;
  },
): {
  host: AppHost;
  records: PermissionRecords;
  reached: Reached[];
  grant(appId: string, grant: Grant): void;
} {
  const clock = options.clock ?? steady;
  const reached: Reached[] = [];
  const reach = (call: string, input: object): void => void reached.push({ call, ...pick(input) });
  const master = randomBytes(32);
  const own = createSigner(randomBytes(32));
  const encSecret = randomBytes(32);
  const events = createEmitter<{ drives: string | null; streams: string | null }>();
  const no = (): never => {
    throw new AppError('not_found', 'There is none here.');
  };
  const preview = { fee: '0.01', feeAsset: 'EXC', changes: [], code: '', message: '', password: false };
  const balances = [{ symbol: 'EXC', amount: '100', staked: '0', unbonding: '0', rewards: '0', decimals: 6 }];
  const seen =
    <I extends object, O>(name: string, answer: O) =>
    (input: I): O => {
      reach(name, input);
      return answer;
    };

  function nothingYet(name: string, input: object): AsyncIterable<never> {
    reach(name, input);
    return (async function* () {})();
  }

  const node: AppNode = {
    drives: {
      list: () => [],
      link: seen('drives.link', { link: 'extrachain://drive/x', invite: null }),
      visibility: seen('drives.visibility', { visibility: 'private' as const }),
      setVisibility: seen('drives.setVisibility', { link: 'extrachain://open/x' }),
      shareFolder: seen('drives.shareFolder', { driveId: 'new', link: 'extrachain://drive/new' }),
    },
    files: {
      list: seen('files.list', { items: [], next: null }),
      mkdir: seen('files.mkdir', { ok: true as const }),
      remove: (input) => {
        for (const one of input.paths) reach('files.remove', { drive: input.drive, path: one });
        return { ok: true };
      },
      checkUpload: seen('files.checkUpload', undefined),
      async write(input, bytes) {
        reach('files.write', input);
        for await (const _ of bytes);
      },
      async read(input) {
        reach('files.read', input);
        return { size: 3, bytes: (async function* () {})() };
      },
    },
    published: {
      async read({ path: at }) {
        reach('published.read', { path: at });
        return { size: 3, bytes: (async function* () {})() };
      },
    },
    wallet: {
      balance: seen('wallet.balance', balances),
      preview: () => preview,
      send: seen('wallet.send', { hash: '0'.repeat(64) }),
      proof: seen('wallet.proof', { proof: 'AA' }),
    },
    transactions: { wait: no, show: seen('transactions.show', no as never) },
    streams: {
      list: seen('streams.list', []),
      poster: async (input) => seen('streams.poster', null)(input),
      leave: seen('streams.leave', { ok: true as const }),
      stop: seen('streams.stop', { ok: true as const }),
      watch: async () => no(),
      publish: async () => no(),
    },
    collections: {
      list: seen('collections.list', []),
      create: seen('collections.create', { collection: 'c' }),
      get: seen('collections.get', { entry: null }),
      versions: seen('collections.versions', { entries: [] }),
      entries: seen('collections.entries', { entries: [], next: null, revision: 0 }),
      write: seen('collections.write', { ok: true as const }),
      watch: (input) => nothingYet('collections.watch', input),
      members: seen('collections.members', []),
      share: seen('collections.share', { ok: true as const }),
      unshare: seen('collections.unshare', { ok: true as const }),
      invitations: seen('collections.invitations', []),
      join: seen('collections.join', { collection: 'c' }),
      decline: seen('collections.decline', { ok: true as const }),
      leave: seen('collections.leave', { ok: true as const }),
    },
    messages: {
      send: seen('messages.send', { id: '00' }),
      done: seen('messages.done', { ok: true as const }),
      watch: (input) => nothingYet('messages.watch', input),
    },
    services: {
      list: async (query) => seen('services.list', [])(query),
      describe: async () => ({ interface: testInterface, definition: echoInterface, price: null }),
      call: async (_, input) => {
        reach('services.call', { path: input.interface ?? '' });
        return no();
      },
      callStream: (_, input) => nothingYet('services.callStream', input),
      provide: (app) => nothingYet('services.provide', { path: app }),
      reply: (app) => reach('services.reply', { path: app }),
    },
    onCollections: () => () => {},
    chainId: () => 'test-0001',
    userId: () => userIdOf(own.publicKey),
    accountSigner: () => own,
    encKey: () => encryptionKeyOf(encSecret),
    appSecret: (appId, purpose) =>
      new Uint8Array(createHash('sha256').update(master).update(`${appId}\0${purpose}`).digest()),
    encKeyOf: async () => encryptionKeyOf(encSecret),
    tryUnwrap: (box) => tryUnwrap(encSecret, box),
    on: (event, listener) => events.on(event, listener),
    notify: (app, title) => reach('notify', { path: `${app}: ${title}` }),
  };

  const records = createPermissionRecords(openDatabase(':memory:'), clock);
  const host = createAppHost({
    node,
    records,
    app: (appId) =>
      Object.hasOwn(dirs, appId)
        ? {
            appId,
            name: 'Test',
            version: '1.0.0',
            isDeveloped: false,
            read: async (file) => (file === 'echo.json' ? Buffer.from(JSON.stringify(echoInterface)) : null),
            manifest: {
              entry: 'index.html',
              services: { provides: [{ slug: 'echo', interface: 'echo.json' }], consumes: [] },
              permissions: {
                required: [],
                optional: (options.permissions ?? []).map((name) => ({
                  name,
                  caveats: name === 'tokens.spend' ? { symbol: 'EXC', perDay: '10' } : {},
                })),
              },
            },
          }
        : null,
    read: async (appId, file) => {
      const dir = dirs[appId];
      return dir ? readFile(path.join(dir, file)).catch(() => null) : null;
    },
    makeBytes: options.makeBytes,
    previewType: (fileName) => (fileName.endsWith('.mp4') ? 'video/mp4' : null),
    clock,
    random: (n) => randomBytes(n),
    log: silentLogger,
  });
  return { host, records, reached, grant: (appId, grant) => records.grant(appId, grant) };
}

function pick(input: object): { drive?: string; path?: string } {
  const { drive, path: at } = input as { drive?: string; path?: string };
  return { ...(drive !== undefined && { drive }), ...(at !== undefined && { path: at }) };
}

/** The page's end of a carrier: calls by JSON-RPC, and what was told without being asked. */
export function testPage(host: AppHost, appId: string) {
  const told: { method: string; params: unknown }[] = [];
  const waiting = new Map<
    number,
    (answer: { result?: unknown; error?: { code: number; data: { code: string } } }) => void
  >();
  let toHost: (message: unknown) => void = () => {};
  let onClose: () => void = () => {};
  let closed = false;
  let count = 0;
  const port: Port = {
    send(text) {
      const message = JSON.parse(text) as {
        id?: number;
        method?: string;
        params?: unknown;
        result?: unknown;
        error?: { code: number; data: { code: string } };
      };
      if (message.method !== undefined) told.push({ method: message.method, params: message.params });
      else if (typeof message.id === 'number') {
        waiting.get(message.id)?.(message);
        waiting.delete(message.id);
      } else told.push({ method: 'error', params: message });
    },
    onMessage: (listener) => (toHost = listener),
    onClose: (listener) => (onClose = listener),
    close() {
      if (closed) return;
      closed = true;
      onClose();
    },
  };
  const session = host.sessions.begin(appId, 'desktop');
  host.connect(session, port);
  return {
    session,
    told,
    raw: (message: unknown) => toHost(message),
    isClosed: () => closed,
    close: port.close,
    call(method: string, params?: unknown) {
      const id = ++count;
      return new Promise<{ result?: unknown; error?: { code: number; data: { code: string } } }>(
        (resolve) => {
          waiting.set(id, resolve);
          toHost(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
        },
      );
    },
  };
}
