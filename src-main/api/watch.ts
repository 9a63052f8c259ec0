import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import { diffWatched, diffWatchedList } from '../../src-shared/rpc/index.ts';
import type { WatchedItem, WatchedListItem } from '../../src-shared/rpc/index.ts';

/** Watchers are told at most four times a second. */
const interval = 250;
/** Events that may wait for a slow reader. */
const longestQueue = 1000;

/** Calls back whenever something may have changed; the returned function ends that. */
export type Hints = (changed: () => void) => () => void;

/** Resolves after the next hint, but no sooner than `interval` after the last time; false when aborted. */
function createPulse(hints: Hints, clock: Clock, signal: AbortSignal) {
  let dirty = false;
  let last = -Infinity;
  let wake = () => {};
  let cancelTimer = () => {};
  const end = hints(() => {
    dirty = true;
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  return {
    async next(): Promise<boolean> {
      for (;;) {
        if (signal.aborted) return false;
        const early = last + interval - clock.now();
        if (dirty && early <= 0) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (dirty) cancelTimer = clock.after(early, resolve);
        });
        cancelTimer();
      }
      dirty = false;
      last = clock.now();
      return true;
    },
    close() {
      end();
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    },
  };
}

/** That something may have changed, at most four times a second; the first time at once. */
export async function* watchHints(hints: Hints, clock: Clock, signal: AbortSignal): AsyncGenerator<true> {
  const pulse = createPulse(hints, clock, signal);
  try {
    yield true;
    while (await pulse.next()) yield true;
  } finally {
    pulse.close();
  }
}

async function* watch<T, S, P>(
  hints: Hints,
  read: () => Promise<T> | T,
  snapshot: (value: T) => S,
  diff: (before: T, now: T) => P | null,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<(S & { kind: 'snapshot'; n: number }) | (P & { kind: 'patch'; n: number })> {
  // Listens before it reads, so that nothing falls between the two.
  const pulse = createPulse(hints, clock, signal);
  try {
    let value = await read();
    let n = 0;
    yield { ...snapshot(value), kind: 'snapshot', n: n++ };
    while (await pulse.next()) {
      const now = await read();
      const patch = diff(value, now);
      value = now;
      if (patch !== null) yield { ...patch, kind: 'patch', n: n++ };
    }
  } finally {
    pulse.close();
  }
}

/** A watched object: snapshot, then what changed, at most four times a second. */
export function watchState<T extends object>(
  hints: Hints,
  read: () => Promise<T> | T,
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<WatchedItem<T>> {
  const diff = (before: T, now: T) => {
    const value = diffWatched(before, now);
    return value && { value };
  };
  return watch(hints, read, (value) => ({ value }), diff, clock, signal);
}

/** A watched list with keys. */
export function watchList<T>(
  hints: Hints,
  read: () => Promise<T[]> | T[],
  key: (item: T) => string,
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<WatchedListItem<T>> {
  const diff = (before: T[], now: T[]) => diffWatchedList(before, now, key);
  return watch(hints, read, (items) => ({ items }), diff, clock, signal);
}

/**
 * Every event, none left out: a reader that falls a thousand behind is refused with `rate_limited` and may subscribe
 * again.
 * @param listen calls back with each event; returns what ends that
 * @param backlog events to begin with, oldest first
 */
export async function* watchEvents<T>(
  listen: (onEvent: (event: T) => void) => () => void,
  backlog: () => readonly T[],
  signal: AbortSignal,
): AsyncGenerator<T> {
  const queue: T[] = [...backlog()];
  let overflow = false;
  let wake = () => {};
  const end = listen((event) => {
    if (queue.length >= longestQueue) overflow = true;
    else queue.push(event);
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  try {
    while (!signal.aborted) {
      if (queue.length > 0) yield queue.shift()!;
      else if (overflow) {
        throw new AppError('rate_limited', 'Events came faster than they were read; subscribe again.');
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    end();
    signal.removeEventListener('abort', onAbort);
  }
}
