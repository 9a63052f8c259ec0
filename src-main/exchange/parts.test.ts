import { describe, expect, test } from 'vitest';
import { blockKey } from './block-key.ts';
import { createEarlyRing } from './early-ring.ts';
import { createKnownFrontier, sameFrontier, unknownOwnTip } from './frontier.ts';
import { stallMs, windowBytes } from './pacing.ts';
import { createProgress } from './progress.ts';
import { createRateMeter } from './rate-meter.ts';
import { createRefusals } from './refusals.ts';
import { createFakeClock } from './testing/fake-clock.ts';
import { makeEntry } from './testing/memory-drive.ts';
import { makeBlocks } from './testing/world.ts';
import { createTurnQueue } from './turn-queue.ts';

const never = new AbortController().signal;

function ringBlocks(count: number, size: number, seed = 1) {
  return makeBlocks(count, size, seed).map(({ ref, bytes }) => ({ id: ref.id, bytes }));
}

describe('early ring', () => {
  test('gives a block to each peer that was told, then lets go of it', async () => {
    const ring = createEarlyRing(createFakeClock(), 1000, 2000);
    const [block] = ringBlocks(1, 100);
    await ring.put('d', [block!], ['p', 'q']);
    const key = blockKey(block!.id);
    expect(ring.take('other', key, 'p')).toBeNull();
    expect(ring.take('d', key, 'p')).toBe(block!.bytes);
    expect(ring.bytes).toBe(100);
    expect(ring.take('d', key, 'q')).toBe(block!.bytes);
    expect(ring.bytes).toBe(0);
  });

  test('waits while full, goes on when a block is taken', async () => {
    const clock = createFakeClock();
    const ring = createEarlyRing(clock, 250, 2000);
    const blocks = ringBlocks(3, 100);
    let room = false;
    const put = ring.put('d', blocks, ['p']).then(() => (room = true));
    await clock.advance(1000);
    expect(room).toBe(false);
    ring.take('d', blockKey(blocks[0]!.id), 'p');
    await put;
    expect(ring.bytes).toBe(200);
  });

  test('peers that take nothing cost one wait, not one per announcement', async () => {
    const clock = createFakeClock();
    const ring = createEarlyRing(clock, 250, 2000);
    let done = 0;
    const all = (async () => {
      for (let i = 0; i < 20; i++) {
        await ring.put('d', ringBlocks(3, 100, i), ['p']);
        done++;
      }
    })();
    await clock.advance(2000);
    await all;
    expect(done).toBe(20);
    expect(ring.bytes).toBeLessThanOrEqual(250);
  });

  test('blocks a peer passed over do not fill the ring', async () => {
    const clock = createFakeClock();
    const ring = createEarlyRing(clock, 10_000, 2000);
    const blocks = ringBlocks(100, 100);
    await ring.put('d', blocks, ['p']);
    ring.take('d', blockKey(blocks[99]!.id), 'p');
    await ring.put('d', ringBlocks(20, 100, 2), ['p']);
    expect(ring.bytes).toBeLessThanOrEqual(10_000);
  });

  test('keeps what will be told of, as long as there is room and for a while only', async () => {
    const clock = createFakeClock();
    const ring = createEarlyRing(clock, 250, 2000);
    const blocks = ringBlocks(4, 100);
    ring.keep('d', blocks, ['p']);
    expect(ring.bytes).toBe(200);
    expect(ring.take('d', blockKey(blocks[0]!.id), 'p')).toBe(blocks[0]!.bytes);
    expect(ring.take('d', blockKey(blocks[2]!.id), 'p')).toBeNull();
    await clock.advance(10_000);
    expect(ring.bytes).toBe(0);
    ring.keep('d', blocks, []);
    expect(ring.bytes).toBe(0);
  });

  test('waits for half of it to be free a moment while blocks are taken, and once for those who take none', async () => {
    const clock = createFakeClock();
    const ring = createEarlyRing(clock, 400, 2000);
    const blocks = ringBlocks(4, 100);
    ring.keep('d', blocks, ['p']);
    let rooms = 0;
    const first = ring.halfFree().then(() => rooms++);
    ring.take('d', blockKey(blocks[0]!.id), 'p');
    await clock.advance(200);
    expect(rooms).toBe(0);
    await clock.advance(100);
    await first;
    expect(ring.wants(['p'])).toBe(true);
    const second = ring.halfFree().then(() => rooms++);
    await clock.advance(1900);
    expect(rooms).toBe(1);
    await clock.advance(200);
    await second;
    expect(ring.wants(['p'])).toBe(false);
    expect(ring.bytes).toBeLessThanOrEqual(200);
    ring.keep('d', ringBlocks(1, 100, 9), ['p']);
    expect(ring.bytes).toBeLessThanOrEqual(200);
    await clock.advance(31_000);
    expect(ring.wants(['p'])).toBe(true);
  });

  test('nobody waits for a peer or drive that is gone', async () => {
    const ring = createEarlyRing(createFakeClock(), 250, 2000);
    const put = ring.put('d', ringBlocks(3, 100), ['p']);
    ring.forgetPeer('p');
    await put;
    expect(ring.bytes).toBe(0);
    const again = ring.put('d', ringBlocks(3, 100), ['q']);
    ring.forgetDrive('d');
    await again;
    expect(ring.bytes).toBe(0);
  });
});

describe('frontiers', () => {
  const one = makeEntry('a', 0, null, 10);
  const two = makeEntry('a', 1, one.hash, 10);
  const fork = makeEntry('a', 1, one.hash, 20);
  const tipOf = (e: typeof one) => ({ ...e.header, hash: e.hash });

  test('cover what was added, before and at the tip', () => {
    const known = createKnownFrontier([]);
    expect(known.covers(one)).toBe(false);
    known.add(one);
    known.add(two);
    expect([known.covers(one), known.covers(two), known.covers(fork)]).toEqual([true, true, false]);
    known.add(fork);
    expect(known.covers(fork)).toBe(true);
    known.reset([]);
    expect(known.covers(one)).toBe(false);
  });

  test('a later tip replaces an earlier one, an equal one is not doubled', () => {
    const known = createKnownFrontier([tipOf(one)]);
    known.merge([tipOf(two), tipOf(two), tipOf(one)]);
    expect(known.tips().map((t) => t.seq)).toEqual([1]);
    known.merge([tipOf(fork)]);
    expect(known.tips().length).toBe(2);
  });

  test('are the same whatever the order', () => {
    const other = makeEntry('b', 0, null, 10);
    expect(sameFrontier([tipOf(two), tipOf(other)], [tipOf(other), tipOf(two)])).toBe(true);
    expect(sameFrontier([tipOf(two)], [tipOf(fork)])).toBe(false);
    expect(sameFrontier([tipOf(two)], [tipOf(two), tipOf(other)])).toBe(false);
  });

  test('an own entry only others know is noticed', () => {
    const own = tipOf(one);
    expect(unknownOwnTip(own, [own], [tipOf(one)])).toBeNull();
    expect(unknownOwnTip(own, [own], [tipOf(makeEntry('b', 7, one.hash, 1))])).toBeNull();
    expect(unknownOwnTip(own, [own], [tipOf(two)])!.seq).toBe(1);
    expect(unknownOwnTip(tipOf(two), [tipOf(two)], [tipOf(fork)])).not.toBeNull();
    expect(unknownOwnTip(own, [own], [{ ...own, incarnation: 9 }])!.incarnation).toBe(9);
  });
});

test('windows follow the measured rate within bounds', () => {
  const mib = 1024 * 1024;
  expect(windowBytes({ rate: null, rtt: null })).toBe(4 * mib);
  expect(windowBytes({ rate: 1000, rtt: 10 })).toBe(2 * mib);
  expect(windowBytes({ rate: 5 * mib, rtt: 0 })).toBe(5 * mib);
  expect(windowBytes({ rate: 500 * mib, rtt: 1 })).toBe(16 * mib);
  expect(stallMs({ rate: 100 * mib, rtt: 1 }, mib)).toBe(2000);
  expect(stallMs({ rate: mib, rtt: 200 }, 16 * mib)).toBeGreaterThan(48_000);
});

test('rates count busy time only', async () => {
  const clock = createFakeClock();
  const meter = createRateMeter(clock);
  meter.start();
  await clock.advance(500);
  meter.received(500_000);
  expect(meter.rate()).toBe(1_000_000);
  meter.pause();
  await clock.advance(60_000);
  meter.start();
  await clock.advance(250);
  meter.received(250_000);
  expect(meter.rate()).toBe(1_000_000);
});

test('turns pass in order, by themselves when the holder stands still', async () => {
  const clock = createFakeClock();
  const queue = createTurnQueue(clock, 1000);
  const order: string[] = [];
  const first = await queue.take(never);
  const second = queue.take(never).then((turn) => (order.push('second'), turn));
  const stop = new AbortController();
  const third = queue.take(stop.signal);
  third.catch(() => {});
  const fourth = queue.take(never).then((turn) => (order.push('fourth'), turn));
  await clock.advance(900);
  first.progress();
  await clock.advance(900);
  expect(order).toEqual([]);
  await clock.advance(200);
  expect(order).toEqual(['second']);
  first();
  stop.abort();
  await expect(third).rejects.toMatchObject({ code: 'cancelled' });
  (await second)();
  (await fourth)();
  const last = await queue.take(never);
  last();
  expect(order).toEqual(['second', 'fourth']);
});

test('progress is told four times a second with running totals', async () => {
  const clock = createFakeClock();
  const told: { received: number; sent: number }[] = [];
  const progress = createProgress(clock, ({ received, sent }) => told.push({ received, sent }));
  for (let i = 0; i < 10; i++) {
    progress.received('d', 10);
    progress.sent('d', 1);
    await clock.advance(50);
  }
  await clock.advance(1000);
  expect(told).toEqual([
    { received: 50, sent: 5 },
    { received: 100, sent: 10 },
  ]);
  progress.stop();
});

test('asking for many drives one is a member of elsewhere is no offence, hammering is', async () => {
  const clock = createFakeClock();
  let reports = 0;
  const refusals = createRefusals(clock, () => reports++);
  for (const wait of [2000, 4000, 8000, 16_000, 32_000]) {
    for (let drive = 0; drive < 100; drive++) refusals.count('p');
    await clock.advance(wait);
  }
  expect(reports).toBe(0);
  await clock.advance(60_000);
  for (let i = 0; i < 700; i++) refusals.count('p');
  expect(reports).toBe(100);
});
