import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';

/** Gives the turn back; may be called more than once. */
export interface Turn {
  (): void;
  /** Something moved: the turn is kept for as long again. */
  progress(): void;
}

/** One holder at a time, first come first served; whoever makes no progress for a while stops keeping the others. */
export interface TurnQueue {
  /** Rejects with `cancelled` when the signal aborts first. */
  take(signal: AbortSignal): Promise<Turn>;
}

/** @param patienceMs how long a holder may go without progress before the next one is let in beside it */
export function createTurnQueue(clock: Clock, patienceMs: number): TurnQueue {
  const waiting: (() => void)[] = [];
  let taken = false;

  function turn(): Turn {
    let held = true;
    let cancel = () => {};
    const give = () => {
      if (!held) return;
      held = false;
      cancel();
      const next = waiting.shift();
      if (next) next();
      else taken = false;
    };
    const progress = () => {
      cancel();
      if (held) cancel = clock.after(patienceMs, give);
    };
    progress();
    return Object.assign(give, { progress });
  }

  return {
    async take(signal) {
      if (taken) {
        await new Promise<void>((resolve, reject) => {
          const enter = () => {
            signal.removeEventListener('abort', leave);
            resolve();
          };
          const leave = () => {
            const at = waiting.indexOf(enter);
            if (at >= 0) waiting.splice(at, 1);
            reject(new AppError('cancelled', 'No longer wanted.'));
          };
          if (signal.aborted) return leave();
          signal.addEventListener('abort', leave, { once: true });
          waiting.push(enter);
        });
      }
      taken = true;
      return turn();
    },
  };
}
