import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work a slice may take before others get their turn, ms. */
const sliceMs = 8;

/** A function to await between pieces of long work: it gives up the thread when the slice is used up. */
export function createPace(): () => Promise<void> {
  let start = performance.now();
  return async () => {
    if (performance.now() - start < sliceMs) return;
    await nextTurn();
    start = performance.now();
  };
}

/** Runs one piece of work after another, in the order of the calls. */
export function createMutex(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}
