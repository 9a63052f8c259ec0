import { isAppError } from '../../../src-shared/errors.ts';
import type { ContentIo, PlaceRequest } from '../../drive/index.ts';

/** Writes received blocks into temp files: those that come while a batch is being written make up the next. */
export interface Placer {
  /** Resolves when the block was checked and written; rejects with what was wrong with it or with the disk. */
  place(request: PlaceRequest): Promise<void>;
  /** Resolves when what was asked so far is done, well or not. */
  settled(): Promise<void>;
}

const batchBlocks = 256;
/** Few megabytes a batch: the memory of a received block is free again as soon as its batch is written. */
const batchBytes = 4 * 1024 * 1024;

interface Waiting {
  readonly request: PlaceRequest;
  done(): void;
  fail(error: Error): void;
}

export function createPlacer(content: Pick<ContentIo, 'place'>, diskFull: () => void): Placer {
  const queue: Waiting[] = [];
  let running: Promise<void> | null = null;

  function nextBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { request } of queue) {
      if (count > 0 && (count >= batchBlocks || bytes + request.ref.len > batchBytes)) break;
      bytes += request.ref.len;
      count++;
    }
    return queue.splice(0, count);
  }

  async function run(): Promise<void> {
    // What is asked for in one breath goes together.
    await Promise.resolve();
    while (queue.length > 0) {
      const batch = nextBatch();
      try {
        const results = await content.place(batch.map(({ request }) => request));
        batch.forEach((one, index) => {
          const result = results[index];
          if (result instanceof Error) one.fail(result);
          else one.done();
        });
        if (results.some((result) => isAppError(result, 'disk_full'))) diskFull();
      } catch (error) {
        for (const one of batch) one.fail(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  return {
    place(request) {
      return new Promise((done, fail) => {
        queue.push({ request, done, fail });
        running ??= run().finally(() => {
          running = null;
        });
      });
    },
    async settled() {
      while (running !== null) await running;
    },
  };
}
