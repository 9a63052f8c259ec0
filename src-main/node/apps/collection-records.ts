import { migrate, type Database } from '../../store/index.ts';
import type { EntryId } from '../../history/index.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type { CollectionNotice } from './collection-messages.ts';

/** A collection kept here, as remembered from start to start. */
export interface CollectionRecord {
  readonly driveId: EntryId;
  /** The actor it was made or joined as. */
  readonly user: UserId;
  readonly app: string;
}

/** One that somebody shares with this user and that is not kept here. */
export interface CollectionInvitation extends CollectionNotice {
  /** Whose device said so; checked only when it is joined. */
  readonly from: UserId;
  readonly peer: DeviceId;
  /** ms */
  readonly time: number;
}

/** Invitations kept for one user, and of one sender: who has more is asked again. */
const mostKept = 512;
const mostOfSender = 64;

const migrations = [
  `CREATE TABLE collections (drive TEXT PRIMARY KEY, user TEXT NOT NULL, app TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE collection_invitations (
     user TEXT NOT NULL, drive TEXT NOT NULL, app TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, sender TEXT NOT NULL,
     peer TEXT NOT NULL, time INTEGER NOT NULL, declined INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (user, drive)
   ) STRICT, WITHOUT ROWID`,
  `ALTER TABLE collections ADD COLUMN hosted INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE collections ADD COLUMN copies INTEGER;
   ALTER TABLE collection_invitations ADD COLUMN hosts TEXT NOT NULL DEFAULT '[]'`,
];

export function createCollectionRecords(db: Database) {
  migrate(db, 'collections', migrations);
  type Row = { drive: string; user: string; app: string };
  const all = db.prepare<[string], Row>(
    'SELECT drive, user, app FROM collections WHERE user = ? ORDER BY drive',
  );
  const insert = db.prepare('INSERT OR REPLACE INTO collections (drive, user, app) VALUES (?, ?, ?)');
  const kept = db.prepare<[string], { hosted: number; copies: number | null }>(
    'SELECT hosted, copies FROM collections WHERE drive = ?',
  );
  const setHosted = db.prepare('UPDATE collections SET hosted = 1 WHERE drive = ?');
  const setCopies = db.prepare('UPDATE collections SET copies = ? WHERE drive = ?');
  const remove = db.prepare('DELETE FROM collections WHERE drive = ?');
  type Invited = {
    drive: string;
    app: string;
    name: string;
    role: string;
    sender: string;
    peer: string;
    time: number;
    hosts: string;
  };
  const invited = db.prepare<[string], Invited>(
    `SELECT i.* FROM collection_invitations i LEFT JOIN collections c ON c.drive = i.drive
     WHERE i.user = ? AND i.declined = 0 AND c.drive IS NULL ORDER BY i.time DESC, i.drive`,
  );
  const ofSender = db.prepare<[string, string], { drive: string }>(
    'SELECT drive FROM collection_invitations WHERE user = ? AND sender = ?',
  );
  const count = db.prepare<[string], { n: number }>(
    'SELECT count(*) AS n FROM collection_invitations WHERE user = ?',
  );
  const invite = db.prepare(
    `INSERT INTO collection_invitations (user, drive, app, name, role, sender, peer, time, hosts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET name = excluded.name, role = excluded.role, peer = excluded.peer, hosts = excluded.hosts
     WHERE sender = excluded.sender`,
  );
  const drop = db.prepare('DELETE FROM collection_invitations WHERE user = ? AND drive = ? AND sender = ?');
  const decline = db.prepare('UPDATE collection_invitations SET declined = 1 WHERE user = ? AND drive = ?');

  return {
    all: (user: UserId): readonly CollectionRecord[] =>
      all.all(user).map(({ drive, ...rest }) => ({ driveId: drive, ...rest })),
    add: ({ driveId, user, app }: CollectionRecord): void => void insert.run(driveId, user, app),
    remove: (driveId: EntryId): void => void remove.run(driveId),
    /** It has, or had, copies on hosts. */
    hosted: (driveId: EntryId): boolean => kept.get(driveId)?.hosted === 1,
    setHosted: (driveId: EntryId): void => void setHosted.run(driveId),
    /** How many copies somebody here asked for; null: nobody did. */
    copies: (driveId: EntryId): number | null => kept.get(driveId)?.copies ?? null,
    setCopies: (driveId: EntryId, copies: number | null): void => void setCopies.run(copies, driveId),
    invitations: (user: UserId): readonly CollectionInvitation[] =>
      invited.all(user).map(({ drive, sender, role, hosts, ...rest }) => ({
        driveId: drive,
        from: sender,
        ...rest,
        role: role as CollectionNotice['role'],
        hosts: JSON.parse(hosts) as string[],
      })),
    /** Takes what a device says as the whole of what its user says. @returns true when anything differs now */
    invited(
      user: UserId,
      sender: UserId,
      peer: DeviceId,
      notices: readonly CollectionNotice[],
      time: number,
    ): boolean {
      return db.transaction(() => {
        const before = new Set(ofSender.all(user, sender).map((one) => one.drive));
        const named = new Set(notices.map((one) => one.driveId));
        let changes = 0;
        for (const drive of before) {
          if (named.has(drive)) continue;
          drop.run(user, drive, sender);
          changes += 1;
        }
        for (const { driveId, app, name, role, hosts } of notices.slice(0, mostOfSender)) {
          if (!before.has(driveId) && count.get(user)!.n >= mostKept) break;
          changes += before.has(driveId) ? 0 : 1;
          invite.run(user, driveId, app, name, role, sender, peer, time, JSON.stringify(hosts));
        }
        return changes > 0;
      })();
    },
    decline: (user: UserId, driveId: EntryId): void => void decline.run(user, driveId),
  };
}
