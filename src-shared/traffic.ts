import type { TrafficSlot } from './contract/index.ts';

/** Traffic of one stretch of time as people read it: an hour, a day. */
export interface TrafficSum {
  /** Its beginning, ms since the epoch. */
  readonly from: number;
  /** Bytes. */
  readonly sent: number;
  readonly received: number;
}

export const startOfHour = (time: number): number => new Date(time).setMinutes(0, 0, 0);
export const startOfDay = (time: number): number => new Date(time).setHours(0, 0, 0, 0);

/**
 * Adds slots up by hours or days of this computer's calendar; what carried nothing is left out.
 * @param startOf the beginning of the stretch a moment lies in, ms since the epoch
 * @returns oldest first
 */
export function sumTraffic(
  slots: readonly TrafficSlot[],
  startOf: (time: number) => number,
): readonly TrafficSum[] {
  const sums = new Map<number, TrafficSum>();
  for (const { time, sent, received } of slots) {
    const from = startOf(Date.parse(time));
    const before = sums.get(from);
    sums.set(from, { from, sent: sent + (before?.sent ?? 0), received: received + (before?.received ?? 0) });
  }
  return [...sums.values()].toSorted((a, b) => a.from - b.from);
}
