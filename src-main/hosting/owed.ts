import type { EntryId } from '../history/index.ts';
import { migrate } from '../store/index.ts';
import type { Database } from '../store/index.ts';

/** A drive for which something was asked is kept so long while nothing pays for it: its keeper may have been away. ms. */
const unpaidMs = 3 * 86_400_000;
/** Who did not pay is not taken again for so long, ms. */
const refusedMs = 30 * 86_400_000;

/** Drives taken for a price, and since when nothing pays for them. Times are ms since the epoch. */
export interface OwedDrives {
  /** Taken while something was asked for it. */
  taken(drive: EntryId, now: number): void;
  /** A contract on a ledger pays for it at this moment. Does nothing for a drive that was taken for nothing. */
  isPaid(drive: EntryId, now: number): void;
  /** Nothing has paid for it for too long. */
  overdue(drive: EntryId, now: number): boolean;
  /** When it goes if nothing pays for it until then, ms; null: it was taken for nothing, or is gone. */
  goesAt(drive: EntryId): number | null;
  /** Drives that went because nothing paid for them, with when they would be taken again, ms; the last ones first. */
  gone(now: number): readonly { readonly driveId: EntryId; readonly until: number }[];
  /** It goes, and is not taken again for a while. */
  giveUp(drive: EntryId, now: number): void;
  isRefused(drive: EntryId, now: number): boolean;
  /** Its keeper let it go. */
  forget(drive: EntryId): void;
}

/** Opens the table in the database of the hosted drives. */
export function createOwedDrives(db: Database): OwedDrives {
  migrate(db, 'hosting.owed', [
    `CREATE TABLE host_owed (drive TEXT PRIMARY KEY, since INTEGER NOT NULL, given_up INTEGER NOT NULL DEFAULT 0)
       STRICT, WITHOUT ROWID`,
  ]);
  const put = db.prepare('INSERT OR REPLACE INTO host_owed (drive, since) VALUES (?, ?)');
  const move = db.prepare('UPDATE host_owed SET since = ? WHERE drive = ?');
  const end = db.prepare('UPDATE host_owed SET since = ?, given_up = 1 WHERE drive = ?');
  const remove = db.prepare('DELETE FROM host_owed WHERE drive = ?');
  const forgetOld = db.prepare('DELETE FROM host_owed WHERE given_up = 1 AND since < ?');
  const get = db.prepare<[string], { since: number; given_up: number }>(
    'SELECT since, given_up FROM host_owed WHERE drive = ?',
  );
  const allGone = db.prepare<[number], { drive: EntryId; since: number }>(
    'SELECT drive, since FROM host_owed WHERE given_up = 1 AND since >= ? ORDER BY since DESC',
  );
  return {
    goesAt(drive) {
      const row = get.get(drive);
      return row?.given_up === 0 ? row.since + unpaidMs : null;
    },
    gone: (now) =>
      allGone.all(now - refusedMs).map(({ drive, since }) => ({ driveId: drive, until: since + refusedMs })),
    taken: (drive, now) => void put.run(drive, now),
    isPaid: (drive, now) => void move.run(now, drive),
    overdue(drive, now) {
      const row = get.get(drive);
      return row?.given_up === 0 && now - row.since > unpaidMs;
    },
    giveUp: (drive, now) => void end.run(now, drive),
    isRefused(drive, now) {
      forgetOld.run(now - refusedMs);
      return get.get(drive)?.given_up === 1;
    },
    forget: (drive) => void remove.run(drive),
  };
}
