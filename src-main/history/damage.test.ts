import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Entry, History } from './types.ts';
import type { Replica, World } from './testing.ts';
import { allBytes, createWorld, exchange, opsDraft } from './testing.ts';

let world: World;
let bob: Replica;
let good: Buffer;
let entries: readonly Entry[];
/** Where each entry's record begins, and the end of the file. */
let bounds: readonly number[];

beforeEach(async () => {
  world = createWorld();
  const ann = await world.replica('ann');
  bob = await world.replica('bob');
  for (let i = 0; i < 14; i++) {
    const one = i % 2 === 0 ? ann.history : bob.history;
    await one.append([
      opsDraft([world.genesis.hash], `entry ${i}`),
      opsDraft([world.genesis.hash], 'y'.repeat(i)),
    ]);
    await exchange(ann.history, bob.history);
  }
  bob.history.close();
  good = readFileSync(bob.logPath);
  await bob.reopen();
  entries = [...bob.history.storedFrom(0)];
  let end = 0;
  bounds = [0, ...entries.map((entry) => (end += entry.bytes.length + 12))];
});
afterEach(() => world.end());

const flip = (at: number, bit = 1): void => {
  const bytes = Buffer.from(good);
  bytes[at] = (bytes[at] as number) ^ bit;
  writeFileSync(bob.logPath, bytes);
};
const recordAt = (at: number): number => bounds.findLastIndex((bound) => bound <= at);

/** What must hold when exactly the record `n` is damaged. */
function expectOnlyLost(history: History, n: number): void {
  const lost = entries[n] as Entry;
  expect(history.has(lost.hash)).toBe(false);
  expect(() => history.get(lost.hash)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  for (const entry of entries) {
    if (entry !== lost && !history.has(entry.hash)) throw new Error(`entry ${entry.header.seq} was lost too`);
  }
  expect([...history.inOrder()]).toHaveLength(entries.length - 1);
}

describe('one flipped byte', () => {
  test('every byte of several records: found, named, refetched; the rest stays usable', async () => {
    const before = {
      heads: bob.history.heads(),
      frontier: bob.history.frontier(),
      all: allBytes(bob.history),
    };
    const wholly = new Set([0, 7, entries.length - 1]);
    const ofHead = (i: number): boolean =>
      wholly.has(recordAt(i)) && i - (bounds[recordAt(i)] as number) < 16;
    const positions = Array.from({ length: good.length }, (_, i) => i).filter(
      (i) => ofHead(i) || (wholly.has(recordAt(i)) && i % 29 === 0) || i % 211 === 0,
    );
    for (const at of positions) {
      const n = recordAt(at);
      const lost = entries[n] as Entry;
      flip(at, 1 << (at % 8));
      const check = await bob.history.verify();
      expect(check.ok, `byte ${at}`).toBe(false);
      expect(check.rejected).toEqual([]);
      expect(check.damaged).toEqual([
        {
          offset: bounds[n],
          length: (bounds[n + 1] as number) - (bounds[n] as number),
          id: lost.id,
          writer: lost.header.writer,
          seq: lost.header.seq,
          reason: expect.any(String),
        },
      ]);
      expectOnlyLost(bob.history, n);
      // The byte comes back: so does the entry, and nothing else changed.
      writeFileSync(bob.logPath, good);
      expect((await bob.history.verify()).ok).toBe(true);
      expect(bob.history.heads()).toEqual(before.heads);
    }
    expect(bob.history.frontier()).toEqual(before.frontier);
    expect(allBytes(bob.history)).toEqual(before.all);
    expect(positions.length).toBeGreaterThan(120);
  });

  test.each([2, 15, 28])(
    'in entry %i is found when opening, and the entry comes back from a peer',
    async (n) => {
      const peer = await world.replica('peer');
      await exchange(peer.history, bob.history);
      bob.history.close();
      flip((bounds[n] as number) + 40);
      await bob.reopen();
      expectOnlyLost(bob.history, n);
      expect((await bob.history.verify()).damaged.map(({ id }) => id)).toEqual([entries[n]?.id]);
      await bob.reopen();
      expectOnlyLost(bob.history, n);
      await bob.history.ingest(
        [...peer.history.missingFor(bob.history.frontier())].map((entry) => entry.bytes),
      );
      expect(allBytes(bob.history)).toEqual(allBytes(peer.history));
      expect(bob.history.heads()).toEqual(peer.history.heads());
      expect(bob.history.frontier()).toEqual(peer.history.frontier());
      expect((await bob.history.verify()).ok).toBe(true);
      await bob.reopen();
      expect((await bob.history.verify()).ok).toBe(true);
    },
  );

  test('without an index too: the rest is used, and the entry is named when its header was spared', async () => {
    for (const n of [1, 27]) {
      bob.history.close();
      flip((bounds[n + 1] as number) - 70);
      await bob.reopen({ loseIndex: true });
      expectOnlyLost(bob.history, n);
      const { damaged } = await bob.history.verify();
      expect(damaged).toEqual([expect.objectContaining({ offset: bounds[n], id: entries[n]?.id })]);
      flip((bounds[n] as number) + 60);
      const second = await bob.reopen({ loseIndex: true });
      expect(second.has((entries[n] as Entry).hash)).toBe(false);
      expect((await second.verify()).damaged).toEqual([
        expect.objectContaining({
          offset: bounds[n],
          length: (bounds[n + 1] as number) - (bounds[n] as number),
          id: null,
        }),
      ]);
      expect(second.count()).toBe(entries.length - 1);
      writeFileSync(bob.logPath, good);
      expect((await bob.history.verify()).ok).toBe(true);
    }
  });

  test('reading finds it as well', () => {
    const entry = entries[5] as Entry;
    flip((bounds[5] as number) + 100);
    expect(() => bob.history.get(entry.hash)).toThrow(expect.objectContaining({ code: 'corrupt' }));
    expectOnlyLost(bob.history, 5);
  });

  test('in the last own entry: the feed is not continued from an older one', async () => {
    await bob.history.append([opsDraft([world.genesis.hash], 'last')]);
    const tip = bob.history.ownTip();
    bob.history.close();
    const bytes = readFileSync(bob.logPath);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 4;
    writeFileSync(bob.logPath, bytes);
    await bob.reopen();
    await bob.history.append([opsDraft([world.genesis.hash], 'after')]);
    expect(bob.history.ownTip()?.incarnation).not.toBe(tip?.incarnation);
  });
});

describe('a log cut short', () => {
  test('an older copy of the file: what it lacks is lost, named, and comes back', async () => {
    const peer = await world.replica('peer');
    await exchange(peer.history, bob.history);
    bob.history.close();
    writeFileSync(bob.logPath, good.subarray(0, bounds[20] as number));
    await bob.reopen();
    expect(bob.history.count()).toBe(20);
    const check = await bob.history.verify();
    expect(check.damaged.map(({ id }) => id)).toEqual(entries.slice(20).map(({ id }) => id));
    expect(bob.history.ownTip()).toBeNull();
    await exchange(peer.history, bob.history);
    expect(allBytes(bob.history)).toEqual(allBytes(peer.history));
    expect((await bob.history.verify()).ok).toBe(true);
  });

  test('at any length, with the index of an earlier moment: nothing acknowledged is lost, the torn rest goes', async () => {
    const solo = await world.replica('solo');
    await solo.history.append([opsDraft([world.genesis.hash], 'kept 1')]);
    const acknowledged = solo.history.position();
    const count = solo.history.count();
    solo.history.close();
    const kept = readFileSync(solo.logPath);
    const next = good.subarray(bounds[1], bounds[4]);
    for (let length = 1; length < next.length; length += 61) {
      writeFileSync(solo.logPath, Buffer.concat([kept, next.subarray(0, length)]));
      await solo.reopen();
      const whole = bounds.slice(2, 5).filter((bound) => bound - (bounds[1] as number) <= length).length;
      expect(solo.history.count()).toBe(count + whole);
      expect(solo.history.position()).toBe(
        acknowledged + (bounds[1 + whole] as number) - (bounds[1] as number),
      );
      expect((await solo.history.verify()).ok).toBe(true);
      solo.history.close();
      // Back to the moment before: the file and an index that knows no more than it.
      writeFileSync(solo.logPath, kept);
      await solo.reopen({ loseIndex: true });
      solo.history.close();
    }
    await solo.reopen();
  });

  test('at any length without an index: every whole record is kept', async () => {
    for (let length = (bounds[1] as number) + 1; length < (bounds[4] as number); length += 67) {
      bob.history.close();
      writeFileSync(bob.logPath, good.subarray(0, length));
      await bob.reopen({ loseIndex: true });
      expect(bob.history.count()).toBe(recordAt(length));
      expect((await bob.history.verify()).ok).toBe(true);
      await bob.history.append([opsDraft([world.genesis.hash], 'goes on')]);
      expect((await bob.history.verify()).ok).toBe(true);
    }
  });
});
