import { afterAll, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../store/index.ts';
import { createOwedDrives } from './owed.ts';

const db = openDatabase(':memory:');
const owed = createOwedDrives(db);
const day = 86_400_000;
beforeEach(() => void db.exec('DELETE FROM host_owed'));
afterAll(() => db.close());

it('is overdue three days after it was taken or last paid for, and not before', () => {
  owed.taken('d', 0);
  expect(owed.overdue('d', 3 * day)).toBe(false);
  expect(owed.overdue('d', 3 * day + 1)).toBe(true);
  expect(owed.goesAt('d')).toBe(3 * day);
  owed.isPaid('d', 2 * day);
  expect(owed.goesAt('d')).toBe(5 * day);
  expect(owed.overdue('d', 5 * day)).toBe(false);
  expect(owed.overdue('d', 5 * day + 1)).toBe(true);
});

it('is never overdue when nothing was asked for it', () => {
  owed.isPaid('free', 0);
  expect(owed.overdue('free', 1000 * day)).toBe(false);
  expect(owed.goesAt('free')).toBe(null);
});

it('is refused for thirty days after it was given up, over restarts, and taken anew then', () => {
  owed.taken('d', 0);
  owed.giveUp('d', 4 * day);
  const after = createOwedDrives(db);
  expect(after.gone(5 * day)).toEqual([{ driveId: 'd', until: 34 * day }]);
  expect(after.gone(34 * day + 1)).toEqual([]);
  expect(after.goesAt('d')).toBe(null);
  expect(after.isRefused('d', 34 * day)).toBe(true);
  expect(after.overdue('d', 34 * day)).toBe(false);
  expect(after.isRefused('d', 34 * day + 1)).toBe(false);
  after.taken('d', 40 * day);
  expect(after.isRefused('d', 40 * day)).toBe(false);
  after.forget('d');
  expect(after.overdue('d', 100 * day)).toBe(false);
});
