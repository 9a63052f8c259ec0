import { promisify } from 'node:util';
import { strToU8, zip } from 'fflate';
import type { AsyncZippable } from 'fflate';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Handlers } from '../../src-shared/rpc/index.ts';
import { archive } from './archive.ts';
import type { Downloads } from './downloads.ts';
import { createPlatformHandlers } from './platform-handlers.ts';
import { noPlatform } from './platform-services.ts';
import type { PlatformServices } from './platform-services.ts';
import { previewType } from './preview-types.ts';
import type { AppLaunch, ByteSource, NodeEvents, NodeServices } from './node-services.ts';
import { watchEvents, watchHints, watchList, watchState } from './watch.ts';
import type { Hints } from './watch.ts';
import { resolvingNames } from './resolve-names.ts';
import { createStreamHandlers } from './stream-handlers.ts';

export interface HandlersOptions {
  readonly clock: Clock;
  readonly downloads: Downloads;
  /** Asks the host to stop everything; returns at once. */
  readonly shutdown: () => void;
  /** Shows a page of an app, or says where it is; left out: there are no pages of apps here. */
  readonly openApp?: (launch: AppLaunch) => string;
  /** What the computer can do for the window; left out: nothing. */
  readonly platform?: PlatformServices;
}

/** The contract's handlers: they call the node and add what belongs to the carrier (watching, downloads, time limits). */
export function createHandlers(
  node: NodeServices,
  { clock, downloads, shutdown, openApp, platform = noPlatform }: HandlersOptions,
): Handlers<AppContract> {
  const on =
    (...names: (keyof NodeEvents)[]): Hints =>
    (changed) => {
      const ends = names.map((name) => node.events.on(name, changed));
      return () => ends.forEach((end) => end());
    };

  function offerBytes(fileName: string, bytes: Uint8Array, type: string | null = null) {
    const url = downloads.offer({
      fileName,
      type,
      open: (start, end) =>
        Promise.resolve({ size: bytes.length, bytes: oneChunk(bytes.subarray(start, end ?? bytes.length)) }),
    });
    return { url, size: bytes.length };
  }

  async function* watchChanges(app: string, signal: AbortSignal) {
    const hints: Hints = (changed) =>
      node.events.on('collections', (event) => {
        if (event.app === app) changed();
      });
    for await (const _ of watchHints(hints, clock, signal)) yield { changed: true as const };
  }

  const handlers: Handlers<AppContract> = {
    node: {
      status: (input, signal) => node.node.status(input, signal),
      watch: (input, signal) =>
        watchState(on('status', 'peers', 'drives'), () => node.node.status(input, signal), clock, signal),
      watchTransfers: (_, signal) =>
        watchList(
          on('transfers'),
          () => [...node.node.transfers()],
          (one) => one.id,
          clock,
          signal,
        ),
      watchActivity: ({ last }, signal) =>
        watchEvents(
          (listener) => node.events.on('activity', listener),
          () => node.node.activity(last),
          signal,
        ),
      shutdown() {
        shutdown();
        return { ok: true };
      },
    },
    doctor: {
      check: (input, signal) => node.doctor.check(input, signal),
      async bundle(_, signal) {
        const reports = await node.doctor.reports(signal);
        const files: AsyncZippable = {};
        for (const [name, text] of Object.entries(reports)) files[name] = strToU8(text);
        return offerBytes(
          'extrachain-diagnostics.zip',
          await promisify<AsyncZippable, Uint8Array>(zip)(files),
        );
      },
    },
    identity: node.identity,
    devices: node.devices,
    drives: {
      ...node.drives,
      watchList: (_, signal) =>
        watchList(
          on('drives'),
          () => node.drives.list({}, signal),
          (one) => one.driveId,
          clock,
          signal,
        ),
      watchStatus: (input, signal) =>
        watchState(on('drives'), () => node.drives.status(input, signal), clock, signal),
      watchShared: (_, signal) =>
        watchList(
          on('drives'),
          () => node.drives.shared({}, signal),
          (one) => one.driveId,
          clock,
          signal,
        ),
      wait: ({ drive, timeout }, signal) =>
        withTimeLimit(timeout, clock, signal, (limited) => node.drives.wait({ drive }, limited)),
    },
    files: {
      ...node.files,
      async open({ drive, path, version, as }, signal) {
        const read = (start: number, end: number | null, reading: AbortSignal): Promise<ByteSource> =>
          node.files.read({ drive, path, version, start, end }, reading);
        // Asked for no bytes at first: failures are answered here and not when the URL is fetched.
        const { size, bytes } = await read(0, 0, signal);
        await bytes[Symbol.asyncIterator]().return?.();
        const fileName = path.split('/').at(-1) ?? 'file';
        const type = as === 'preview' ? previewType(fileName) : null;
        return { url: downloads.offer({ fileName, type, open: read }), size };
      },
      async upload(input) {
        await node.files.checkUpload(input);
        return {
          url: downloads.accept({
            label: {
              drive: input.drive,
              path: input.path,
              modified: input.modified === null ? null : Date.parse(input.modified),
            },
            size: input.size,
            take: (bytes, reading) => node.files.write(input, bytes, reading),
          }),
        };
      },
      uploads: () =>
        downloads.unfinished().map(({ label, ...one }) => ({
          ...one,
          ...label,
          modified: label.modified === null ? null : new Date(label.modified).toISOString(),
        })),
      async archive({ name, ...input }, signal) {
        const { size, open } = await archive(node.files, input, signal);
        return { url: downloads.offer({ fileName: name, open }), size };
      },
      async proof(input, signal) {
        return offerBytes(`${input.path.split('/').at(-1)}.proof`, await node.files.proof(input, signal));
      },
    },
    directory: node.directory,
    people: {
      ...node.people,
      watch: (_, signal) =>
        watchList(
          on('people'),
          () => node.people.list({}, signal),
          (one) => one.userId,
          clock,
          signal,
        ),
    },
    trash: node.trash,
    net: {
      ...node.net,
      watchPeers: (_, signal) =>
        watchList(
          on('peers'),
          () => node.net.peers({}, signal),
          (one) => one.peerId,
          clock,
          signal,
        ),
    },
    settings: node.settings,
    hosting: node.hosting,
    streams: createStreamHandlers(node.streams, { clock, downloads, changed: on('streams') }),
    services: node.services,
    messages: node.messages,
    collections: {
      ...node.collections,
      watchList: ({ app }, signal) => watchChanges(app, signal),
    },
    chain: {
      ...node.chain,
      watch: (input, signal) =>
        watchState(on('chain', 'peers'), () => node.chain.status(input, signal), clock, signal),
      wait: ({ timeout, ...input }, signal) =>
        withTimeLimit(timeout, clock, signal, (limited) => node.chain.wait(input, limited)),
    },
    wallet: node.wallet,
    tokens: node.tokens,
    stakes: node.stakes,
    pools: node.pools,
    vaults: node.vaults,
    names: node.names,
    storage: node.storage,
    apps: {
      ...node.apps,
      async media(input, signal) {
        const { fileName, type, bytes } = await node.apps.media(input, signal);
        return offerBytes(fileName, bytes, type);
      },
      receive({ size }) {
        const { received, take } = node.apps.receive({ size });
        return { received, url: downloads.accept({ label: null, size, take }) };
      },
      async launch(input, signal) {
        if (!openApp) throw new AppError('unsupported', 'Apps can not be opened here.');
        const launch = await node.apps.launch(input, signal);
        return { url: openApp(launch), appId: launch.appId };
      },
      watchInstalled: (_, signal) =>
        watchList(
          on('apps', 'chain'),
          () => node.apps.installed({}, signal),
          (one) => one.appId,
          clock,
          signal,
        ),
      watchApprovals: (_, signal) =>
        watchList(
          on('approvals'),
          () => node.apps.approvals({}, signal),
          (one) => one.approvalId,
          clock,
          signal,
        ),
    },
    transactions: {
      ...node.transactions,
      wait: ({ timeout, ...input }, signal) =>
        withTimeLimit(timeout, clock, signal, (limited) => node.transactions.wait(input, limited)),
    },
    signing: {
      ...node.signing,
      wait: ({ timeout, ...input }, signal) =>
        withTimeLimit(timeout, clock, signal, (limited) => node.signing.wait(input, limited)),
    },
    platform: createPlatformHandlers(node, platform, clock),
  };
  return resolvingNames(handlers, (name) => node.names.resolve({ name }, new AbortController().signal));
}

async function* oneChunk(bytes: Uint8Array) {
  if (bytes.length > 0) yield bytes;
}

/** @param seconds null: none */
async function withTimeLimit<T>(
  seconds: number | null,
  clock: Clock,
  signal: AbortSignal,
  work: (limited: AbortSignal) => Promise<T>,
): Promise<T> {
  if (seconds === null) return work(signal);
  const limit = new AbortController();
  const late = new AppError('timeout', `It was not done after ${seconds} s.`, { details: { seconds } });
  const cancel = clock.after(seconds * 1000, () => limit.abort(late));
  try {
    return await work(AbortSignal.any([signal, limit.signal]));
  } catch (error) {
    throw limit.signal.aborted && !signal.aborted ? late : error;
  } finally {
    cancel();
  }
}
