import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';

/** Callers that wait until something is true of the engine. */
export interface Waiters {
  /** @throws AppError `shutting_down` when syncing is stopped meanwhile; the signal's reason when that is aborted */
  until(condition: () => boolean, signal?: AbortSignal): Promise<void>;
  /** Something changed: they look again. */
  look(): void;
}

/** They look by themselves, too, as conditions may rest on time. ms. */
const lookEvery = 100;

/** @param stopping whether the engine ends: nothing is waited for any more */
export function createWaiters(clock: Clock, stopping: () => boolean): Waiters {
  let waiting: (() => void)[] = [];
  return {
    async until(condition, signal) {
      while (!condition()) {
        signal?.throwIfAborted();
        if (stopping()) throw new AppError('shutting_down', 'Syncing was stopped.');
        let cancel = (): void => {};
        await new Promise<void>((done) => {
          waiting.push(done);
          cancel = clock.after(lookEvery, done);
          signal?.addEventListener('abort', () => done(), { once: true });
        });
        cancel();
      }
    },
    look() {
      const woken = waiting;
      waiting = [];
      for (const done of woken) done();
    },
  };
}
