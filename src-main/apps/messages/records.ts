import type { Database } from '../../store/index.ts';
import { migrate } from '../../store/index.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type { SealedMessage } from './codec.ts';

const migrations = [
  `CREATE TABLE message_outbox (id BLOB NOT NULL, user TEXT NOT NULL, app TEXT NOT NULL, receiver TEXT NOT NULL, time INTEGER NOT NULL,
     box BLOB NOT NULL, PRIMARY KEY (id)) STRICT, WITHOUT ROWID;
   CREATE INDEX message_outbox_receiver ON message_outbox (receiver);
   CREATE TABLE message_told (id BLOB NOT NULL, device TEXT NOT NULL, PRIMARY KEY (id, device)) STRICT, WITHOUT ROWID;
   CREATE TABLE message_inbox (n INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, user TEXT NOT NULL, app TEXT NOT NULL, sender TEXT NOT NULL,
     time INTEGER NOT NULL, box BLOB NOT NULL, UNIQUE (user, sender, id)) STRICT;
   CREATE INDEX message_inbox_app ON message_inbox (user, app, n);
   CREATE TABLE message_seen (user TEXT NOT NULL, sender TEXT NOT NULL, id BLOB NOT NULL, time INTEGER NOT NULL,
     PRIMARY KEY (user, sender, id)) STRICT, WITHOUT ROWID`,
];

/** Bounds: what waits here for others, and for an app that has not looked. */
export const messageLimits = {
  /** Of one app, in all and for one receiver. */
  outbox: 2000,
  outboxOfReceiver: 500,
  /** Of one app, and of one sender in it. */
  inbox: 2000,
  inboxOfSender: 200,
  /** ms: what could not be delivered until then is given up. */
  keep: 14 * 24 * 3600_000,
  /** Messages whose second coming is known. */
  seen: 20_000,
} as const;

interface OutRow {
  readonly id: Uint8Array;
  readonly user: string;
  readonly app: string;
  readonly receiver: string;
  readonly time: number;
  readonly box: Uint8Array;
}
interface InRow {
  readonly n: number;
  readonly id: Uint8Array;
  readonly app: string;
  readonly sender: string;
  readonly time: number;
  readonly box: Uint8Array;
}

/** Outbox and inbox in node.db; what is in them stays sealed. */
export function createMessageRecords(db: Database) {
  migrate(db, 'messages', migrations);
  const addOut = db.prepare('INSERT INTO message_outbox VALUES (?, ?, ?, ?, ?, ?)');
  const outCount = db.prepare<[string, string], { n: number }>(
    'SELECT count(*) AS n FROM message_outbox WHERE user = ? AND app = ?',
  );
  const outFor = db.prepare<[string, string, string], { n: number }>(
    'SELECT count(*) AS n FROM message_outbox WHERE user = ? AND app = ? AND receiver = ?',
  );
  const untold = db.prepare<[string, string, string], OutRow>(
    `SELECT * FROM message_outbox o WHERE user = ? AND receiver = ?
     AND NOT EXISTS (SELECT 1 FROM message_told t WHERE t.id = o.id AND t.device = ?) ORDER BY time, id LIMIT 64`,
  );
  const tell = db.prepare('INSERT OR IGNORE INTO message_told VALUES (?, ?)');
  const toldCount = db.prepare<[Uint8Array], { n: number }>(
    'SELECT count(*) AS n FROM message_told WHERE id = ?',
  );
  const dropOut = db.prepare('DELETE FROM message_outbox WHERE id = ?');
  const dropTold = db.prepare('DELETE FROM message_told WHERE id = ?');
  const old = db.prepare<[number], { id: Uint8Array }>('SELECT id FROM message_outbox WHERE time < ?');
  const receivers = db.prepare<[string], { receiver: string }>(
    'SELECT DISTINCT receiver FROM message_outbox WHERE user = ?',
  );
  const seen = db.prepare<[string, string, Uint8Array], unknown>(
    'SELECT 1 FROM message_seen WHERE user = ? AND sender = ? AND id = ?',
  );
  const see = db.prepare('INSERT OR IGNORE INTO message_seen VALUES (?, ?, ?, ?)');
  const forget = db.prepare(
    `DELETE FROM message_seen WHERE time < (SELECT time FROM message_seen ORDER BY time DESC LIMIT 1 OFFSET ${messageLimits.seen})`,
  );
  const addIn = db.prepare(
    'INSERT OR IGNORE INTO message_inbox (id, user, app, sender, time, box) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const inCount = db.prepare<[string, string], { n: number }>(
    'SELECT count(*) AS n FROM message_inbox WHERE user = ? AND app = ?',
  );
  const inOf = db.prepare<[string, string, string], { n: number }>(
    'SELECT count(*) AS n FROM message_inbox WHERE user = ? AND app = ? AND sender = ?',
  );
  const inbox = db.prepare<[string, string, number], InRow>(
    'SELECT n, id, app, sender, time, box FROM message_inbox WHERE user = ? AND app = ? AND n > ? ORDER BY n LIMIT 256',
  );
  const dropIn = db.prepare('DELETE FROM message_inbox WHERE user = ? AND app = ? AND n = ?');
  let count = 0;

  const remove = db.transaction((id: Uint8Array) => {
    dropOut.run(id);
    dropTold.run(id);
  });

  return {
    /** @returns false when too much waits already */
    queue: ({ id, app, from, to, time, box }: SealedMessage): boolean => {
      if (outCount.get(from, app)!.n >= messageLimits.outbox) return false;
      if (outFor.get(from, app, to)!.n >= messageLimits.outboxOfReceiver) return false;
      addOut.run(id, from, app, to, time, box);
      return true;
    },
    /** The next messages for a person that this device of theirs was not told. */
    untold: (user: UserId, receiver: UserId, device: DeviceId): readonly SealedMessage[] =>
      untold
        .all(user, receiver, device)
        .map(({ receiver: to, user: from, ...rest }) => ({ from, to, ...rest })),
    /** @param devices how many the receiver has: told to all of them it is done */
    told(id: Uint8Array, device: DeviceId, devices: number): void {
      tell.run(id, device);
      if (toldCount.get(id)!.n >= devices) remove(id);
    },
    waiting: (user: UserId, app: string): number => outCount.get(user, app)!.n,
    receivers: (user: UserId): readonly UserId[] => receivers.all(user).map(({ receiver }) => receiver),
    expire(now: number): void {
      for (const { id } of old.all(now - messageLimits.keep)) remove(id);
    },
    /** @returns `new`, `known` (came before), or `full` */
    take(message: SealedMessage, now: number): 'new' | 'known' | 'full' {
      const { id, app, from, to, time, box } = message;
      if (seen.get(to, from, id)) return 'known';
      if (inCount.get(to, app)!.n >= messageLimits.inbox) return 'full';
      if (inOf.get(to, app, from)!.n >= messageLimits.inboxOfSender) return 'full';
      db.transaction(() => {
        addIn.run(id, to, app, from, time, box);
        see.run(to, from, id, now);
      })();
      if ((count += 1) % 1000 === 0) forget.run();
      return 'new';
    },
    inbox: (user: UserId, app: string, after: number): readonly InRow[] => inbox.all(user, app, after),
    done: (user: UserId, app: string, n: number): void => void dropIn.run(user, app, n),
  };
}
export type MessageRecords = ReturnType<typeof createMessageRecords>;
