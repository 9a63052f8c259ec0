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

/** What one computer was sent and sent, over some days. */
export interface PeerSum extends Carried {
  readonly peerId: string;
}
/** Computers are told apart by days, for a quarter of a year. s. */
const peerStep = { seconds: 86_400, kept: 92 * 86_400 };
/** Computers told apart on one day; what more of them carried stands under the name ''. */
const peersADay = 512;

/** How often counters are read, ms: a crash forgets no more than this. */
const every = 60_000;

/** What the network carried, by time, kept over restarts. */
export interface TrafficLog {
  /**
   * Reads a counter from now on, and those of single computers.
   * @returns ends that, and notes the rest
   */
  follow(totals: () => Carried, peers?: () => readonly PeerSum[]): () => void;
  /** What each computer carried on days that begin at `since` (ms since the epoch) or later, the busiest first. */
  peers(since: number): readonly PeerSum[];
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
  `CREATE TABLE traffic_peers (
     slot INTEGER NOT NULL,
     peer TEXT NOT NULL,
     sent INTEGER NOT NULL,
     received INTEGER NOT NULL,
     PRIMARY KEY (slot, peer)
   ) STRICT, WITHOUT ROWID`,
];

interface Followed {
  readonly totals: () => Carried;
  /** What of it is noted. */
  noted: Carried;
  readonly peers: () => readonly PeerSum[];
  notedPeers: ReadonlyMap<string, PeerSum>;
}

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
  const addPeer = db.prepare<[number, string, number, number]>(
    `INSERT INTO traffic_peers VALUES (?, ?, ?, ?)
     ON CONFLICT (slot, peer) DO UPDATE SET sent = sent + excluded.sent, received = received + excluded.received`,
  );
  const knownPeer = db.prepare<[number, string], unknown>(
    'SELECT 1 FROM traffic_peers WHERE slot = ? AND peer = ?',
  );
  const peersOn = db.prepare<[number], number>('SELECT count(*) FROM traffic_peers WHERE slot = ?').pluck();
  const forgetPeers = db.prepare<[number]>('DELETE FROM traffic_peers WHERE slot < ?');
  const readPeers = db.prepare<[number], PeerSum>(
    `SELECT peer AS peerId, sum(sent) AS sent, sum(received) AS received FROM traffic_peers
     WHERE slot >= ? GROUP BY peer ORDER BY sum(sent) + sum(received) DESC, peer`,
  );
  const writePeers = db.transaction((sums: readonly PeerSum[]) => {
    const now = Math.floor(clock.now() / 1000);
    const slot = now - (now % peerStep.seconds);
    let room = peersADay - peersOn.get(slot)!;
    for (const { peerId, sent, received } of sums) {
      const known = knownPeer.get(slot, peerId) !== undefined;
      if (!known) room -= 1;
      addPeer.run(slot, known || room >= 0 ? peerId : '', sent, received);
    }
    forgetPeers.run(now - peerStep.kept);
  });
  /** Counters that are followed, each with what of it is noted. */
  const followed = new Set<Followed>();

  function note(): void {
    for (const one of followed) {
      const now = one.totals();
      const sent = now.sent - one.noted.sent;
      const received = now.received - one.noted.received;
      if (sent <= 0 && received <= 0) continue;
      write(Math.max(0, sent), Math.max(0, received));
      one.noted = now;
      notePeers(one);
    }
  }

  function notePeers(one: Followed): void {
    const now = one.peers();
    const more = now.flatMap(({ peerId, sent, received }) => {
      const before = one.notedPeers.get(peerId);
      const sum = { peerId, sent: sent - (before?.sent ?? 0), received: received - (before?.received ?? 0) };
      // Fewer than before: its counter was forgotten and began anew.
      if (sum.sent < 0 || sum.received < 0) return [{ peerId, sent, received }];
      return sum.sent + sum.received > 0 ? [sum] : [];
    });
    if (more.length > 0) writePeers(more);
    one.notedPeers = new Map(now.map((sum) => [sum.peerId, sum]));
  }

  return {
    follow(totals, peers = () => []) {
      const notedPeers = new Map(peers().map((sum) => [sum.peerId, sum]));
      const one: Followed = { totals, noted: totals(), peers, notedPeers };
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
    peers(since) {
      note();
      return readPeers.all(Math.ceil(since / 1000));
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
