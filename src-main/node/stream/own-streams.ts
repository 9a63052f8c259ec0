import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import { migrate, type Database } from '../../store/index.ts';
import { openBox, sealBox } from '../../stream/index.ts';
import type { StreamsDeps } from '../../stream/index.ts';

type Keeper = NonNullable<StreamsDeps['keeper']>;

const migrations = [
  `CREATE TABLE stream_own (
     stream TEXT PRIMARY KEY, state BLOB NOT NULL, seq INTEGER NOT NULL DEFAULT 0, segment INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
  `ALTER TABLE stream_own ADD COLUMN near TEXT NOT NULL DEFAULT ''`,
];

/**
 * Own streams over a restart of the node. Their keys lie sealed under a secret of this device; what can't be opened is not listed.
 * @param secret 32 bytes that only this device knows
 */
export function createOwnStreamKeeper(
  db: Database,
  {
    clock,
    random,
    secret,
  }: { readonly clock: Clock; readonly random: RandomBytes; readonly secret: Uint8Array },
): Keeper {
  migrate(db, 'own streams', migrations);
  const save = db.prepare(
    `INSERT INTO stream_own (stream, state, at) VALUES (?, ?, ?)
     ON CONFLICT (stream) DO UPDATE SET state = excluded.state, at = excluded.at`,
  );
  const move = db.prepare('UPDATE stream_own SET seq = ?, segment = ?, at = ? WHERE stream = ?');
  const near = db.prepare('UPDATE stream_own SET near = ? WHERE stream = ?');
  const remove = db.prepare('DELETE FROM stream_own WHERE stream = ?');
  const list = db.prepare<
    [],
    { stream: string; state: Uint8Array; seq: number; segment: number; near: string; at: number }
  >('SELECT stream, state, seq, segment, near, at FROM stream_own');
  const about = (streamId: string): Uint8Array => new Uint8Array(Buffer.from(`own stream v1\0${streamId}`));
  return {
    save(streamId, state) {
      save.run(streamId, sealBox(secret, state, about(streamId), random), clock.now());
    },
    savePosition(streamId, { seq, segment }) {
      move.run(seq, segment, clock.now(), streamId);
    },
    saveNear: (streamId, peers) => void near.run(peers.join(' '), streamId),
    remove: (streamId) => void remove.run(streamId),
    list: () =>
      list.all().flatMap(({ stream, state, seq, segment, near: peers, at }) => {
        try {
          const opened = openBox(secret, new Uint8Array(state), about(stream));
          const position = { seq, segment };
          return [{ streamId: stream, state: opened, position, near: peers.split(' ').filter(Boolean), at }];
        } catch {
          // Another device's, or damaged: it can't go on.
          remove.run(stream);
          return [];
        }
      }),
  };
}
