import type { Clock } from '../../src-shared/runtime.ts';

/** Virtual time: stands still while anything can go on, then jumps to the next timer. A run is a function of its seed. */
export interface Scheduler {
  /** ms since the simulation began; never goes back. */
  elapsed(): number;
  after(ms: number, fn: () => void): () => void;
  /** A computer's own clock, which may be set to another time while timers go on. */
  clock(start: number): Clock & { jump(ms: number): void };
  /** Lets time pass until `done`; throws when it takes more than `limit` ms of virtual time. */
  run(done: () => boolean, limit: number, what: () => string): Promise<void>;
  /** Lets time pass until the promise is settled. */
  wait<T>(promise: Promise<T>, limit: number, what: () => string): Promise<T>;
}

/** Turns of the event loop in which promises and slices of long work go on before a timer is due. */
const turns = 2;

export function createScheduler(): Scheduler {
  interface Timer {
    readonly at: number;
    readonly fn: () => void;
  }
  const timers: Timer[] = [];
  let now = 0;

  function after(ms: number, fn: () => void): () => void {
    const timer = { at: now + Math.max(0, ms), fn };
    let index = timers.length;
    while (index > 0 && timers[index - 1]!.at > timer.at) index--;
    timers.splice(index, 0, timer);
    return () => {
      const at = timers.indexOf(timer);
      if (at >= 0) timers.splice(at, 1);
    };
  }

  const scheduler: Scheduler = {
    elapsed: () => now,
    after,
    clock(start) {
      let offset = start;
      return { now: () => Math.floor(offset + now), after, jump: (ms) => void (offset += ms) };
    },
    async run(done, limit, what) {
      const end = now + limit;
      for (let idle = 0; !done();) {
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
        if (done()) return;
        const next = timers.shift();
        if (next === undefined) {
          // Long work may take more turns than a timer is waited for; nothing left at all means stuck.
          if (++idle > 1000) throw new Error(`nothing more happens: ${what()}`);
          continue;
        }
        idle = 0;
        if (next.at > end) throw new Error(`not within ${limit} ms of virtual time: ${what()}`);
        now = next.at;
        next.fn();
      }
    },
    async wait(promise, limit, what) {
      let settled = false;
      const noted = promise.finally(() => (settled = true));
      noted.catch(() => {});
      await scheduler.run(() => settled, limit, what);
      return promise;
    },
  };
  return scheduler;
}
