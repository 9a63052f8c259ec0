import path from 'node:path';
import Database from 'better-sqlite3';
import { AppError } from '../../src-shared/errors.ts';

/** Held by the one process that may change a data folder. */
export interface FolderLock {
  release(): void;
}

/**
 * Takes the lock of a data folder: an open exclusive transaction on the SQLite file `lock`, that is an advisory lock of
 * the operating system. It is atomic and vanishes with the process, however that ends, so it is never stale.
 * @throws AppError `locked` when another process (or this one) holds it
 */
export function lockFolder(dataDir: string): FolderLock {
  const database = new Database(path.join(dataDir, 'lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw cause;
    throw new AppError('locked', `Another daemon already runs on ${dataDir}.`, { cause });
  }
  return { release: () => void database.close() };
}
