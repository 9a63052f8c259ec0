import type { Clock } from '../../src-shared/runtime.ts';

/** Bytes a second while there is something to wait for; pauses do not count. */
export interface RateMeter {
  start(): void;
  received(bytes: number): void;
  pause(): void;
  /** null before the first measurement. */
  rate(): number | null;
}

/** Shorter spans say more about buffers than about the line. ms. */
const spanMs = 200;
const weight = 0.3;

export function createRateMeter(clock: Clock): RateMeter {
  let since: number | null = null;
  let bytes = 0;
  let busyMs = 0;
  let smoothed: number | null = null;

  function close(now: number): void {
    if (since === null) return;
    busyMs += now - since;
    since = now;
    if (busyMs < spanMs || bytes === 0) return;
    const rate = (bytes * 1000) / busyMs;
    smoothed = smoothed === null ? rate : smoothed + weight * (rate - smoothed);
    bytes = 0;
    busyMs = 0;
  }

  return {
    start() {
      since ??= clock.now();
    },
    received(n) {
      bytes += n;
      close(clock.now());
    },
    pause() {
      close(clock.now());
      since = null;
    },
    rate: () => smoothed,
  };
}
