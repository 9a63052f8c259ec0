import { Piscina } from 'piscina';
import pLimit from 'p-limit';
import type { Transferable } from 'node:worker_threads';
import { AppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import type { Task } from './messages.ts';

/** A few worker threads, each with a number, so that work on one file can always go to the same one. */
export interface Lanes {
  readonly count: number;
  /**
   * Does a task on thread `lane`, or on the least busy one. Rejects with `internal` when the thread
   * died (it is replaced), with `shutting_down` after `stop`.
   */
  run<R>(lane: number | 'any', task: Task, transfer: readonly Transferable[]): Promise<R>;
  /** Holds back all but two such tasks a thread. */
  longTask<R>(work: () => Promise<R>): Promise<R>;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

const idleMs = 30_000;

export function createLanes(options: {
  readonly threads: number;
  readonly workerUrl: URL;
  readonly logger: Logger;
}): Lanes {
  // One pool of one thread each: piscina gives tasks to any thread of a pool, but open files belong to one.
  const pools = new Array<Piscina | null>(options.threads).fill(null);
  const load = new Array<number>(options.threads).fill(0);
  const underWay = new Set<Promise<unknown>>();
  const limit = pLimit(2 * options.threads);
  let stopped = false;

  function pool(lane: number): Piscina {
    let made = pools[lane];
    if (!made) {
      made = new Piscina({
        filename: options.workerUrl.href,
        minThreads: 0,
        maxThreads: 1,
        // Its heap is given back while nothing is to do; files it holds open are closed long before.
        idleTimeout: idleMs,
        concurrentTasksPerWorker: 16,
        // A thread asleep in Atomics.wait would not close idle files or hear a cancelled task.
        atomics: 'disabled',
        execArgv: [],
      });
      made.on('error', (error) => options.logger.error({ error: String(error) }, 'a content worker failed'));
      pools[lane] = made;
    }
    return made;
  }

  async function attempt<R>(lane: number, task: Task, transfer: readonly Transferable[]): Promise<R> {
    load[lane]!++;
    try {
      return (await pool(lane).run(task, { transferList: [...transfer] as never })) as R;
    } catch (error) {
      // Tasks answer with what failed inside them; a rejection means that the thread itself broke.
      throw new AppError('internal', 'A worker that reads and writes files failed.', { cause: error });
    } finally {
      load[lane]!--;
    }
  }

  return {
    count: options.threads,
    run<R>(lane: number | 'any', task: Task, transfer: readonly Transferable[]): Promise<R> {
      if (stopped) return Promise.reject(new AppError('shutting_down', 'The node is shutting down.'));
      const chosen = lane === 'any' ? load.indexOf(Math.min(...load)) : lane;
      const running = attempt<R>(chosen, task, transfer);
      underWay.add(running);
      const done = (): void => void underWay.delete(running);
      running.then(done, done);
      return running;
    },
    longTask: (work) => limit(work),
    async stop() {
      stopped = true;
      await Promise.allSettled([...underWay]);
      for (const made of pools) await made?.destroy();
    },
  };
}
