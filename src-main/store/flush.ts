import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Database } from './database.ts';
import { storeError } from './store-error.ts';

/**
 * Makes everything that was committed so far survive a power cut, in a database of durability `normal`: its commits lie in the
 * write-ahead log, which only has to reach the disk. The main thread does not stand still meanwhile, as it would with a commit of
 * durability `full`.
 * @throws AppError `disk_full`, `internal`, ... when the disk does not take it
 */
export async function flushDatabase(db: Database): Promise<void> {
  if (db.memory) return;
  const log = `${db.name}-wal`;
  try {
    await sync(log, 'r+');
    // The log may have been made since the folder was last flushed.
    if (process.platform !== 'win32') await sync(dirname(db.name), 'r');
  } catch (error) {
    // No log: everything has been moved into the database, which flushes it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw storeError(error, log);
  }
}

async function sync(path: string, flags: string): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
