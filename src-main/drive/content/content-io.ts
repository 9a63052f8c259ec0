import { availableParallelism } from 'node:os';
import { MessageChannel } from 'node:worker_threads';
import { AppError } from '../../../src-shared/errors.ts';
import { silentLogger, type Logger } from '../../../src-shared/runtime.ts';
import { createDiskFlush } from './disk-flush.ts';
import { fileError } from './file-error.ts';
import {
  packBytes,
  packRefs,
  refBuffers,
  revivedError,
  unpackRefs,
  type ControlMessage,
  type IndexItem,
  type IndexResult,
  type PlainError,
  type SealedMessage,
} from './messages.ts';
import { createLanes } from './lanes.ts';
import type {
  ContentIo,
  CopyRequest,
  FileStamp,
  FinishRequest,
  Indexed,
  IndexInput,
  PlaceRequest,
  SealedBlock,
  SealRequest,
} from './types.ts';

export interface ContentIoOptions {
  /** Worker threads; default one less than cores, 1 to 8. */
  readonly threads?: number;
  /** The worker's program, when it is not `worker.ts` beside this file (a bundle). */
  readonly workerUrl?: URL;
  readonly logger?: Logger;
}

/** Files of one index task, and bytes and items of one task with content. */
const indexBatch = 64;
const byteBatch = 4 * 1024 * 1024;
const itemBatch = 256;

/**
 * `ContentIo` over worker threads and the real file system. Threads start when first needed. Batches are cut into tasks of a
 * few milliseconds to some megabytes, so that a long one keeps nobody waiting.
 */
export function createContentIo(options: ContentIoOptions = {}): ContentIo {
  const lanes = createLanes({
    threads: options.threads ?? Math.min(8, Math.max(1, availableParallelism() - 1)),
    workerUrl: options.workerUrl ?? new URL('./worker.ts', import.meta.url),
    logger: options.logger ?? silentLogger,
  });
  const disk = createDiskFlush();
  const stopping = new AbortController();

  /** Runs tasks over runs of `items`; a task that fails as a whole (a crashed worker) is the answer of each of its items. */
  async function inRuns<T, R>(
    items: readonly T[],
    runs: readonly (readonly number[])[],
    work: (run: readonly T[], numbers: readonly number[]) => Promise<readonly (R | Error)[]>,
  ): Promise<(R | Error)[]> {
    const results = new Array<R | Error>(items.length);
    await Promise.all(
      runs.map(async (run) => {
        let answers: readonly (R | Error)[];
        try {
          answers = await work(
            run.map((i) => items[i]!),
            run,
          );
        } catch (error) {
          answers = run.map(() => fileError(error, ''));
        }
        for (const [k, i] of run.entries()) results[i] = answers[k]!;
      }),
    );
    return results;
  }

  const orNull = (errors: readonly (PlainError | null)[]): (Error | null)[] =>
    errors.map((error) => error && revivedError(error));

  async function indexRun(
    inputs: readonly IndexInput[],
    signal: AbortSignal | undefined,
  ): Promise<(Indexed | Error)[]> {
    if (stopping.signal.aborted) return inputs.map(shuttingDown);
    if (signal?.aborted) return inputs.map(cancelled);
    const items: IndexItem[] = [];
    const previous = inputs.flatMap((input) => input.previous?.blocks ?? []);
    let start = 0;
    for (const { path, seal, previous: before, onSealed } of inputs) {
      const count = before?.blocks.length ?? 0;
      items.push({
        path,
        epoch: seal.epoch,
        key: seal.key,
        wantsSealed: onSealed !== undefined,
        start,
        count,
      });
      start += count;
    }
    const packed = packRefs(previous);
    const { port1, port2 } = new MessageChannel();
    const failed = new Map<number, Error>();
    const abort = (): void => port1.postMessage('abort' satisfies ControlMessage);
    port1.on('message', (message: SealedMessage) => {
      void deliver(inputs, message, failed).then(() => port1.postMessage('credit' satisfies ControlMessage));
    });
    signal?.addEventListener('abort', abort);
    stopping.signal.addEventListener('abort', abort);
    try {
      const task = { op: 'index', inputs: items, previous: packed, port: port2 } as const;
      const result = await lanes.run<IndexResult>('any', task, [port2, ...refBuffers(packed)]);
      return result.answers.map((answer, i) => {
        if (answer.error) return failed.get(i) ?? revivedError(answer.error);
        const { error: _, stamp, start: from, count, ...content } = answer;
        const blocks = unpackRefs(result.refs, from, count);
        return failed.get(i) ?? { stamp, content: { kind: 'file', ...content, blocks } };
      });
    } finally {
      signal?.removeEventListener('abort', abort);
      stopping.signal.removeEventListener('abort', abort);
      port1.close();
    }
  }

  return {
    async index(inputs, signal) {
      // Few at once, so that a long import leaves room for peers that wait for blocks.
      return inRuns(
        inputs,
        runsOf(inputs, indexBatch, (input) => input.previous?.size ?? 0),
        (run) => lanes.longTask(() => indexRun(run, signal)),
      );
    },
    async seal(requests) {
      const runs = runsOf(requests, itemBatch, (request) => request.ref.len);
      const results = new Array<Uint8Array | null>(requests.length).fill(null);
      await Promise.all(
        runs.map(async (run) => {
          const refs = packRefs(run.map((i) => requests[i]!.ref));
          const items = run.map((i) => withoutRef(requests[i]!));
          const answers = await lanes.run<(Uint8Array | null)[]>(
            'any',
            { op: 'seal', items, refs },
            refBuffers(refs),
          );
          for (const [k, i] of run.entries()) results[i] = answers[k]!;
        }),
      );
      return results;
    },
    async place(requests) {
      const bytes = ownBytes(requests);
      const runs = perPath(requests, (request) => request.path, lanes.count);
      return inRuns(requests, runs, async (run, numbers) => {
        const refs = packRefs(run.map((request) => request.ref));
        const { views, transfer } = packBytes(numbers.map((i) => bytes[i]!));
        const items = run.map(({ path, offsets, key }, i) => ({ path, offsets, key, ciphertext: views[i]! }));
        const task = { op: 'place', items, refs } as const;
        const lane = laneOf(run[0]!.path, lanes.count);
        return orNull(await lanes.run(lane, task, [...transfer, ...refBuffers(refs)]));
      });
    },
    async copy(requests) {
      const runs = perPath(requests, (request) => request.to, lanes.count, 16 * byteBatch);
      return inRuns(requests, runs, async (run) => {
        const refs = packRefs(run.map((request) => request.ref));
        const items = run.map(({ from, fromOffset, to, toOffset }) => ({ from, fromOffset, to, toOffset }));
        return orNull(await lanes.run('any', { op: 'copy', items, refs }, refBuffers(refs)));
      });
    },
    async finish(requests) {
      const runs = perPath(requests, (request) => request.temp, lanes.count);
      return inRuns<FinishRequest, FileStamp>(requests, runs, async (run) => {
        const items = run.map(({ temp, fsync, content: { size, mtime, exec, inline } }) => {
          return { temp, fsync, size, mtime, exec, inline };
        });
        const lane = laneOf(run[0]!.temp, lanes.count);
        const answers = await lanes.run<(FileStamp | { error: PlainError })[]>(
          lane,
          { op: 'finish', items },
          [],
        );
        return answers.map((answer) => ('error' in answer ? revivedError(answer.error) : answer));
      });
    },
    syncFileSystem: (path) => disk.flush(path),
    async open(ref, key, ciphertext) {
      const refs = packRefs([ref]);
      const task = { op: 'open', key, ciphertext, refs } as const;
      const answer = await lanes.run<[Uint8Array] | { error: PlainError }>('any', task, refBuffers(refs));
      if ('error' in answer) throw revivedError(answer.error);
      return answer[0];
    },
    async stop() {
      stopping.abort();
      await lanes.stop();
      await disk.stop();
    },
  };
}

const shuttingDown = (): AppError => new AppError('shutting_down', 'The node is shutting down.');
const cancelled = (): AppError => new AppError('cancelled', 'Reading the files was cancelled.');
const withoutRef = ({ path, offset, key, stamp }: SealRequest): Omit<SealRequest, 'ref'> => ({
  path,
  offset,
  key,
  stamp,
});

async function deliver(
  inputs: readonly IndexInput[],
  { items, refs: packed }: SealedMessage,
  failed: Map<number, Error>,
): Promise<void> {
  const refs = unpackRefs(packed);
  const groups = new Map<number, SealedBlock[]>();
  for (const [i, { input, offset, ciphertext }] of items.entries()) {
    const block = { ref: refs[i]!, offset, ciphertext };
    const group = groups.get(input);
    if (group) group.push(block);
    else groups.set(input, [block]);
  }
  for (const [input, blocks] of groups) {
    if (failed.has(input)) continue;
    try {
      await inputs[input]!.onSealed?.(blocks);
    } catch (error) {
      failed.set(input, fileError(error, inputs[input]!.path));
    }
  }
}

/** Consecutive item numbers, cut by count and by bytes. */
function runsOf<T>(items: readonly T[], most: number, bytesOf: (item: T) => number = () => 0): number[][] {
  const runs: number[][] = [];
  let bytes = Infinity;
  for (const [i, item] of items.entries()) {
    const length = bytesOf(item);
    if (bytes + length > byteBatch || runs.at(-1)!.length >= most) {
      runs.push([]);
      bytes = 0;
    }
    runs.at(-1)!.push(i);
    bytes += length;
  }
  return runs;
}

/** All work on one temp file is done by one thread, which keeps it open; in order. */
function perPath<T extends CopyRequest | PlaceRequest | FinishRequest>(
  items: readonly T[],
  pathOf: (item: T) => string,
  lanes: number,
  mostBytes: number = byteBatch,
): number[][] {
  const runs: number[][] = [];
  const current = new Map<number, { run: number[]; bytes: number }>();
  for (const [i, item] of items.entries()) {
    const lane = laneOf(pathOf(item), lanes);
    const length = 'ref' in item ? item.ref.len : 0;
    let open = current.get(lane);
    if (!open || open.run.length >= itemBatch || open.bytes + length > mostBytes) {
      current.set(lane, (open = { run: [], bytes: 0 }));
      runs.push(open.run);
    }
    open.run.push(i);
    open.bytes += length;
  }
  return runs;
}

/** FNV-1a, so that a path always meets the same thread. */
function laneOf(path: string, lanes: number): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) sum = Math.imul(sum ^ path.charCodeAt(i), 0x01000193);
  return (sum >>> 0) % lanes;
}

/** The ciphertexts of a call; one that is named twice is copied, since it can be handed over once only. */
function ownBytes(requests: readonly PlaceRequest[]): Uint8Array[] {
  const seen = new Set<ArrayBufferLike>();
  return requests.map(({ ciphertext }) => {
    if (ciphertext.buffer instanceof SharedArrayBuffer) return ciphertext;
    if (seen.has(ciphertext.buffer)) return ciphertext.slice();
    seen.add(ciphertext.buffer);
    return ciphertext;
  });
}
