import { Worker } from 'node:worker_threads';
import { AppError } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';
import type { Replay } from '../execute/replay.ts';

export interface ReplayStart {
  /** The ledger's database, which may be in use. */
  readonly file: string;
  /** A database that is made for it; the caller throws it away. */
  readonly scratch: string;
  /** Encoded. */
  readonly genesis: Uint8Array;
  /** Of the ledger that the genesis continues, where it is here. */
  readonly previousFile: string | null;
}

export type ReplayAnswer =
  | { readonly ok: true; readonly result: Replay }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

/**
 * Runs all blocks of a chain once more (see `replay`) in a thread of its own, which ends with it.
 * @throws AppError `cancelled`, and those of opening the databases
 */
export async function replayInThread(start: ReplayStart, signal: AbortSignal): Promise<Replay> {
  if (signal.aborted) throw cancelled();
  const worker = new Worker(new URL('./replay-worker.ts', import.meta.url), {
    workerData: start,
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 512 },
  });
  worker.unref();
  const { promise, resolve, reject } = Promise.withResolvers<Replay>();
  const cancel = (): void => reject(cancelled());
  signal.addEventListener('abort', cancel, { once: true });
  worker.on('message', (answer: ReplayAnswer) => {
    if (answer.ok) resolve(answer.result);
    else reject(new AppError(answer.code, answer.message));
  });
  worker.on('error', (cause) =>
    reject(new AppError('internal', 'Running the chain again failed by an error of the program.', { cause })),
  );
  worker.on('exit', () =>
    reject(new AppError('internal', 'The thread that ran the chain again ended early.')),
  );
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', cancel);
    await worker.terminate();
  }
}

const cancelled = (): AppError => new AppError('cancelled', 'It was cancelled.');
