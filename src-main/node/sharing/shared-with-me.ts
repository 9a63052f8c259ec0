import type { DeviceId, UserId } from '../../identity/index.ts';
import type { ProtocolOptions } from '../../network/index.ts';
import { migrate } from '../../store/index.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import { decodeShared, encodeShared, maxSharedFrame, mostNotices } from './shared-messages.ts';
import type { SharedNotice } from './shared-messages.ts';
import { createTelling } from './telling.ts';
import { activityWords } from '../activity-words.ts';

/** A drive somebody shares with this user, or keeps on another of the user's own computers, that is not kept here. */
export interface SharedDrive extends SharedNotice {
  /** Whose device said so. Checked only when the drive is joined. */
  readonly from: UserId;
  /** When it was first heard of, ms. */
  readonly time: number;
}

export interface SharedWithMe {
  /** Newest first. */
  list(): readonly SharedDrive[];
  /**
   * What a computer of this user, perhaps one that is gone, had written down of its drives: as if it said so itself, now.
   * @returns how many of them were not known before
   */
  recovered(user: UserId, device: DeviceId, drives: readonly SharedNotice[]): number;
  /** Not shown any more, until it is shared anew by somebody else. */
  hide(driveId: string): void;
  /** Is any device of this user known to have the drive? Told by having exchanged its history with one of them. */
  opened(driveId: string, user: UserId): boolean;
  stop(): void;
}

const protocol = 'shared/1';
const options: ProtocolOptions = { maxFrame: maxSharedFrame, maxStreams: 4, idleTimeout: 10_000, maxRate: 4 };
/** Notices kept for one user; the oldest give way. */
const mostKept = 256;
/** Drives change many times a second while they move; who has a part in them seldom does. ms. */
const tellAfter = 500;

const migrations = [
  `CREATE TABLE shared_with_me (
    user TEXT NOT NULL,
    drive TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    sender TEXT NOT NULL,
    peer TEXT NOT NULL,
    time INTEGER NOT NULL,
    hidden INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, drive)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE drive_opened (
    drive TEXT NOT NULL,
    user TEXT NOT NULL,
    PRIMARY KEY (drive, user)
  ) STRICT, WITHOUT ROWID`,
];

/**
 * Tells the devices of other members, and the user's own, which drives of this node they have a part in, and remembers what
 * others tell. A notice is a hint: it opens nothing, and joining checks the rights.
 */
export function createSharedWithMe(node: Online, drives: () => Drives): SharedWithMe {
  const { db, network, exchange, identity, clock, events, activity } = node;
  migrate(db, 'shared', migrations);
  type Row = { drive: string; name: string; role: string; sender: string; time: number };
  const select = db.prepare<[string], Row>(
    'SELECT drive, name, role, sender, time FROM shared_with_me WHERE user = ? AND hidden = 0 ORDER BY time DESC, drive',
  );
  const known = db.prepare<[string, string], { sender: string; hidden: number }>(
    'SELECT sender, hidden FROM shared_with_me WHERE user = ? AND drive = ?',
  );
  const insert = db.prepare(
    `INSERT INTO shared_with_me (user, drive, name, role, sender, peer, time) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET name = excluded.name, role = excluded.role, peer = excluded.peer,
       hidden = CASE WHEN sender = excluded.sender THEN hidden ELSE 0 END, sender = excluded.sender`,
  );
  const ofPeer = db.prepare<[string, string], { drive: string }>(
    'SELECT drive FROM shared_with_me WHERE user = ? AND peer = ?',
  );
  const remove = db.prepare('DELETE FROM shared_with_me WHERE user = ? AND drive = ?');
  const thin = db.prepare<[string, string]>(
    `DELETE FROM shared_with_me WHERE user = ? AND drive NOT IN
       (SELECT drive FROM shared_with_me WHERE user = ? ORDER BY time DESC LIMIT ${mostKept})`,
  );
  const hide = db.prepare('UPDATE shared_with_me SET hidden = 1 WHERE user = ? AND drive = ?');
  const note = db.prepare('INSERT OR IGNORE INTO drive_opened VALUES (?, ?)');
  const noted = db.prepare<[string, string], { n: number }>(
    'SELECT count(*) AS n FROM drive_opened WHERE drive = ? AND user = ?',
  );

  const keptHere = (driveId: string): boolean =>
    drives()
      .list()
      .some((one) => one.record.driveId === driveId) ||
    drives()
      .broken()
      .some((one) => one.record.driveId === driveId);

  /** Takes what a device says as the whole of what it says: what it no longer names is no longer there. */
  function take(peer: DeviceId, sender: UserId, notices: readonly SharedNotice[]): void {
    const user = identity.userId();
    if (user === null) return;
    const named = new Set(notices.map((one) => one.driveId));
    db.transaction(() => {
      for (const { drive } of ofPeer.all(user, peer)) if (!named.has(drive)) remove.run(user, drive);
      for (const { driveId, name, role } of notices) {
        const before = known.get(user, driveId);
        insert.run(user, driveId, name, role, sender, peer, clock.now());
        if (before || keptHere(driveId) || sender === user) continue;
        const words = activityWords.driveShared(name);
        events.emit('activity', activity.add({ kind: 'member', driveId, userId: sender, ...words }));
      }
      thin.run(user, user);
    })();
    events.emit('drives', { driveId: null });
  }

  network.handle(protocol, options, async (stream) => {
    const frame = await stream.read();
    const sender = network.cards.userOf(stream.peer);
    if (frame === null) return;
    if (sender !== null) take(stream.peer, sender, decodeShared(frame));
    await stream.send(encodeShared([]));
    await stream.close();
  });

  function noticesFor(user: UserId): readonly SharedNotice[] {
    const own = identity.userId();
    const found: SharedNotice[] = [];
    for (const { record, drive } of drives().list()) {
      const mine = drive.ownRole();
      const role = drive.roleOf(user);
      const speaks = user === own || mine === 'owner' || mine === 'manager';
      if (role === null || !speaks || found.length >= mostNotices) continue;
      // Who has the drive around it gets it with that, in its place.
      const around = record.mount && drives().opened(record.mount.parent);
      if (around && around.roleOf(user) !== null) continue;
      found.push({ driveId: record.driveId, name: drive.name(), role });
    }
    return found;
  }

  const telling = createTelling(node, {
    protocol,
    options,
    after: tellAfter,
    subject: 'shared drives',
    noticesFor,
    encode: encodeShared,
  });

  const off = [
    events.on('drives', telling.soon),
    exchange.on('members', ({ driveId }) => {
      for (const { userId, sameHistory } of exchange.members(driveId))
        if (sameHistory) note.run(driveId, userId);
    }),
  ];

  return {
    recovered(user, device, notices) {
      if (user !== identity.userId()) return 0;
      const fresh = notices.filter(({ driveId }) => !known.get(user, driveId) && !keptHere(driveId)).length;
      take(`recovery ${device}`, user, notices);
      return fresh;
    },
    list() {
      const user = identity.userId();
      if (user === null) return [];
      return select
        .all(user)
        .filter(({ drive }) => !keptHere(drive))
        .map(({ drive, name, role, sender, time }) => ({
          driveId: drive,
          name,
          role: role as SharedNotice['role'],
          from: sender,
          time,
        }));
    },
    hide(driveId) {
      const user = identity.userId();
      if (user !== null) hide.run(user, driveId);
      events.emit('drives', { driveId: null });
    },
    opened: (driveId, user) => noted.get(driveId, user)!.n > 0,
    stop() {
      telling.stop();
      for (const end of off) end();
    },
  };
}
