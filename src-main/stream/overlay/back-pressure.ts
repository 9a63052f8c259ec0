import { rules } from './types.ts';

/**
 * What one child gets when its link is slow. Its queue holds at most `queueMs` of media: then the next GOP comes in a lower
 * rendition, what does not fit until then is left out, and sound (the last rung) is given up last. One slow child never delays
 * the others.
 */
export interface Pressure {
  /** No rendition better than this is pushed; 0: no limit. */
  readonly floor: number;
  /** Parts are left out until the next one that is independent. */
  readonly skipping: boolean;
  /** Since when the queue has been short; null while it is not. ms. */
  readonly calmSince: number | null;
  /** How long it must be short before a better rendition is tried: doubles each time that failed. */
  readonly raiseAfterMs: number;
  /** When the floor was last changed. ms. */
  readonly changedAt: number;
}

const firstRaiseMs = 10_000;
const longestRaiseMs = 160_000;
const calmMs = 200;
/** Between two steps down: the lower rung must have had a chance to drain the queue. */
const stepMs = 1_500;

export const noPressure: Pressure = {
  floor: 0,
  skipping: false,
  calmSince: null,
  raiseAfterMs: firstRaiseMs,
  changedAt: Number.NEGATIVE_INFINITY,
};

export interface PressedPart {
  /** Media waiting for this child before this part, ms. */
  readonly queuedMs: number;
  readonly rendition: number;
  readonly independent: boolean;
}

/**
 * Decides over one part that a child is to get.
 * @param last index of the lowest rung (sound alone)
 * @param best the best rendition the child wants
 * @param slack > 1 right after it came, when it gets a burst
 */
export function press(
  before: Pressure,
  part: PressedPart,
  { last, best, slack, now }: { last: number; best: number; slack: number; now: number },
): { readonly pressure: Pressure; readonly push: boolean } {
  const { queuedMs, rendition, independent } = part;
  let { floor, skipping, calmSince, raiseAfterMs, changedAt } = before;
  const current = Math.max(floor, best);

  if (queuedMs >= rules.queueWarnMs * slack) {
    calmSince = null;
    if (current < last && now - changedAt >= stepMs) {
      // It rose and fell again: the better rendition does not fit.
      if (now - changedAt < raiseAfterMs) raiseAfterMs = Math.min(longestRaiseMs, raiseAfterMs * 2);
      floor = current + 1;
      changedAt = now;
    }
  } else if (queuedMs <= calmMs) {
    calmSince ??= now;
    if (floor > best && now - Math.max(calmSince, changedAt) >= raiseAfterMs) {
      floor -= 1;
      changedAt = now;
      calmSince = now;
    }
  } else {
    calmSince = null;
  }

  const limit = (rendition === last ? 2 : 1) * rules.queueMs * slack;
  if (queuedMs >= limit) skipping = true;
  else if (skipping && independent) skipping = false;

  const same =
    floor === before.floor &&
    skipping === before.skipping &&
    calmSince === before.calmSince &&
    raiseAfterMs === before.raiseAfterMs;
  return {
    pressure: same ? before : { floor, skipping, calmSince, raiseAfterMs, changedAt },
    push: !skipping,
  };
}
