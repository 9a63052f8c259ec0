import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { AppError } from '../../src-shared/errors.ts';
import { migrate } from './migrate.ts';
import { storeError } from './store-error.ts';

/** An open SQLite database; statements are better-sqlite3's. */
export type Database = BetterSqlite.Database;

export interface DatabaseOptions {
  /** Migrations by namespace, run in this order before the database is handed out (see `migrate`). */
  readonly migrations?: Readonly<Record<string, readonly string[]>>;
  /**
   * `normal`: a power cut may lose the last transactions but never damages the file; for what can be rebuilt.
   * `full`: a transaction is on the disk when it returns. Default `normal`.
   */
  readonly durability?: 'normal' | 'full';
  /** Page cache of this connection, KiB. Default 4096: a daemon has one connection a drive and 300 MB in all. */
  readonly cacheKiB?: number;
  /** Bytes of the file to read through a memory map; they count as resident memory. Default 0. */
  readonly mmapBytes?: number;
  /** How long a statement waits for another connection's lock, ms. Default 5000. */
  readonly busyTimeout?: number;
}

/** What a write-ahead log may keep on disk after a checkpoint, bytes. */
const journalSizeLimit = 16 * 1024 * 1024;

/**
 * Opens (and makes) a SQLite database in WAL mode, with foreign keys on and its migrations applied.
 * @param path of the file, or `:memory:`; missing folders are made
 * @throws AppError `corrupt` when the file is damaged or no database, `unsupported` when a newer version of the program
 * wrote it, `permission_denied`, `disk_full`, `locked`
 */
export function openDatabase(path: string, options: DatabaseOptions = {}): Database {
  let db: Database | null = null;
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    db = new BetterSqlite(path, { timeout: options.busyTimeout ?? 5000 });
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${options.durability === 'full' ? 'FULL' : 'NORMAL'}`);
    db.pragma('foreign_keys = ON');
    db.pragma('trusted_schema = OFF');
    db.pragma(`cache_size = -${integer(options.cacheKiB ?? 4096, 'cacheKiB')}`);
    db.pragma(`mmap_size = ${integer(options.mmapBytes ?? 0, 'mmapBytes')}`);
    db.pragma(`journal_size_limit = ${journalSizeLimit}`);
    for (const [namespace, statements] of Object.entries(options.migrations ?? {})) {
      migrate(db, namespace, statements);
    }
    return db;
  } catch (error) {
    db?.close();
    throw storeError(error, path);
  }
}

function integer(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new AppError('invalid_argument', `The database option ${name} must be a whole number.`);
}

/**
 * Reads every page and checks the file's structure; takes seconds on a large file, so call it when damage is suspected.
 * @returns what is wrong, one sentence each; empty when the database is sound
 */
export function checkDatabase(db: Database): readonly string[] {
  try {
    const rows = db.pragma('quick_check(20)') as readonly { quick_check: string }[];
    return rows.map((row) => row.quick_check).filter((line) => line !== 'ok');
  } catch (error) {
    return [storeError(error, db.name).message];
  }
}

/**
 * Renames a damaged database and its log out of the way, so that a fresh one can be built and the old one still be looked at.
 * Every connection to it must be closed.
 * @param time ms since the epoch, becomes part of the new name
 * @returns the new path of the file
 */
export function moveDatabaseAside(path: string, time: number): string {
  const stamp = new Date(time).toISOString().replace(/[-:]/g, '').replace('.', '-');
  let target = `${path}.corrupt-${stamp}`;
  for (let n = 1; existsSync(target); n++) target = `${path}.corrupt-${stamp}-${n}`;
  try {
    // The log goes first: should we die in between, a stale log must never lie beside a fresh database.
    for (const suffix of ['-wal', '-shm', '']) {
      if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
    }
  } catch (error) {
    throw storeError(error, path);
  }
  return target;
}
