import { promisify } from 'node:util';
import { strToU8, zip } from 'fflate';
import type { AsyncZippable } from 'fflate';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Handlers } from '../../src-shared/rpc/index.ts';
import type { Downloads } from './downloads.ts';
import { createPlatformHandlers } from './platform-handlers.ts';
import { noPlatform } from './platform-services.ts';
import type { PlatformServices } from './platform-services.ts';
import { previewType } from './preview-types.ts';
import type { ByteSource, NodeEvents, NodeServices } from './node-services.ts';
import { watchEvents, watchList, watchState } from './watch.ts';
import type { Hints } from './watch.ts';

export interface HandlersOptions {
  readonly clock: Clock;
  readonly downloads: Downloads;
  /** Asks the host to stop everything; returns at once. */
  readonly shutdown: () => void;
  /** What the computer can do for the window; left out: nothing. */
  readonly platform?: PlatformServices;
}

/** The contract's handlers: they call the node and add what belongs to the carrier (watching, downloads, time limits). */
export function createHandlers(
  node: NodeServices,
  { clock, downloads, shutdown, platform = noPlatform }: HandlersOptions,
): Handlers<AppContract> {
  const on =
    (...names: (keyof NodeEvents)[]): Hints =>
    (changed) => {
      const ends = names.map((name) => node.events.on(name, changed));
      return () => ends.forEach((end) => end());
    };

  function offerBytes(fileName: string, bytes: Uint8Array) {
    const url = downloads.offer({
      fileName,
      open: (start, end) =>
        Promise.resolve({ size: bytes.length, bytes: oneChunk(bytes.subarray(start, end ?? bytes.length)) }),
    });
    return { url, size: bytes.length };
  }

  return {
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
            size: input.size,
            take: (bytes, reading) => node.files.write(input, bytes, reading),
          }),
        };
      },
      async proof(input, signal) {
        return offerBytes(`${input.path.split('/').at(-1)}.proof`, await node.files.proof(input, signal));
      },
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
    platform: createPlatformHandlers(node, platform, clock),
  };
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
