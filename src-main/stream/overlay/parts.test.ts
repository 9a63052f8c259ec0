import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noPressure, press } from './back-pressure.ts';
import { eligible, measureUplink, noUplink, placesOf } from './fan-out.ts';
import {
  chooseRendition,
  continuityOf,
  createPlayhead,
  firstRendition,
  partArrived,
  partGivenUp,
} from './player.ts';
import { drawCandidates, isBackup, rankBackups } from './rank.ts';
import type { Candidate, Conditions, OverlayOptions } from './types.ts';
import { rules } from './types.ts';
import { createWindow, gopStart, haveOf, isHere, isKnown, mark, newestIn, shows, unmark } from './window.ts';

const seed = 20261126;
const ladder = [{ bitrate: 2.5e6 }, { bitrate: 0.6e6 }, { bitrate: 0.096e6 }];

describe('the window of parts', () => {
  it('answers as a plain set would, for what it remembers', () => {
    const steps = fc.array(
      fc.record({ by: fc.integer({ min: -40, max: 60 }), how: fc.constantFrom('begin', 'here', 'fail') }),
      { maxLength: 120 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const window = createWindow();
        const here = new Set<number>();
        const arriving = new Set<number>();
        let at = 100;
        let edge = -1;
        for (const { by, how } of list) {
          at = Math.max(0, at + by);
          if (how === 'fail') {
            if (arriving.delete(at)) unmark(window, at);
            continue;
          }
          if (how === 'begin' && here.has(at)) continue;
          edge = Math.max(edge, at);
          mark(window, at, how === 'here', at % 5 === 0);
          if (how === 'here') {
            here.add(at);
            arriving.delete(at);
          } else arriving.add(at);
        }
        expect(window.edge).toBe(edge);
        for (let seq = Math.max(0, edge - 1_000); seq <= edge + 5; seq++) {
          expect(isHere(window, seq)).toBe(here.has(seq));
          expect(isKnown(window, seq)).toBe(here.has(seq) || arriving.has(seq));
        }
        const have = haveOf(window, 0, 64);
        for (let seq = have.from; seq < have.from + 64; seq++) expect(shows(have, seq)).toBe(here.has(seq));
        const shown = [...here].filter((seq) => seq >= have.from);
        expect(newestIn(have)).toBe(shown.length > 0 ? Math.max(...shown) : -1);
        const starts = [...here, ...arriving].filter((seq) => seq % 5 === 0 && seq > edge - 1_024);
        expect(gopStart(window)).toBe(starts.length > 0 ? Math.max(...starts) : -1);
      }),
      { seed, numRuns: 300 },
    );
  });
});

describe('back-pressure', () => {
  /** A child whose link carries `rate`; the queue is what was pushed and not sent yet. Times in ms. */
  const watch = (rate: (now: number) => number, ms: number) => {
    let pressure = noPressure;
    let lane = 0;
    const queue: { bits: number }[] = [];
    const sent = [0, 0, 0];
    let worst = 0;
    let skipped = 0;
    let soundSkipped = 0;
    for (let now = 0; now < ms; now += 200) {
      const independent = (now / 200) % 5 === 0;
      // As in the reducer: another rendition begins with its next GOP.
      if (independent) lane = pressure.floor;
      const queuedMs = queue.length * 200;
      const part = { queuedMs, rendition: lane, independent: independent || lane === 2 };
      const next = press(pressure, part, { last: 2, best: 0, slack: 1, now });
      // What waits is left out, too, when pictures stop until the next GOP.
      if (next.pressure.skipping && !pressure.skipping) queue.splice(1);
      pressure = next.pressure;
      if (next.push) {
        queue.push({ bits: (ladder[lane]!.bitrate * 200) / 1_000 });
        sent[lane]!++;
      } else {
        skipped++;
        if (lane === 2) soundSkipped++;
      }
      if (lane < 2) worst = Math.max(worst, queue.length * 200);
      for (let left = rate(now) / 5; queue.length > 0 && left > 0;) {
        const taken = Math.min(left, queue[0]!.bits);
        queue[0]!.bits -= taken;
        left -= taken;
        if (queue[0]!.bits <= 0) queue.shift();
      }
    }
    return { sent, worst, skipped, soundSkipped };
  };

  it('leaves a child alone whose link is fast enough', () => {
    expect(watch(() => 3e6, 60_000)).toEqual({ sent: [300, 0, 0], worst: 200, skipped: 0, soundSkipped: 0 });
  });

  it('never lets more than 600 ms wait for pictures', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 200, max: 4_000 }), { minLength: 6, maxLength: 30 }),
        (rates) => {
          const { worst } = watch((now) => rates[Math.floor(now / 2_000) % rates.length]! * 1_000, 40_000);
          expect(worst).toBeLessThanOrEqual(rules.queueMs);
        },
      ),
      { seed, numRuns: 200 },
    );
  });

  it('goes down a rung when the link carries only that one, and tries again now and then', () => {
    const { sent, skipped } = watch(() => 1e6, 120_000);
    expect(sent[1]).toBeGreaterThan(500);
    expect(sent[0]).toBeLessThan(60);
    expect(skipped).toBeLessThan(40);
  });

  it('keeps the sound when there is nothing left for pictures', () => {
    const { sent, soundSkipped } = watch(() => 0.12e6, 60_000);
    expect(sent[2]).toBeGreaterThan(200);
    // Only while the picture that had begun was still on its way.
    expect(soundSkipped).toBeLessThan(30);
  });

  it('comes back up when the link recovers', () => {
    const { sent } = watch((now) => (now < 10_000 ? 0.7e6 : 5e6), 60_000);
    expect(sent[0]).toBeGreaterThan(70);
  });
});

describe('fan-out', () => {
  const conditions: Conditions = {
    willing: true,
    reachable: true,
    powered: true,
    uplink: 20e6,
    uptimeMs: 60_000,
    maxChildren: null,
    addresses: [],
  };
  const options: OverlayOptions = { self: 'me', source: 'source', ladder, partMs: 200 };

  it('asks for consent, a direct way in, mains, half a minute and twice the bit rate', () => {
    expect(eligible(conditions, ladder)).toBe(true);
    for (const without of [
      { willing: false },
      { reachable: false },
      { powered: false },
      { uptimeMs: 29_999 },
      { uplink: 4.9e6 },
    ]) {
      expect(eligible({ ...conditions, ...without }, ladder)).toBe(false);
      expect(placesOf(options, { ...conditions, ...without })).toEqual({ places: 0, rescue: 0 });
    }
  });

  it('gives away three quarters of the uplink, the rest to rescues, within its limits', () => {
    expect(placesOf(options, conditions)).toEqual({ places: 6, rescue: 8 });
    expect(placesOf(options, { ...conditions, uplink: 100e6 })).toEqual({ places: 16, rescue: 32 });
    // Far more than that it takes to have the last child wait no longer.
    expect(placesOf(options, { ...conditions, uplink: 200e6 })).toEqual({ places: 20, rescue: 32 });
    expect(placesOf(options, { ...conditions, uplink: 1e9 })).toEqual({ places: 32, rescue: 32 });
    expect(placesOf(options, { ...conditions, maxChildren: 2 })).toEqual({ places: 2, rescue: 2 });
    expect(placesOf({ ...options, self: 'source' }, { ...conditions, uplink: 1e9 })).toEqual({
      places: 8,
      rescue: 8,
    });
    expect(placesOf({ ...options, self: 'source' }, { ...conditions, uplink: 1e6 })).toEqual({
      places: 1,
      rescue: 1,
    });
    expect(placesOf({ ...options, self: 'source', fanOut: 3 }, conditions)).toEqual({ places: 3, rescue: 3 });
  });

  it('believes what an uplink showed under load, falls fast and rises slowly', () => {
    const first = measureUplink(noUplink, { bytes: 1e6, ms: 400, backlogged: true }, 0);
    expect(first.rate).toBe(20e6);
    expect(measureUplink(first, { bytes: 1e5, ms: 400, backlogged: false }, 1).rate).toBe(20e6);
    expect(measureUplink(first, { bytes: 5e5, ms: 400, backlogged: true }, 1).rate).toBe(15e6);
    expect(measureUplink(first, { bytes: 2e6, ms: 400, backlogged: true }, 1).rate).toBe(24e6);
    expect(measureUplink(first, { bytes: 1e5, ms: 400, backlogged: false }, 25 * 3_600_000).rate).toBe(2e6);
  });
});

describe('choosing', () => {
  const member = (i: number, free: number, depth: number): Candidate => ({
    peer: `p${i}`,
    addresses: [],
    depth,
    free,
    weakest: 0,
    queueMs: 0,
    ageS: 0,
    branch: null,
    heardMs: 0,
  });

  it('names different members only, with places, by chance but always the nearest to the source', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 9 })), { maxLength: 30 }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (list, numbers) => {
          const pool = list.map(([free, depth], i) => member(i, free, depth));
          const random = (): number => numbers.next().value as number;
          const drawn = drawCandidates(pool, 6, 0, random);
          expect(new Set(drawn.map(({ peer }) => peer)).size).toBe(drawn.length);
          const fit = pool.filter(({ free }) => free > 0);
          expect(drawn.length).toBe(Math.min(6, fit.length));
          expect(drawn.every((one) => fit.includes(one))).toBe(true);
          if (fit.length > 0) {
            const least = Math.min(...fit.map(({ depth }) => depth));
            expect(Math.min(...drawn.map(({ depth }) => depth))).toBe(least);
          }
        },
      ),
      { seed, numRuns: 200 },
    );
  });

  it('takes no backup that falls together with this node', () => {
    const me = { self: 'me', source: 's', parent: 'p', branch: 'b' };
    expect(isBackup({ peer: 'x', branch: null, path: ['s', 'b', 'p', 'me', 'x'] }, me)).toBe(false);
    expect(isBackup({ peer: 'x', branch: null, path: ['s', 'b', 'p', 'x'] }, me)).toBe(false);
    expect(isBackup({ peer: 'p', branch: 'b', path: null }, me)).toBe(false);
    expect(isBackup({ peer: 'x', branch: null, path: ['s', 'b', 'x'] }, me)).toBe(true);
    const one = { path: null, cost: 100, free: 1 };
    const ranked = rankBackups(
      [
        { peer: 'same', branch: 'b', ...one, cost: 1 },
        { peer: 'other', branch: 'c', ...one },
        { peer: 'full', branch: 'c', ...one, free: 0 },
        { peer: 'below', branch: 'me', ...one },
      ],
      me,
    );
    expect(ranked.map(({ peer }) => peer)).toEqual(['other', 'full', 'same']);
    // Next to the source everything hangs on the source: that is no reason to refuse.
    expect(
      isBackup({ peer: 'x', branch: 'c', path: ['s', 'c', 'x'] }, { ...me, parent: 's', branch: 'me' }),
    ).toBe(true);
  });
});

describe('the playhead', () => {
  const options = { partMs: 200, holdBackMs: 1_400 };
  /** Plays 100 parts of which each arrives `late(seq)` ms after it was made; undefined: never. */
  const play = (late: (seq: number) => number | undefined, givenUpAfter = 3_000) => {
    const head = createPlayhead(options);
    const arrivals: { at: number; seq: number; gone: boolean }[] = [];
    for (let seq = 0; seq < 100; seq++) {
      const delay = late(seq);
      const made = (seq + 1) * 200;
      arrivals.push({ at: made + (delay ?? givenUpAfter), seq, gone: delay === undefined });
    }
    arrivals.sort((a, b) => a.at - b.at);
    for (const { at, seq, gone } of arrivals) {
      if (at > 20_000) break;
      const edge = Math.floor(at / 200) - 1;
      if (gone) partGivenUp(head, seq, at);
      else partArrived(head, { seq, independent: seq % 5 === 0, edge }, at);
    }
    return { ...continuityOf(head, 20_000), stalls: head.stalls };
  };

  it('plays without a stop what comes in time, even out of order', () => {
    expect(play(() => 50)).toMatchObject({ stalledMs: 0, skippedMs: 0, share: 1, stalls: 0 });
    expect(play((seq) => (seq % 7 === 3 ? 1_000 : 50))).toMatchObject({ stalledMs: 0, stalls: 0 });
  });

  it('stalls as long as a part is late beyond what it holds back', () => {
    const { stalledMs, stalls } = play((seq) => (seq === 50 ? 2_000 : 50));
    // Held back 1.4 s from the arrival at 50 ms, so due 1,250 ms after it was made.
    expect(stalls).toBe(1);
    expect(stalledMs).toBeCloseTo(2_000 - 1_250, 6);
  });

  it('skips what is given up, and what a long stall left behind', () => {
    expect(play((seq) => (seq === 50 ? undefined : 50), 1_000)).toMatchObject({
      stalledMs: 0,
      skippedMs: 200,
    });
    const lost = play((seq) => (seq >= 50 && seq < 60 ? 9_000 : 50));
    expect(lost.skippedMs).toBeGreaterThan(1_000);
    expect(lost.stalledMs).toBeGreaterThanOrEqual(3_000);
    expect(lost.stallingNow).toBe(false);
  });

  it('shows a stall that still goes on', () => {
    const { stallingNow, stalledMs } = play((seq) => (seq < 50 ? 50 : 60_000));
    expect(stallingNow).toBe(true);
    expect(stalledMs).toBeGreaterThan(8_000);
  });
});

describe('the rendition', () => {
  const good = { bufferMs: 1_000, troubled: 0, lowered: false, rate: null };

  it('falls when parts stay away, and rises after a quiet time, later each time that failed', () => {
    let state = firstRendition(0, 0);
    const tries: number[] = [];
    for (let now = 0; now < 300_000; now += 1_000) {
      // The link carries the second rung only.
      const next = chooseRendition(
        state,
        state.rendition === 0 ? { ...good, troubled: 0.5 } : good,
        ladder,
        now,
      );
      if (next.rendition < state.rendition) tries.push(now);
      state = next;
    }
    expect(tries.length).toBeGreaterThan(1);
    const between = tries.slice(1).map((at, i) => at - tries[i]!);
    expect(between.every((ms, i) => i === 0 || ms >= between[i - 1]!)).toBe(true);
  });

  it('does not rise on a link that has shown less than the better one needs', () => {
    const slow = { ...good, rate: 3e6 };
    expect(chooseRendition(firstRendition(1, 0), slow, ladder, 60_000).rendition).toBe(1);
    expect(chooseRendition(firstRendition(1, 0), { ...slow, rate: 4e6 }, ladder, 60_000).rendition).toBe(0);
  });

  it('never goes below sound', () => {
    let state = firstRendition(0, 0);
    for (let now = 0; now < 60_000; now += 1_000) {
      state = chooseRendition(state, { ...good, bufferMs: 0 }, ladder, now);
    }
    expect(state.rendition).toBe(2);
  });
});
