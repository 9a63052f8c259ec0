import {
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import type { ErrorCode } from '../../src-shared/errors.ts';
import { checkDatabase, createSettings, migrate, moveDatabaseAside, openDatabase } from './index.ts';

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'exc-store-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function codeOf(fn: () => unknown): ErrorCode | 'no error' {
  try {
    fn();
  } catch (error) {
    if (isAppError(error)) return error.code;
    throw error;
  }
  return 'no error';
}

describe('openDatabase', () => {
  it('opens in WAL with foreign keys, in a folder it makes', () => {
    const db = openDatabase(join(dir, 'a', 'b', 'x.db'));
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(db.pragma('foreign_keys', { simple: true })).toBe(1);
    expect(db.pragma('synchronous', { simple: true })).toBe(1);
    db.close();
    const full = openDatabase(join(dir, 'y.db'), { durability: 'full' });
    expect(full.pragma('synchronous', { simple: true })).toBe(2);
    full.close();
  });

  it('says corrupt for a file that is no database, and moves it aside', () => {
    const path = join(dir, 'x.db');
    writeFileSync(path, 'this is not a database, only some text that is long enough'.repeat(100));
    writeFileSync(`${path}-wal`, 'old log');
    expect(codeOf(() => openDatabase(path))).toBe('corrupt');
    const aside = moveDatabaseAside(path, 0);
    expect(moveDatabaseAside(path, 0)).not.toBe(aside);
    expect(readdirSync(dir).filter((name) => !name.includes('.corrupt-'))).toEqual([]);
    openDatabase(path).close();
  });

  it('finds damage inside pages', () => {
    const path = join(dir, 'x.db');
    const db = openDatabase(path, { migrations: { t: ['CREATE TABLE t (a TEXT)'] } });
    const insert = db.prepare('INSERT INTO t VALUES (?)');
    db.transaction(() => {
      for (let i = 0; i < 2000; i++) insert.run(`row ${i} ${'x'.repeat(100)}`);
    })();
    expect(checkDatabase(db)).toEqual([]);
    db.close();
    const fd = openSync(path, 'r+');
    writeSync(fd, Buffer.alloc(4096, 0xff), 0, 4096, 4096 * Math.floor(statSync(path).size / 4096 / 2));
    closeSync(fd);
    const again = openDatabase(path);
    expect(checkDatabase(again)).not.toEqual([]);
    again.close();
  });

  it('says permission_denied for a folder in place of the file', () => {
    expect(codeOf(() => openDatabase(dir))).toBe('permission_denied');
  });
});

describe('migrate', () => {
  it('runs each migration once, by namespace', () => {
    const db = openDatabase(join(dir, 'x.db'));
    expect(migrate(db, 'a', ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1)'])).toBe(2);
    expect(migrate(db, 'b', ['CREATE TABLE b (x); CREATE INDEX bx ON b (x)'])).toBe(1);
    expect(
      migrate(db, 'a', ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1)', 'INSERT INTO a VALUES (2)']),
    ).toBe(1);
    expect(db.prepare('SELECT x FROM a ORDER BY x').pluck().all()).toEqual([1, 2]);
    db.close();
  });

  it('rolls a failing migration back whole and keeps those before it', () => {
    const db = openDatabase(join(dir, 'x.db'));
    const broken = ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)'];
    expect(codeOf(() => migrate(db, 'a', broken))).toBe('internal');
    expect(db.prepare('SELECT count(*) FROM a').pluck().get()).toBe(0);
    expect(migrate(db, 'a', ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (3)'])).toBe(1);
    db.close();
  });

  it('refuses a database newer than the program', () => {
    const path = join(dir, 'x.db');
    openDatabase(path, { migrations: { a: ['SELECT 1', 'SELECT 2'] } }).close();
    expect(codeOf(() => openDatabase(path, { migrations: { a: ['SELECT 1'] } }))).toBe('unsupported');
  });
});

describe('settings', () => {
  const limit = {
    key: 'net.limit',
    fallback: null,
    parse: (value: unknown): number | null => {
      if (value === null || (typeof value === 'number' && value >= 0)) return value;
      throw new Error('no');
    },
  };

  it('keeps values over a restart and checks them', () => {
    const path = join(dir, 'x.db');
    const first = openDatabase(path);
    const settings = createSettings(first);
    expect(settings.get(limit)).toBe(null);
    settings.set(limit, 5);
    expect(codeOf(() => settings.set(limit, -1))).toBe('invalid_argument');
    first.close();
    const second = openDatabase(path);
    const again = createSettings(second);
    expect(again.get(limit)).toBe(5);
    expect([...again.entries()]).toEqual([['net.limit', 5]]);
    again.unset(limit.key);
    expect(again.get(limit)).toBe(null);
    second.close();
  });

  it('falls back when what is stored does not fit', () => {
    const db = openDatabase(':memory:');
    const settings = createSettings(db);
    db.prepare('INSERT INTO settings VALUES (?, ?)').run('net.limit', '"fast"');
    expect(settings.get(limit)).toBe(null);
    db.prepare('UPDATE settings SET value = ?').run('{');
    expect(settings.get(limit)).toBe(null);
    expect(settings.entries().size).toBe(0);
    db.close();
  });
});
