import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mapRadius, mapSize, placeDots } from './map-dots.ts';
import type { MapDot } from './map-dots.ts';

const dot = (id: string, rtt: number | null): MapDot => ({ id, name: id, rtt, look: 'direct', keeps: false });

test('the longer the round trip, the farther out, and never beyond the edge', () => {
  expect(mapRadius(0.2)).toBe(mapRadius(1));
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      (a, b) => {
        expect(mapRadius(Math.min(a, b))).toBeLessThanOrEqual(mapRadius(Math.max(a, b)));
        expect(mapRadius(a)).toBeLessThanOrEqual(mapSize.edge);
      },
    ),
  );
});

test('no name lies on another, wherever the dots are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.double({ min: 0, max: 2000, noNaN: true })), { maxLength: 14 }),
      (times) => {
        const placed = placeDots(times.map((rtt, index) => dot(`peer${index}`, rtt)));
        for (const end of [true, false]) {
          const ys = placed.filter((one) => one.label.end === end).map((one) => one.label.y);
          ys.sort((a, b) => a - b);
          for (let i = 1; i < ys.length; i += 1) expect(ys[i]! - ys[i - 1]!).toBeGreaterThanOrEqual(12.999);
        }
      },
    ),
  );
});
