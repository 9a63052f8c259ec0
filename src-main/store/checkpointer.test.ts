import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import { createCheckpointer } from './checkpointer.ts';
import { openDatabase } from './database.ts';

const clean: (() => void)[] = [];
afterEach(() => {
  for (const one of clean.splice(0)) one();
});

function makeDatabase() {
  const dir = mkdtempSync(join(tmpdir(), 'extrachain-checkpoint-'));
  const path = join(dir, 'test.db');
  const db = openDatabase(path);
  clean.push(() => {
    db.close();
    rmSync(dir, { recursive: true });
  });
  db.exec('CREATE TABLE t (n INTEGER, text TEXT)');
  return { db, path };
}

/** Time that passes when told to. */
function createClock() {
  const timers = new Set<{ at: number; fn: () => void }>();
  let now = 0;
  return {
    now: () => now,
    after(ms: number, fn: () => void) {
      const timer = { at: now + ms, fn };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    pass(ms: number) {
      now += ms;
      for (const timer of [...timers]) {
        if (timer.at > now) continue;
        timers.delete(timer);
        timer.fn();
      }
    },
  };
}

test('moves the log into the database in the background, and nothing does it meanwhile', async () => {
  const { db, path } = makeDatabase();
  const clock = createClock();
  const checkpointer = createCheckpointer({ clock, logger: silentLogger });
  const end = checkpointer.add(db);
  const insert = db.prepare('INSERT INTO t VALUES (?, ?)');
  const before = statSync(path).size;
  for (let i = 0; i < 200; i++) db.transaction(() => insert.run(i, 'x'.repeat(40_000)))();
  // Far more than the 1,000 pages after which SQLite would do it by itself.
  expect(statSync(path).size).toBe(before);
  clock.pass(1000);
  await expect.poll(() => statSync(path).size, { timeout: 10_000 }).toBeGreaterThan(8_000_000);
  expect(db.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 200 });
  await end();
  await checkpointer.stop();
});

test('a database that is gone is let alone, and stopping waits for what is under way', async () => {
  const { db } = makeDatabase();
  const clock = createClock();
  const checkpointer = createCheckpointer({ clock, logger: silentLogger });
  const end = checkpointer.add(db);
  db.exec("INSERT INTO t VALUES (1, 'x')");
  clock.pass(1000);
  await end();
  clock.pass(60_000);
  expect(db.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 1 });
  await checkpointer.stop();
});
