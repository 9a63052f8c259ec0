/** What a player does about its distance from the live edge. */
export type CatchUp = { readonly rate: number } | { readonly skip: true };

const late = 0.3;
const inTime = 0.1;
const tooLate = 3;

/**
 * Plays a little faster when it is behind and jumps when it is far behind. hls.js does the first only with more than a second
 * buffered, which a low-latency player never has. Pure.
 * @param behind seconds behind where it should be (not behind the edge)
 * @param rate at which it plays now
 */
export function catchUp(behind: number, rate: number): CatchUp {
  if (behind > tooLate) return { skip: true };
  if (behind > late) return { rate: 1.05 };
  // Once it runs faster it does so until it is there, or it would change all the time.
  if (behind > inTime && rate > 1) return { rate };
  return { rate: 1 };
}

/** A lower quality after two stalls in this time, a higher one again after so long without, ms. */
const stallsWithin = 20_000;
const calmFor = 60_000;

/**
 * Which quality "auto" plays. Bandwidth between a player and its own node tells nothing, so stalls decide: the node itself already
 * takes what its parent can give. Pure.
 */
export function createAutoQuality(levels: number) {
  let below = 0;
  let stalls: number[] = [];
  let changed = Number.NEGATIVE_INFINITY;
  return {
    stalled(now: number): void {
      stalls = [...stalls.filter((at) => now - at < stallsWithin), now];
      if (stalls.length < 2 || below >= levels - 1) return;
      below += 1;
      stalls = [];
      changed = now;
    },
    /** Steps below the best. */
    below(now: number): number {
      const last = Math.max(changed, stalls.at(-1) ?? Number.NEGATIVE_INFINITY);
      if (below > 0 && now - last > calmFor) {
        below -= 1;
        changed = now;
      }
      return below;
    },
  };
}
