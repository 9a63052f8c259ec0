import { expect, it } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import { createPermissionRecords } from './records.ts';

const clock = { now: () => 1_000, monotonic: () => 0, after: () => () => {} };

it('keeps what an app did lately, counts repetitions, and lets each app push out only its own', () => {
  const records = createPermissionRecords(openDatabase(':memory:'), clock);
  const note = (app: string, about: string): void =>
    records.note(app, { method: 'exc_read', permission: null, about, outcome: 'done' });
  note('quiet', 'once');
  for (let at = 0; at < 2_250; at += 1) note('loud', `file ${at}`);
  note('loud', 'file 2249');
  expect(records.deeds('quiet', 10)).toMatchObject([{ about: 'once', times: 1 }]);
  const kept = records.deeds('loud', 10_000);
  expect(kept[0]).toMatchObject({ about: 'file 2249', times: 2 });
  // Thinned at every hundredth entry.
  expect(kept.length).toBeGreaterThanOrEqual(2_000);
  expect(kept.length).toBeLessThanOrEqual(2_100);
});
