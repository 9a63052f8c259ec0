import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mapRadius, mapRings, mapSize, placeDots, ringAngle } from './map-dots.ts';
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

test('the words of the rings leave the names alone', () => {
  // Two computers, one of them down left, where the words stand otherwise.
  const placed = placeDots([dot('a', 12), { ...dot('b', 30), name: 'Juniper' }]);
  const angle = ringAngle(placed);
  for (const ms of mapRings) {
    const y = mapSize.y + Math.sin(angle) * mapRadius(ms);
    const x = mapSize.x + Math.cos(angle) * mapRadius(ms);
    for (const { label, name } of placed) {
      const near = label.end ? x > label.x - name.length * 6 - 18 && x < label.x + 18 : x > label.x - 18;
      expect(near && Math.abs(y - label.y + 4) < 12).toBe(false);
    }
  }
  expect(ringAngle([])).toBeCloseTo(0.75 * Math.PI);
});
