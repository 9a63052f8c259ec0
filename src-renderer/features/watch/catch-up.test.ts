import { describe, expect, it } from 'vitest';
import { catchUp, createAutoQuality } from './catch-up.ts';

describe('catching up', () => {
  it('plays faster when late until it is in time, and jumps when far behind', () => {
    expect(catchUp(0.2, 1)).toEqual({ rate: 1 });
    expect(catchUp(0.4, 1)).toEqual({ rate: 1.05 });
    expect(catchUp(0.2, 1.05)).toEqual({ rate: 1.05 });
    expect(catchUp(0.05, 1.05)).toEqual({ rate: 1 });
    expect(catchUp(-2, 1)).toEqual({ rate: 1 });
    expect(catchUp(3.1, 1)).toEqual({ skip: true });
  });
});

describe('automatic quality', () => {
  it('goes down after two stalls and up again after a minute without', () => {
    const auto = createAutoQuality(3);
    auto.stalled(0);
    expect(auto.below(1000)).toBe(0);
    auto.stalled(5000);
    expect(auto.below(6000)).toBe(1);
    auto.stalled(40_000);
    auto.stalled(80_000);
    expect(auto.below(81_000)).toBe(1);
    expect(auto.below(140_001)).toBe(0);
  });
  it('stays at the lowest there is', () => {
    const auto = createAutoQuality(2);
    for (let n = 0; n < 10; n += 1) auto.stalled(n * 1000);
    expect(auto.below(10_000)).toBe(1);
  });
});
