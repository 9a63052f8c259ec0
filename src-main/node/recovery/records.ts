import type { DeviceId, UserId } from '../../identity/index.ts';
import { migrate, type Database } from '../../store/index.ts';
import { recordsPerUser } from './messages.ts';

/** What is kept of others' recovery records, and for whom they are looked for here. */
export interface RecoveryRecords {
  /** Keeps what each computer handed in last; what was taken in longest ago gives way. */
  keep(user: UserId, device: DeviceId, box: Uint8Array, locator: Uint8Array, now: number): void;
  /** Sealed records of this person's computers. */
  of(user: UserId): readonly Uint8Array[];
  /** Of records taken in lately, up to `limit`. */
  locators(limit: number): readonly Uint8Array[];
  /** The time of this computer's next record, ms: later than all before, whatever the clock did. */
  nextTime(user: UserId, now: number): number;
  /** Records of this person are looked for from now on. */
  wanted(user: UserId, now: number): void;
  /** Since when they are, ms; null: they are not. */
  wantedSince(user: UserId): number | null;
}

/** Of all people together; at 64 KiB each. */
const mostRecords = 1024;

const migrations = [
  `CREATE TABLE recovery_kept (
    user TEXT NOT NULL,
    device TEXT NOT NULL,
    taken INTEGER NOT NULL,
    locator BLOB NOT NULL,
    box BLOB NOT NULL,
    PRIMARY KEY (user, device)
  ) STRICT;
  CREATE INDEX recovery_taken ON recovery_kept (taken);
  CREATE TABLE recovery_own (
    user TEXT PRIMARY KEY,
    time INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE recovery_wanted (
    user TEXT PRIMARY KEY,
    since INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
];

export function createRecoveryRecords(db: Database): RecoveryRecords {
  migrate(db, 'recovery', migrations);
  const put = db.prepare(
    'INSERT OR REPLACE INTO recovery_kept (user, device, taken, locator, box) VALUES (?, ?, ?, ?, ?)',
  );
  const ofUser = db.prepare<[string], { box: Uint8Array }>(
    'SELECT box FROM recovery_kept WHERE user = ? ORDER BY taken DESC, device',
  );
  const thinUser = db.prepare(
    `DELETE FROM recovery_kept WHERE user = ? AND device NOT IN
       (SELECT device FROM recovery_kept WHERE user = ? ORDER BY taken DESC, device LIMIT ${recordsPerUser})`,
  );
  const thin = db.prepare(
    `DELETE FROM recovery_kept WHERE taken < (SELECT taken FROM recovery_kept ORDER BY taken DESC LIMIT 1 OFFSET ${mostRecords - 1})`,
  );
  const newest = db.prepare<[number], { locator: Uint8Array }>(
    'SELECT locator, max(taken) AS taken FROM recovery_kept GROUP BY locator ORDER BY taken DESC LIMIT ?',
  );
  const next = db.prepare<[string, number], { time: number }>(
    `INSERT INTO recovery_own (user, time) VALUES (?, ?)
     ON CONFLICT DO UPDATE SET time = max(excluded.time, time + 1) RETURNING time`,
  );
  const want = db.prepare('INSERT OR REPLACE INTO recovery_wanted (user, since) VALUES (?, ?)');
  const since = db.prepare<[string], { since: number }>('SELECT since FROM recovery_wanted WHERE user = ?');
  return {
    keep: db.transaction(
      (user: UserId, device: DeviceId, box: Uint8Array, locator: Uint8Array, now: number) => {
        put.run(user, device, now, locator, box);
        thinUser.run(user, user);
        thin.run();
      },
    ),
    of: (user) => ofUser.all(user).map(({ box }) => new Uint8Array(box)),
    nextTime: (user, now) => next.get(user, now)!.time,
    locators: (limit) => newest.all(limit).map((row) => row.locator),
    wanted: (user, now) => void want.run(user, now),
    wantedSince: (user) => since.get(user)?.since ?? null,
  };
}
