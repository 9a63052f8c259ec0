import type { Clock } from './runtime.ts';

/** Node and browsers have the same timers, and the types of neither are here. */
const timers = globalThis as unknown as {
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
};

/** The time of day (ms since 1970) and real timers. Timers keep a process alive, where `systemClock` of `platform` lets it end. */
export const wallClock: Clock = {
  now: () => Date.now(),
  after(ms, fn) {
    const timer = timers.setTimeout(fn, ms);
    return () => timers.clearTimeout(timer);
  },
};
