import { parentPort } from 'node:worker_threads';
import BetterSqlite from 'better-sqlite3';

/** Moves the log of the database at `path` into the database file, as far as nobody is in the way. */
export interface CheckpointRequest {
  readonly path: string;
}
/** Pages in the log, and how many of them are in the database file now; null when it could not be done. */
export interface CheckpointAnswer {
  readonly log: number;
  readonly done: number;
  readonly error: string | null;
}

function checkpoint(path: string): CheckpointAnswer {
  try {
    // Open for this moment only: a folder that is being removed must not be held.
    const db = new BetterSqlite(path, { fileMustExist: true, timeout: 0 });
    try {
      const [row] = db.pragma('wal_checkpoint(PASSIVE)') as { log: number; checkpointed: number }[];
      return { log: row?.log ?? 0, done: row?.checkpointed ?? 0, error: null };
    } finally {
      db.close();
    }
  } catch (error) {
    return { log: 0, done: 0, error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on('message', ({ path }: CheckpointRequest) => {
  parentPort?.postMessage(checkpoint(path) satisfies CheckpointAnswer);
});
