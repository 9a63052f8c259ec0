import type { Clock } from '../../src-shared/runtime.ts';

/**
 * Holds a rate by a token bucket that may go into debt: whoever comes while there is credit passes at once, whatever it
 * takes, and those after wait, first come first served, until the debt is paid. With one request outstanding per stream
 * this shares the rate evenly among streams.
 */
export interface Shaper {
  /** Takes `bytes`; null when there is no need to wait. */
  take(bytes: number): Promise<void> | null;
  /** For what has happened already: counts `bytes` and waits until they are paid for; null when that is now. */
  charge(bytes: number): Promise<void> | null;
  /** Bytes a second; null lets everything through. */
  setRate(rate: number | null): void;
  /** The most one request should take, so that others get their turn soon. */
  slice(): number;
  /** Lets all waiters go. */
  stop(): void;
}

/** Credit that may pile up while idle, seconds. */
const burst = 0.1;
const largestSlice = 64 * 1024;

export function createShaper(clock: Clock, initial: number | null): Shaper {
  let rate = initial;
  let tokens = 0;
  let last = clock.now();
  let cancel: (() => void) | null = null;
  const waiting: { bytes: number; go: () => void }[] = [];

  function refill(): void {
    const now = clock.now();
    if (rate !== null) tokens = Math.min(tokens + (rate * Math.max(0, now - last)) / 1000, rate * burst);
    last = now;
  }

  function serve(): void {
    cancel?.();
    cancel = null;
    refill();
    while (waiting.length > 0 && (rate === null || tokens >= 0)) {
      const next = waiting.shift()!;
      tokens -= next.bytes;
      next.go();
    }
    if (waiting.length > 0 && rate !== null) {
      cancel = clock.after(Math.max(1, Math.ceil((-tokens / rate) * 1000)), serve);
    }
  }

  function wait(bytes: number): Promise<void> {
    return new Promise<void>((go) => {
      waiting.push({ bytes, go });
      if (!cancel) serve();
    });
  }

  return {
    take(bytes) {
      if (rate === null) return null;
      refill();
      if (waiting.length > 0 || tokens < 0) return wait(bytes);
      tokens -= bytes;
      return null;
    },
    charge(bytes) {
      if (rate === null) return null;
      refill();
      tokens -= bytes;
      return tokens >= 0 ? null : wait(0);
    },
    setRate(next) {
      refill();
      rate = next;
      // Old debt counted in seconds of the old rate would stall a lowered one for long.
      tokens = next === null ? 0 : Math.max(tokens, -next);
      serve();
    },
    slice() {
      if (rate === null) return Number.MAX_SAFE_INTEGER;
      return Math.min(largestSlice, Math.max(1024, Math.floor(rate / 20)));
    },
    stop() {
      rate = null;
      serve();
    },
  };
}
