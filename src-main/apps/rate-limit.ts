import type { Clock } from '../../src-shared/runtime.ts';

/** A token bucket: `burst` at once, `rate` a second after that. */
export function createRateLimit(clock: Clock, rate: number, burst: number): { take(): boolean } {
  let left = burst;
  let at = clock.now();
  return {
    take() {
      const now = clock.now();
      left = Math.min(burst, left + (Math.max(0, now - at) * rate) / 1000);
      at = now;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
