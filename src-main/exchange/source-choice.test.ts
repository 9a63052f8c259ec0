import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createServingLoad } from './serving-load.ts';
import {
  arrivalMs,
  busyShare,
  chooseSource,
  mayHaveByNow,
  pickedFrom,
  queueMs,
  takesOn,
  tellsAtOnce,
  turnOf,
  usualRate,
} from './source-choice.ts';
import type { SourceState } from './source-choice.ts';
import { createFakeClock } from './testing/fake-clock.ts';

const MiB = 1024 * 1024;
const source = (part: Partial<SourceState> = {}): SourceState => ({
  rate: 10 * MiB,
  rtt: 20,
  outstanding: 0,
  waitMs: 0,
  silentMs: 0,
  hasRoom: true,
  ...part,
});
const choose = (sources: readonly SourceState[], bytes = MiB, ahead = 0): number =>
  chooseSource(sources, bytes, ahead, usualRate(sources.map(({ rate }) => rate)));

describe('the source of a block', () => {
  test('is the nearest of equal ones, and the faster one when the block is large', () => {
    expect(choose([source({ rtt: 80 }), source({ rtt: 10 })])).toBe(1);
    const near = source({ rtt: 5, rate: MiB });
    const fast = source({ rtt: 60, rate: 50 * MiB });
    expect(choose([near, fast], 16 * 1024)).toBe(0);
    expect(choose([near, fast], 4 * MiB)).toBe(1);
  });

  test('is another one while the nearest is busy for others, or has fallen silent', () => {
    expect(choose([source({ rtt: 5, waitMs: 400 }), source({ rtt: 90 })])).toBe(1);
    expect(choose([source({ rtt: 5, silentMs: 1000 }), source({ rtt: 90 })])).toBe(1);
    expect(choose([source({ rtt: 5, waitMs: 50 }), source({ rtt: 90 })])).toBe(0);
  });

  test('is one that was never measured, when the known ones have enough to do', () => {
    expect(choose([source({ outstanding: 2 * MiB }), source({ rate: null, rtt: null })])).toBe(1);
  });

  test('waits for a good source that has all it may be asked for, unless so much is wanted that a slow one helps', () => {
    const good = source({ rate: 50 * MiB, outstanding: 16 * MiB, hasRoom: false });
    const slow = source({ rate: MiB / 2 });
    expect(choose([good, slow])).toBe(-1);
    expect(choose([good, slow], MiB, 500 * MiB)).toBe(1);
    expect(choose([source({ hasRoom: false })])).toBe(-1);
    expect(choose([])).toBe(-1);
  });

  test('in the long run each source gets its share, and all are ready at about the same time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 6 }),
        fc.integer({ min: 50, max: 200 }),
        (rates, blocks) => {
          const sources = rates.map((rate) => ({ ...source({ rate: rate * MiB, rtt: 10 }) }));
          for (let n = 0; n < blocks; n++) {
            const at = choose(sources, MiB, (blocks - n) * MiB);
            sources[at] = { ...sources[at]!, outstanding: sources[at]!.outstanding + MiB };
          }
          const busy = sources.filter(({ outstanding }) => outstanding > 0);
          const ends = busy.map((one) => arrivalMs(one, 0, 1));
          const ideal = (blocks * 1000) / rates.reduce((sum, rate) => sum + rate, 0);
          const oneBlock = 1000 / Math.min(...rates);
          expect(Math.max(...ends)).toBeLessThanOrEqual(Math.max(1.3 * ideal, ideal + oneBlock) + 15);
        },
      ),
      { seed: 11, numRuns: 300 },
    );
  });
});

describe('a busy source', () => {
  test('always takes a share from everybody, and all while others leave it time', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 64 * MiB }),
        fc.nat({ max: 256 * MiB }),
        fc.option(fc.integer({ min: 1, max: 100 * MiB })),
        fc.integer({ min: 1, max: 16 * MiB }),
        (own, others, rate, bytes) => {
          const takes = takesOn(own, others, rate, bytes);
          if (own === 0 || own + bytes <= busyShare || others === 0) expect(takes).toBe(true);
          else expect(takes).toBe(queueMs(others, rate) <= 2000);
        },
      ),
      { seed: 12 },
    );
  });

  test('says at once that there is much to do, again when it is twice as much, and nothing of little', () => {
    const told = [
      tellsAtOnce(900, 0),
      tellsAtOnce(1500, 0),
      tellsAtOnce(2500, 1500),
      tellsAtOnce(3000, 1500),
    ];
    expect(told).toEqual([false, true, false, true]);
  });

  test('says how long the wants of others keep it busy, not those of the one it tells', async () => {
    const clock = createFakeClock();
    const load = createServingLoad(clock);
    const [one, two] = [load.share(), load.share()];
    one.add(3 * MiB);
    await clock.advance(1000);
    one.done(MiB, MiB);
    expect([one.waitMs(), Math.round(two.waitMs())]).toEqual([0, 2000]);
    two.add(MiB);
    expect(Math.round(one.waitMs())).toBe(1000);
    two.close();
    two.done(MiB, 0);
    expect(one.waitMs()).toBe(0);
    one.add(20 * MiB);
    expect([two.takesOn(MiB), one.takesOn(MiB)]).toEqual([true, true]);
    two.add(busyShare);
    expect(two.takesOn(MiB)).toBe(false);
  });
});

test('nodes that ask a busy source for the same blocks begin with different ones, and ask who had nothing again', () => {
  expect([pickedFrom(false, 100), pickedFrom(true, 3), pickedFrom(true, 100)]).toEqual([1, 1, 64]);
  const blocks = Array.from({ length: 64 }, (_, n) => `block ${n}`);
  const firsts = Array.from({ length: 32 }, (_, n) =>
    blocks.reduce((a, b) => (turnOf(`node ${n}`, b) < turnOf(`node ${n}`, a) ? b : a)),
  );
  expect(new Set(firsts).size).toBeGreaterThan(16);
  expect([mayHaveByNow(undefined, true, 9e9), mayHaveByNow(0, false, 9e9)]).toEqual([false, false]);
  expect([mayHaveByNow(1000, true, 1500), mayHaveByNow(1000, true, 4000)]).toEqual([false, true]);
  // It sent something else once.
  expect(mayHaveByNow(Number.POSITIVE_INFINITY, true, 9e9)).toBe(false);
});
