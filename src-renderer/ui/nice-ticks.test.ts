import { expect, test } from 'vitest';
import { niceTicks, tickLabels } from './nice-ticks.ts';

const compact = (value: number, maximumSignificantDigits: number) =>
  new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits }).format(value);

test('an axis has round values around what is drawn', () => {
  expect(niceTicks(0, 9)).toEqual([0, 5, 10]);
  expect(niceTicks(999_862_454, 999_990_000)).toEqual([999_850_000, 999_900_000, 999_950_000, 1_000_000_000]);
  // Nothing changed: the value is on the axis all the same.
  const [first, last] = [niceTicks(5, 5)[0]!, niceTicks(5, 5).at(-1)!];
  expect(first).toBeLessThanOrEqual(5);
  expect(last).toBeGreaterThan(first);
  expect(niceTicks(0, 0)).toEqual([0, 0.5]);
});

test('labels have the digits it takes to tell them apart', () => {
  expect(tickLabels([0, 5, 10], compact)).toEqual(['0', '5', '10']);
  expect(tickLabels([999_850_000, 999_900_000], compact)).toEqual(['999.85M', '999.9M']);
});
