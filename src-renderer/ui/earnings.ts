import type { StorageProof } from '../../src-shared/contract/index.ts';

/** Pay of one hour or one day of this computer's time. */
export interface Earned {
  /** When it begins, ms. */
  readonly from: number;
  /** For a chart: exact sums are the ledger's. */
  readonly amount: number;
}

/** So many hours or days are shown. */
const shown = { hour: 24, day: 31 } as const;

/** The beginning of the hour or day that is so many before the one of `now`. */
function beginning(by: 'hour' | 'day', now: number, before: number): number {
  const at = new Date(now);
  if (by === 'hour') {
    at.setMinutes(0, 0, 0);
    return at.getTime() - before * 3_600_000;
  }
  at.setHours(0, 0, 0, 0);
  // By the calendar: where clocks change, a day has 23 or 25 hours.
  at.setDate(at.getDate() - before);
  return at.getTime();
}

/** Sums of what proofs earned: the last 24 hours, or the last 31 days, the oldest first and empty ones with nothing. */
export function earningsBy(
  by: 'hour' | 'day',
  proofs: readonly Pick<StorageProof, 'time' | 'pay'>[],
  now: number,
): readonly Earned[] {
  const from = Array.from({ length: shown[by] }, (_, n) => beginning(by, now, shown[by] - 1 - n));
  const sums = from.map(() => 0);
  for (const { time, pay } of proofs) {
    const at = Date.parse(time);
    const place = from.findLastIndex((begin) => begin <= at);
    if (place >= 0) sums[place]! += Number(pay);
  }
  return from.map((begin, n) => ({ from: begin, amount: sums[n]! }));
}
