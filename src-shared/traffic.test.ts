import { expect, it } from 'vitest';
import { startOfDay, startOfHour, sumTraffic } from './traffic.ts';

it('adds traffic up by the hours and days of the calendar here', () => {
  const at = (day: number, hour: number, minute: number) =>
    new Date(2026, 10, day, hour, minute).toISOString();
  const slots = [
    { time: at(20, 23, 55), sent: 1, received: 10 },
    { time: at(21, 0, 0), sent: 2, received: 20 },
    { time: at(21, 0, 55), sent: 4, received: 40 },
  ];
  expect(sumTraffic(slots, startOfDay)).toEqual([
    { from: new Date(2026, 10, 20).getTime(), sent: 1, received: 10 },
    { from: new Date(2026, 10, 21).getTime(), sent: 6, received: 60 },
  ]);
  expect(sumTraffic(slots.toReversed(), startOfHour).map(({ received }) => received)).toEqual([10, 60]);
});
