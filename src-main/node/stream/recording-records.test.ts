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
  });
  const records = createRecordingRecords(db);
  for (let n = 0; n < 510; n++) records.put(one(n));
  records.put({ ...one(509), path: 'Stream 509 (2).mp4' });
  records.remove('s508');
  const again = createRecordingRecords(db);
  expect(again.list()).toHaveLength(499);
  expect(again.list().slice(0, 2)).toEqual([{ ...one(509), path: 'Stream 509 (2).mp4' }, one(507)]);
  expect(again.get('s507')).toEqual(one(507));
  expect(again.get('s0')).toBeNull();
  db.close();
});
