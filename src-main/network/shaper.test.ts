import { describe, expect, it } from 'vitest';
import { createShaper } from './shaper.ts';
import { manualClock } from './test-clock.ts';

describe('shaper', () => {
  it('lets everything through without a limit', () => {
    const shaper = createShaper(manualClock(), null);
    expect(shaper.take(1e12)).toBeNull();
  });

  it('holds the rate over time', async () => {
    const clock = manualClock();
    const shaper = createShaper(clock, 1000);
    let passed = 0;
    const run = async (): Promise<void> => {
      for (;;) {
        await shaper.take(100);
        passed += 100;
      }
    };
    void run();
    await clock.advance(10_000, 10);
    expect(passed).toBeGreaterThanOrEqual(9_900);
    expect(passed).toBeLessThanOrEqual(10_300);
  });

  it('shares the rate among those who wait', async () => {
    const clock = manualClock();
    const shaper = createShaper(clock, 10_000);
    const passed = [0, 0, 0];
    const run = async (who: number): Promise<void> => {
      for (;;) {
        await shaper.take(500);
        passed[who]! += 500;
      }
    };
    for (const who of passed.keys()) void run(who);
    await clock.advance(10_000, 10);
    const total = passed.reduce((sum, bytes) => sum + bytes, 0);
    expect(total).toBeGreaterThan(99_000);
    for (const bytes of passed) expect(bytes).toBeGreaterThan(total / 3 - 2000);
  });

  it('lets what was charged be paid for first', async () => {
    const clock = manualClock();
    const shaper = createShaper(clock, 1000);
    let paid = false;
    void shaper.charge(5000)!.then(() => (paid = true));
    await clock.advance(4900, 100);
    expect(paid).toBe(false);
    await clock.advance(200, 100);
    expect(paid).toBe(true);
  });

  it('wakes all who wait when the limit is lifted', async () => {
    const clock = manualClock();
    const shaper = createShaper(clock, 10);
    expect(shaper.take(1000)).toBeNull();
    const waiting = shaper.take(1)!;
    shaper.setRate(null);
    await waiting;
  });
});
