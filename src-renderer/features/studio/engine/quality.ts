/** What is taken back before anything drifts, in this order. Each step keeps those before it. */
export interface QualityStep {
  /** Only each n-th picture of the first rendition, and of the others. */
  readonly every: number;
  readonly everyOther: number;
  /** Share of the chosen bit rate. */
  readonly rate: number;
}

export const steps: readonly QualityStep[] = [
  { every: 1, everyOther: 1, rate: 1 },
  { every: 1, everyOther: 2, rate: 0.85 },
  { every: 2, everyOther: 3, rate: 0.7 },
  { every: 3, everyOther: 6, rate: 0.5 },
  { every: 6, everyOther: 6, rate: 0.35 },
];

export interface Load {
  /** Share of pictures that were left out though they were due, in the last second. */
  readonly dropped: number;
  /** Media that waits to leave this computer (encoder to node, node to the next ones), ms. */
  readonly waitingMs: number;
}

export interface QualityPilot {
  /** To be told once a second. */
  report(load: Load): void;
  readonly step: number;
  readonly reason: 'none' | 'machine' | 'uplink';
}

/** Seconds of trouble before a step is taken, of calm before one is given back, and how much longer after each relapse. */
const bad = 2;
const calm = 12;
const longestCalm = 120;

/**
 * Decides how much quality is taken back. Down quickly, up slowly, and slower each time that giving back was a mistake: pictures
 * that change their quality all the time are worse than a little less of it. Pure.
 */
export function createQualityPilot(most: number = steps.length - 1): QualityPilot {
  let step = 0;
  let reason: 'none' | 'machine' | 'uplink' = 'none';
  let badFor = 0;
  let calmFor = 0;
  let wait = calm;
  let sinceUp = Number.POSITIVE_INFINITY;
  return {
    report({ dropped, waitingMs }) {
      const slow = dropped > 0.1;
      const blocked = waitingMs > 600;
      sinceUp += 1;
      if (slow || blocked) {
        calmFor = 0;
        badFor += 1;
        if (badFor >= bad && step < most) {
          if (sinceUp <= 10) wait = Math.min(longestCalm, wait * 2);
          step += 1;
          badFor = 0;
        }
        reason = slow ? 'machine' : 'uplink';
        return;
      }
      badFor = 0;
      calmFor += 1;
      if (step > 0 && calmFor >= wait) {
        step -= 1;
        calmFor = 0;
        sinceUp = 0;
      }
      if (step === 0) {
        reason = 'none';
        if (sinceUp > longestCalm) wait = calm;
      }
    },
    get step() {
      return step;
    },
    get reason() {
      return reason;
    },
  };
}
