import { expect, it } from 'vitest';
import { newByYear, stakersEarn, supplyByYear } from './token-plan.ts';

const plan = { supply: 20e6, max: 40e6, kind: 'none', perYear: 5e6, halveYears: 2, stages: [] } as const;

it('draws the supply as the ledger mints it: halved every so many years, never above the cap', () => {
  expect(supplyByYear(plan, 2)).toEqual([20e6, 20e6, 20e6]);
  expect(supplyByYear({ ...plan, kind: 'fixed' }, 6)).toEqual([20e6, 25e6, 30e6, 35e6, 40e6, 40e6, 40e6]);
  expect(supplyByYear({ ...plan, kind: 'halving' }, 5)).toEqual([20e6, 25e6, 30e6, 32.5e6, 35e6, 36.25e6]);
  expect(supplyByYear({ ...plan, kind: 'halving', perYear: 0 }, 1)).toEqual([20e6, 20e6]);
});

it('draws stage after stage of a list, then nothing', () => {
  const stages = [
    { years: 1, perYear: 4e6 },
    { years: 2, perYear: 1e6 },
  ];
  const supply = supplyByYear({ ...plan, kind: 'list', stages }, 4);
  expect(supply).toEqual([20e6, 24e6, 25e6, 26e6, 26e6]);
  expect(newByYear(supply)).toEqual([4e6, 1e6, 1e6, 0]);
});

it('tells what stakers earn of what is new', () => {
  const supply = supplyByYear({ ...plan, kind: 'halving' }, 5);
  // 30 % of 5 M over 40 % of 20 M; then of 1.25 M over 40 % of 35 M.
  expect(stakersEarn(supply, 1, 0.4, 0.3)).toBeCloseTo(0.1875);
  expect(stakersEarn(supply, 5, 0.4, 0.3)).toBeCloseTo(0.026_79, 4);
  expect(stakersEarn([0, 0], 1, 0.4, 0.3)).toBe(0);
});
