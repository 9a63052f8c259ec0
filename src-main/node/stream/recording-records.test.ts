import { expect, it } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import { createRecordingRecords } from './recording-records.ts';

it('remembers recordings over a restart, the newest first and no more than it may, and forgets what is taken away', () => {
  const db = openDatabase(':memory:');
  const one = (n: number) => ({
    streamId: `s${n}`,
    title: `Stream ${n}`,
    audience: 'private' as const,
    startedAt: n,
    driveId: 'd',
    path: `Stream ${n}.mp4`,
    poster: null,
  });
  const records = createRecordingRecords(db);
  for (let n = 0; n < 510; n++) records.put(one(n));
  const picture = new Uint8Array([0xff, 0xd8, 0xff]);
  records.setPoster('s507', picture);
  records.put({ ...one(509), path: 'Stream 509 (2).mp4' });
  records.remove('s508');
  const again = createRecordingRecords(db);
  expect(again.list()).toHaveLength(499);
  expect(again.list().slice(0, 2)).toEqual([
    { ...one(509), path: 'Stream 509 (2).mp4' },
    { ...one(507), poster: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
  ]);
  // It stays when the recording has found its place.
  again.put({ ...one(507), path: 'Elsewhere.mp4' });
  expect(again.poster('s507')).toEqual(picture);
  expect(again.get('s507')).toMatchObject({ path: 'Elsewhere.mp4' });
  expect(again.poster('s506')).toBeNull();
  expect(again.get('s0')).toBeNull();
  db.close();
});
