import { createHash } from 'node:crypto';
import { migrate, type Database } from '../../store/index.ts';
import type { AudienceKind } from '../../stream/index.ts';

/** An own stream that was recorded, and where the recording lies: what is left of a stream when it is over. */
export interface RecordedStream {
  readonly streamId: string;
  readonly title: string;
  readonly audience: AudienceKind;
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly driveId: string;
  /** From the drive's root. */
  readonly path: string;
  /** A name of its picture; null: it has none. */
  readonly poster: string | null;
}

export interface RecordingRecords {
  /** Takes the place of what is known of this stream, but for its picture. */
  put(one: Omit<RecordedStream, 'poster'>): void;
  /** A JPEG or WebP. */
  setPoster(streamId: string, bytes: Uint8Array): void;
  poster(streamId: string): Uint8Array | null;
  remove(streamId: string): void;
  get(streamId: string): RecordedStream | null;
  /** The newest first. */
  list(): readonly RecordedStream[];
}

const mostKept = 500;
const migrations = [
  `CREATE TABLE stream_recordings (
     stream TEXT PRIMARY KEY, title TEXT NOT NULL, audience TEXT NOT NULL, started INTEGER NOT NULL, drive TEXT NOT NULL, path TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX stream_recordings_started ON stream_recordings (started)`,
  `ALTER TABLE stream_recordings ADD COLUMN poster BLOB;
   ALTER TABLE stream_recordings ADD COLUMN poster_name TEXT`,
];
const columns =
  'stream AS streamId, title, audience, started AS startedAt, drive AS driveId, path, poster_name AS poster';

export function createRecordingRecords(db: Database): RecordingRecords {
  migrate(db, 'recordings', migrations);
  const put = db.prepare(
    `INSERT INTO stream_recordings (stream, title, audience, started, drive, path) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (stream) DO UPDATE SET title = excluded.title, audience = excluded.audience, started = excluded.started,
       drive = excluded.drive, path = excluded.path`,
  );
  const setPoster = db.prepare('UPDATE stream_recordings SET poster = ?, poster_name = ? WHERE stream = ?');
  const poster = db.prepare<[string], { poster: Uint8Array | null }>(
    'SELECT poster FROM stream_recordings WHERE stream = ?',
  );
  const remove = db.prepare('DELETE FROM stream_recordings WHERE stream = ?');
  const get = db.prepare<[string], RecordedStream>(
    `SELECT ${columns} FROM stream_recordings WHERE stream = ?`,
  );
  const list = db.prepare<[number], RecordedStream>(
    `SELECT ${columns} FROM stream_recordings ORDER BY started DESC LIMIT ?`,
  );
  const trim = db.prepare(
    `DELETE FROM stream_recordings WHERE stream IN
     (SELECT stream FROM stream_recordings ORDER BY started DESC LIMIT -1 OFFSET ?)`,
  );
  return {
    put({ streamId, title, audience, startedAt, driveId, path }) {
      put.run(streamId, title, audience, startedAt, driveId, path);
      trim.run(mostKept);
    },
    setPoster(streamId, bytes) {
      setPoster.run(bytes, createHash('sha256').update(bytes).digest('hex'), streamId);
    },
    poster(streamId) {
      const bytes = poster.get(streamId)?.poster;
      return bytes ? new Uint8Array(bytes) : null;
    },
    remove: (streamId) => void remove.run(streamId),
    get: (streamId) => get.get(streamId) ?? null,
    list: () => list.all(mostKept),
  };
}
