import { expect, it } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import type { Receipt } from '../../stream/index.ts';
import { createStreamRecords } from './stream-records.ts';

const receipt = (to: string, bytes: number, time: number): Receipt => ({
  streamId: 'aa',
  from: 'here',
  to,
  bytes,
  parts: 1,
  time,
  signed: Buffer.from(`${to} ${bytes}`),
});

it('keeps every receipt while there is room, however often it is renewed, and then lets go what came first', () => {
  const db = openDatabase(':memory:');
  const records = createStreamRecords(db, 5);
  const kept = () => records.receipts(0, 100).map(({ signed }) => Buffer.from(signed).toString());
  for (let n = 1; n <= 50; n++) for (const to of ['a', 'b', 'c']) records.addReceipt(receipt(to, n, n));
  expect(kept()).toEqual(['a 50', 'b 50', 'c 50']);
  // Who says an early time is not forgotten before those who came earlier.
  records.addReceipt(receipt('d', 1, 1));
  records.addReceipt(receipt('e', 1, 2));
  records.addReceipt(receipt('a', 51, 51));
  records.addReceipt(receipt('f', 1, 3));
  expect(kept().sort()).toEqual(['a 51', 'c 50', 'd 1', 'e 1', 'f 1']);
  // It counts on from what is there.
  const again = createStreamRecords(db, 5);
  again.addReceipt(receipt('g', 1, 4));
  expect(kept().sort()).toEqual(['a 51', 'd 1', 'e 1', 'f 1', 'g 1']);
  db.close();
});
