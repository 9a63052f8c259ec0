import { describe, expect, it } from 'vitest';
import { earningsBy } from './earnings.ts';

const now = new Date(2026, 10, 27, 14, 30).getTime();
const proof = (day: number, hour: number, pay: string) => ({
  time: new Date(2026, 10, day, hour, 5).toISOString(),
  pay,
});

describe('earnings over time', () => {
  it('are summed by hours, with the hours that earned nothing', () => {
    const sums = earningsBy('hour', [proof(27, 14, '0.5'), proof(27, 13, '1'), proof(27, 13, '0.25')], now);
    expect(sums).toHaveLength(24);
    expect(sums.slice(-3).map(({ amount }) => amount)).toEqual([0, 1.25, 0.5]);
    expect(new Date(sums[0]!.from)).toEqual(new Date(2026, 10, 26, 15));
  });

  it('are summed by days of the calendar, and leave out what is older', () => {
    const old = { time: new Date(2026, 9, 27, 23, 59).toISOString(), pay: '100' };
    const sums = earningsBy('day', [proof(27, 0, '2'), proof(26, 23, '3'), old], now);
    expect(sums).toHaveLength(31);
    expect(sums.slice(-2).map(({ amount }) => amount)).toEqual([3, 2]);
    expect(sums.reduce((sum, one) => sum + one.amount, 0)).toBe(5);
    for (const { from } of sums) expect(new Date(from).getHours()).toBe(0);
  });
});
