import type { Clock } from './runtime.ts';

/**
 * A clock for everything that waits: when the computer's own is set back, this one goes on, so that what is due in a second does
 * not become due in a day. It tells no time of day.
 */
export function createSteadyClock(clock: Clock): Clock {
  let last = clock.now();
  let ahead = 0;
  return {
    now() {
      const time = clock.now();
      if (time < last) ahead += last - time;
      last = time;
      return time + ahead;
    },
    after: (ms, fn) => clock.after(ms, fn),
  };
}
