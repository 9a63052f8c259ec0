import type { Clock } from '../../../src-shared/runtime.ts';

/** Calls at once, then at most every `ms`; the last call is never lost. */
export function coalesce(clock: Clock, ms: number, run: () => void): { (): void; stop(): void } {
  let last = -Infinity;
  let cancel: (() => void) | null = null;
  const fire = (): void => {
    cancel = null;
    last = clock.now();
    run();
  };
  const call = (): void => {
    if (cancel) return;
    const wait = last + ms - clock.now();
    if (wait <= 0 || wait > ms) fire();
    else cancel = clock.after(wait, fire);
  };
  return Object.assign(call, {
    stop() {
      cancel?.();
      cancel = () => {};
    },
  });
}
