import type { Clock } from '../../src-shared/runtime.ts';

/** A clock of the tests: time passes only by `advance`, which also lets promises run. */
export interface ManualClock extends Clock {
  advance(ms: number, step?: number): Promise<void>;
}

export function manualClock(start = 1_000_000): ManualClock {
  let now = start;
  let timers: { at: number; fn: () => void }[] = [];
  return {
    now: () => now,
    after(ms, fn) {
      const timer = { at: now + ms, fn };
      timers.push(timer);
      return () => void (timers = timers.filter((other) => other !== timer));
    },
    async advance(ms, step = ms) {
      for (let passed = 0; passed < ms; passed += step) {
        now += step;
        const due = timers.filter((timer) => timer.at <= now);
        timers = timers.filter((timer) => timer.at > now);
        for (const timer of due) timer.fn();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}
