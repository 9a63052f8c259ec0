import type { Clock } from '../../src-shared/runtime.ts';
import { migrate, type Database } from '../store/index.ts';

/** Bytes since some beginning. */
export interface Carried {
  readonly sent: number;
  readonly received: number;
}

/** What was carried in one stretch of time. */
export interface TrafficSlot extends Carried {
  /** Its beginning, ms since the epoch: a multiple of its step. */
  readonly time: number;
}

/** How finely traffic is remembered: five minutes for two days, hours for a quarter of a year. */
export const trafficSteps = {
  minutes: { seconds: 300, kept: 2 * 86_400 },
  hours: { seconds: 3600, kept: 92 * 86_400 },
} as const;
export type TrafficStep = keyof typeof trafficSteps;

/** How often counters are read, ms: a crash forgets no more than this. */
const every = 60_000;

/** What the network carried, by time, kept over restarts. */
export interface TrafficLog {
  /**
   * Reads a counter from now on.
   * @returns ends that, and notes the rest
   */
  follow(totals: () => Carried): () => void;
  /** Slots that carried anything and begin at `since` (ms since the epoch) or later, oldest first; up to this moment. */
  slots(step: TrafficStep, since: number): readonly TrafficSlot[];
}

const migrations = [
  `CREATE TABLE traffic (
     step INTEGER NOT NULL,
     slot INTEGER NOT NULL,
     sent INTEGER NOT NULL,
     received INTEGER NOT NULL,
     PRIMARY KEY (step, slot)
   ) STRICT, WITHOUT ROWID`,
];

export function createTrafficLog(db: Database, clock: Clock): TrafficLog {
  migrate(db, 'traffic', migrations);
  const add = db.prepare<[number, number, number, number]>(
    `INSERT INTO traffic VALUES (?, ?, ?, ?)
     ON CONFLICT (step, slot) DO UPDATE SET sent = sent + excluded.sent, received = received + excluded.received`,
  );
  const forget = db.prepare<[number, number]>('DELETE FROM traffic WHERE step = ? AND slot < ?');
  const read = db.prepare<[number, number], { slot: number; sent: number; received: number }>(
    'SELECT slot, sent, received FROM traffic WHERE step = ? AND slot >= ? ORDER BY slot',
  );
  const write = db.transaction((sent: number, received: number) => {
    const now = Math.floor(clock.now() / 1000);
    for (const { seconds, kept } of Object.values(trafficSteps)) {
      add.run(seconds, now - (now % seconds), sent, received);
      forget.run(seconds, now - kept);
    }
  });
  /** Counters that are followed, each with what of it is noted. */
  const followed = new Set<{ readonly totals: () => Carried; noted: Carried }>();

  function note(): void {
    for (const one of followed) {
      const now = one.totals();
      const sent = now.sent - one.noted.sent;
      const received = now.received - one.noted.received;
      if (sent <= 0 && received <= 0) continue;
      write(Math.max(0, sent), Math.max(0, received));
      one.noted = now;
    }
  }

  return {
    follow(totals) {
      const one = { totals, noted: totals() };
      followed.add(one);
      let cancel = clock.after(every, tick);
      function tick(): void {
        note();
        cancel = clock.after(every, tick);
      }
      return () => {
        cancel();
        note();
        followed.delete(one);
      };
    },
    slots(step, since) {
      note();
      const { seconds } = trafficSteps[step];
      return read
        .all(seconds, Math.ceil(since / 1000))
        .map(({ slot, sent, received }) => ({ time: slot * 1000, sent, received }));
    },
  };
}
