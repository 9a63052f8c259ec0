import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, type Database } from '../store/index.ts';
import { createTrafficLog } from './traffic-log.ts';

const noon = Date.UTC(2026, 10, 20, 12);

/** A clock that runs its timers when it is moved. */
function handClock(start: number) {
  let now = start;
  let timers: { at: number; fn: () => void }[] = [];
  return {
    now: () => now,
    after(ms: number, fn: () => void) {
      const timer = { at: now + ms, fn };
      timers.push(timer);
      return () => void (timers = timers.filter((one) => one !== timer));
    },
    move(ms: number) {
      const end = now + ms;
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers = timers.filter((one) => one !== next);
        now = next.at;
        next.fn();
      }
      now = end;
    },
  };
}

describe('the record of traffic', () => {
  let dir: string;
  let db: Database;
  beforeEach(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'extrachain-traffic-'));
    db = openDatabase(path.join(dir, 'node.db'));
  });
  afterEach(() => {
    db.close();
    rmSync(dir, { recursive: true });
  });

  it('adds up what flowed by five minutes and by hours, over restarts', () => {
    const clock = handClock(noon);
    const first = createTrafficLog(db, clock);
    const carried = { sent: 100, received: 10 };
    const end = first.follow(() => ({ ...carried }));
    carried.sent += 50;
    clock.move(4 * 60_000);
    carried.received += 7;
    clock.move(4 * 60_000);
    end();
    // What a counter held before it was followed is of an earlier time.
    const second = createTrafficLog(db, clock);
    const later = { sent: 1000, received: 0 };
    const stop = second.follow(() => ({ ...later }));
    later.sent += 3;
    expect(second.slots('minutes', 0)).toEqual([
      { time: noon, sent: 50, received: 0 },
      { time: noon + 300_000, sent: 3, received: 7 },
    ]);
    expect(second.slots('hours', 0)).toEqual([{ time: noon, sent: 53, received: 7 }]);
    expect(second.slots('minutes', noon + 1)).toHaveLength(1);
    stop();
  });

  it('forgets five minutes after two days and hours after a quarter of a year', () => {
    const clock = handClock(noon);
    const log = createTrafficLog(db, clock);
    const carried = { sent: 0, received: 0 };
    log.follow(() => ({ ...carried }));
    const flow = () => {
      carried.sent += 1;
      return log.slots('minutes', 0);
    };
    expect(flow()).toHaveLength(1);
    clock.move(3 * 86_400_000);
    expect(flow()).toEqual([{ time: noon + 3 * 86_400_000, sent: 1, received: 0 }]);
    expect(log.slots('hours', 0)).toHaveLength(2);
    clock.move(91 * 86_400_000);
    flow();
    expect(log.slots('hours', 0).map(({ time }) => time)).toEqual([
      noon + 3 * 86_400_000,
      noon + 94 * 86_400_000,
    ]);
  });

  it('tells computers apart, over restarts, when counters begin anew, and not without end', () => {
    const clock = handClock(noon);
    const first = createTrafficLog(db, clock);
    const carried = { sent: 0, received: 0 };
    let peers = [{ peerId: 'a', sent: 5, received: 5 }];
    const end = first.follow(
      () => ({ ...carried }),
      () => peers,
    );
    carried.sent = 10;
    peers = [
      { peerId: 'a', sent: 15, received: 5 },
      { peerId: 'b', sent: 1, received: 2 },
    ];
    clock.move(60_000);
    // Forgotten and counted anew.
    carried.sent = 14;
    peers = [{ peerId: 'a', sent: 4, received: 0 }];
    end();
    expect(first.peers(0)).toEqual([
      { peerId: 'a', sent: 14, received: 0 },
      { peerId: 'b', sent: 1, received: 2 },
    ]);
    clock.move(86_400_000);
    const second = createTrafficLog(db, clock);
    const many = Array.from({ length: 600 }, (_, n) => ({ peerId: `p${n}`, sent: 0, received: 0 }));
    second.follow(
      () => ({ ...carried }),
      () => many.map((one) => ({ ...one })),
    );
    carried.sent += 600;
    for (const one of many) one.sent = 1;
    const today = second.peers(noon);
    expect(today).toHaveLength(513);
    expect(today[0]).toEqual({ peerId: '', sent: 88, received: 0 });
    expect(second.peers(0).find(({ peerId }) => peerId === 'a')).toMatchObject({ sent: 14 });
    clock.move(93 * 86_400_000);
    carried.sent += 1;
    many[0]!.sent += 1;
    expect(second.peers(0)).toEqual([{ peerId: 'p0', sent: 1, received: 0 }]);
  });

  it('writes nothing while nothing flows', () => {
    const clock = handClock(noon);
    const log = createTrafficLog(db, clock);
    log.follow(() => ({ sent: 9, received: 9 }));
    clock.move(3_600_000);
    expect(log.slots('hours', 0)).toEqual([]);
  });
});
