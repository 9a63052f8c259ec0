import { expect, it } from 'vitest';
import { simulateHosting } from './hosting-simulation.ts';

const small = { nodes: 100, drivesPerNode: 3, copies: 3, hours: 96, seed: 5 };

it('keeps hosted drives available and spread while a third of the nodes is away', () => {
  const result = simulateHosting(small);
  expect(result.lost).toBe(0);
  expect(result.spread).toBeLessThan(3);
  expect(result.availability).toBeGreaterThan(0.999);
  expect(simulateHosting(small)).toEqual(result);
});
