import type { DeviceId, UserId } from '../../identity/index.ts';
import { migrate, type Database } from '../../store/index.ts';
import { recordsPerUser } from './messages.ts';

/** A sealed record of one computer of somebody. */
export interface KeptRecord {
  readonly device: DeviceId;
  /** When it was made, ms, as its maker says. */
  readonly time: number;
  readonly box: Uint8Array;
}

/** What is kept of others' recovery records, and for whom they are looked for here. */
export interface RecoveryRecords {
  /** Keeps the newest of each computer; the oldest give way. @returns false for one that is older than what is here */
  keep(user: UserId, record: KeptRecord, locator: Uint8Array, now: number): boolean;
  of(user: UserId): readonly KeptRecord[];
  /** Of records taken in lately, up to `limit`. */
  locators(limit: number): readonly Uint8Array[];
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
    time INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    locator BLOB NOT NULL,
    box BLOB NOT NULL,
    PRIMARY KEY (user, device)
  ) STRICT;
  CREATE INDEX recovery_taken ON recovery_kept (taken);
  CREATE TABLE recovery_wanted (
    user TEXT PRIMARY KEY,
    since INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
];

export function createRecoveryRecords(db: Database): RecoveryRecords {
  migrate(db, 'recovery', migrations);
  const put = db.prepare(
    `INSERT INTO recovery_kept (user, device, time, taken, locator, box) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET time = excluded.time, taken = excluded.taken, locator = excluded.locator, box = excluded.box
     WHERE excluded.time >= time`,
  );
  const ofUser = db.prepare<[string], KeptRecord>(
    'SELECT device, time, box FROM recovery_kept WHERE user = ? ORDER BY taken DESC, device',
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
  const want = db.prepare('INSERT OR REPLACE INTO recovery_wanted (user, since) VALUES (?, ?)');
  const since = db.prepare<[string], { since: number }>('SELECT since FROM recovery_wanted WHERE user = ?');
  return {
    keep: db.transaction(
      (user: UserId, { device, time, box }: KeptRecord, locator: Uint8Array, now: number) => {
        const { changes } = put.run(user, device, time, now, locator, box);
        thinUser.run(user, user);
        thin.run();
        return changes > 0;
      },
    ),
    of: (user) => ofUser.all(user),
    locators: (limit) => newest.all(limit).map((row) => row.locator),
    wanted: (user, now) => void want.run(user, now),
    wantedSince: (user) => since.get(user)?.since ?? null,
  };
}
