import { stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { CheckpointAnswer, CheckpointRequest } from './checkpoint-worker.ts';
import type { Database } from './database.ts';

/**
 * Moves write-ahead logs into their databases in a thread of its own. SQLite does it inside some commit otherwise, with two
 * flushes of the disk, for which the main thread would stand still (30 to 300 ms on a busy disk).
 */
export interface Checkpointer {
  /**
   * Takes a database over. @returns to be called, and awaited, before it is closed
   */
  add(db: Database): () => Promise<void>;
  /** Ends the thread. */
  stop(): Promise<void>;
}

/** ms between two looks at a log. */
const interval = 1000;
/** ms without work after which the thread ends: it takes some megabytes. */
const idleAfter = 15_000;
/**
 * A log starts over only when all of it is in the database at the time of a write, which a busy writer never waits for. From
 * this length (bytes) on, the last few pages are moved by the writer itself.
 */
const longLog = 128 * 1024 * 1024;
const fewPages = 2000;
const pageBytes = 4096;

export function createCheckpointer(deps: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly workerUrl?: URL;
}): Checkpointer {
  const { clock, logger } = deps;
  const loops = new Set<() => Promise<void>>();
  let worker: Worker | null = null;
  let answers: ((answer: CheckpointAnswer) => void)[] = [];
  let cancelIdle: (() => void) | null = null;

  function start(): Worker {
    const made = new Worker(deps.workerUrl ?? new URL('./checkpoint-worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    });
    made.unref();
    made.on('message', (answer: CheckpointAnswer) => answers.shift()?.(answer));
    const gone = (error: string): void => {
      if (worker === made) worker = null;
      const lost = answers;
      answers = [];
      for (const done of lost) done({ log: 0, done: 0, error });
    };
    made.on('error', (error) => gone(error instanceof Error ? error.message : 'the thread failed'));
    made.on('exit', () => gone('the thread ended'));
    return made;
  }

  function rest(): void {
    cancelIdle?.();
    cancelIdle = clock.after(idleAfter, () => {
      if (answers.length > 0) return rest();
      void worker?.terminate();
      worker = null;
    });
  }

  function ask(path: string): Promise<CheckpointAnswer> {
    worker ??= start();
    rest();
    const asked = worker;
    return new Promise((done) => {
      answers.push(done);
      asked.postMessage({ path } satisfies CheckpointRequest);
    });
  }

  return {
    add(db) {
      db.pragma('wal_autocheckpoint = 0');
      const log = `${db.name}-wal`;
      let lastWrite = 0;
      let ended = false;
      let cancel: (() => void) | null = null;
      let looking: Promise<void> = Promise.resolve();

      async function look(): Promise<void> {
        const found = await stat(log).catch(() => null);
        if (found === null || found.size === 0 || found.mtimeMs === lastWrite) return;
        lastWrite = found.mtimeMs;
        const { log: pages, done, error } = await ask(db.name);
        if (error !== null) logger.warn({ error }, 'a write-ahead log could not be moved into its database');
        const left = pages - done;
        if (error === null && pages * pageBytes > longLog && left < fewPages && !ended && db.open) {
          db.pragma('wal_checkpoint(PASSIVE)');
        }
      }

      function arm(): void {
        if (ended) return;
        cancel = clock.after(interval, () => {
          looking = look().finally(arm);
        });
      }
      arm();
      const end = async (): Promise<void> => {
        ended = true;
        cancel?.();
        loops.delete(end);
        await looking;
      };
      loops.add(end);
      return end;
    },
    async stop() {
      await Promise.all([...loops].map((end) => end()));
      cancelIdle?.();
      await worker?.terminate();
      worker = null;
    },
  };
}
