import { AppError } from '../../../src-shared/errors.ts';
import { parseUserId } from '../../identity/index.ts';
import { migrate, type Database } from '../../store/index.ts';
import type { Receipt } from '../../stream/index.ts';

/** What a node remembers of streams: whom it follows, and what viewers' devices signed that they got from it. */
export interface StreamRecords {
  following(): string[];
  /** @throws AppError `invalid_argument` for what is no user id, `too_many` */
  follow(user: string, on: boolean): void;
  /** The newest of each device and stream is kept. */
  addReceipt(receipt: Receipt): void;
  /** Signed receipts since a moment (ms), oldest first: what a reward is claimed with. */
  receipts(since: number, limit: number): readonly { readonly time: number; readonly signed: Uint8Array }[];
  /** Those for one stream, the largest first. */
  receiptsOf(stream: string, limit: number): readonly StoredReceipt[];
  /** Streams there are receipts of, those that the last ones came for first. */
  streamsRelayed(limit: number): readonly string[];
}

export interface StoredReceipt {
  /** Of the viewer. */
  readonly device: string;
  readonly bytes: number;
  readonly signed: Uint8Array;
}

const migrations = [
  `CREATE TABLE stream_follows (user TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
   CREATE TABLE stream_receipts (
     stream TEXT NOT NULL, device TEXT NOT NULL, bytes INTEGER NOT NULL, time INTEGER NOT NULL, signed BLOB NOT NULL,
     PRIMARY KEY (stream, device)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX stream_receipts_time ON stream_receipts (time)`,
  // The time in a receipt is what its signer says: which is forgotten first goes by the order they came in.
  `ALTER TABLE stream_receipts ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX stream_receipts_arrival ON stream_receipts (arrival)`,
];
const mostFollowed = 1000;

/** @param mostReceipts receipts that are kept; the newest that came */
export function createStreamRecords(db: Database, mostReceipts = 100_000): StreamRecords {
  migrate(db, 'streams', migrations);
  const follows = db.prepare<[], { user: string }>('SELECT user FROM stream_follows ORDER BY user');
  const put = db.prepare('INSERT OR IGNORE INTO stream_follows VALUES (?)');
  const remove = db.prepare('DELETE FROM stream_follows WHERE user = ?');
  const add = db.prepare(
    `INSERT INTO stream_receipts (stream, device, bytes, time, signed, arrival)
     VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(arrival), 0) + 1 FROM stream_receipts)) ON CONFLICT (stream, device)
     DO UPDATE SET bytes = excluded.bytes, time = excluded.time, signed = excluded.signed, arrival = excluded.arrival
     WHERE excluded.bytes > bytes`,
  );
  const count = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM stream_receipts');
  const has = db.prepare<[string, string]>('SELECT 1 FROM stream_receipts WHERE stream = ? AND device = ?');
  const forget = db.prepare(
    `DELETE FROM stream_receipts WHERE (stream, device) IN
     (SELECT stream, device FROM stream_receipts ORDER BY arrival LIMIT ?)`,
  );
  const since = db.prepare<[number, number], { time: number; signed: Uint8Array }>(
    'SELECT time, signed FROM stream_receipts WHERE time >= ? ORDER BY time LIMIT ?',
  );
  const ofStream = db.prepare<[string, number], StoredReceipt>(
    'SELECT device, bytes, signed FROM stream_receipts WHERE stream = ? ORDER BY bytes DESC LIMIT ?',
  );
  const streams = db.prepare<[number], { stream: string }>(
    'SELECT stream FROM stream_receipts GROUP BY stream ORDER BY max(arrival) DESC LIMIT ?',
  );
  const following = (): string[] => follows.all().map((row) => row.user);
  let kept = count.get()!.n;
  return {
    following,
    follow(user, on) {
      parseUserId(user);
      if (!on) {
        remove.run(user);
        return;
      }
      if (following().length >= mostFollowed)
        throw new AppError('too_many', 'You follow 1,000 people already.');
      put.run(user);
    },
    addReceipt({ streamId, to, bytes, time, signed }) {
      // A newer receipt of a device takes the place of its older one: the table does not grow by it.
      const isNew = has.get(streamId, to) === undefined;
      add.run(streamId, to, bytes, time, signed);
      if (isNew) kept += 1;
      if (kept > mostReceipts) kept -= forget.run(kept - mostReceipts).changes;
    },
    receipts: (from, limit) => since.all(from, limit),
    receiptsOf: (stream, limit) => ofStream.all(stream, limit),
    streamsRelayed: (limit) => streams.all(limit).map(({ stream }) => stream),
  };
}
