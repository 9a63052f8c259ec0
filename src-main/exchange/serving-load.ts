import type { Clock } from '../../src-shared/runtime.ts';
import { createRateMeter } from './rate-meter.ts';
import { queueMs, takesOn } from './source-choice.ts';

/** What one of those who ask has asked for here and not been given. Bytes are upper bounds of ciphertext. */
export interface LoadShare {
  /** Whether a block is taken on, or sent back as there is too much to do for others. */
  takesOn(bytes: number): boolean;
  add(bytes: number): void;
  /** Answered, or no longer wanted. @param sent bytes that went out for it */
  done(bytes: number, sent: number): void;
  /** How long what all others have asked for keeps this node busy. ms */
  waitMs(): number;
  /** The stream ended. */
  close(): void;
}

/** What this node has been asked for by all together, and how fast it sends. */
export interface ServingLoad {
  share(): LoadShare;
}

export function createServingLoad(clock: Clock): ServingLoad {
  const meter = createRateMeter(clock);
  let total = 0;

  function change(bytes: number): void {
    if (total === 0 && bytes > 0) meter.start();
    total += bytes;
    if (total === 0) meter.pause();
  }

  return {
    share() {
      let own = 0;
      return {
        takesOn: (bytes) => takesOn(own, total - own, meter.rate(), bytes),
        add(bytes) {
          own += bytes;
          change(bytes);
        },
        done(bytes, sent) {
          // What was closed meanwhile is accounted for.
          const counted = Math.min(bytes, own);
          meter.received(sent);
          own -= counted;
          change(-counted);
        },
        waitMs: () => queueMs(total - own, meter.rate()),
        close() {
          change(-own);
          own = 0;
        },
      };
    },
  };
}
