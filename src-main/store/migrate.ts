import type BetterSqlite from 'better-sqlite3';
import { AppError } from '../../src-shared/errors.ts';
import { storeError } from './store-error.ts';

/**
 * Brings one component's tables up to date. Several components share a database: each has a namespace of its own, whose
 * version is the number of its migrations already run. Each migration runs once, in a transaction of its own together with
 * the new version number; once released a migration is never edited, only followed by another.
 * @param statements SQL scripts, oldest first
 * @returns how many ran now
 * @throws AppError `unsupported` when the database is newer than this program; what `storeError` makes of others
 */
export function migrate(db: BetterSqlite.Database, namespace: string, statements: readonly string[]): number {
  try {
    db.exec(
      'CREATE TABLE IF NOT EXISTS migrations (namespace TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID',
    );
    const read = db.prepare<[string], { version: number }>(
      'SELECT version FROM migrations WHERE namespace = ?',
    );
    const write = db.prepare('INSERT OR REPLACE INTO migrations (namespace, version) VALUES (?, ?)');
    // The version is read inside the transaction: a second process that opens the same file meanwhile waits here.
    const step = db.transaction((): boolean => {
      const version = read.get(namespace)?.version ?? 0;
      if (version > statements.length) {
        throw new AppError(
          'unsupported',
          `The database ${db.name} was written by a newer version of this program; please update it.`,
          { details: { path: db.name, namespace, version, supported: statements.length } },
        );
      }
      const sql = statements[version];
      if (sql === undefined) return false;
      db.exec(sql);
      write.run(namespace, version + 1);
      return true;
    });
    let ran = 0;
    while (step.immediate()) ran += 1;
    return ran;
  } catch (error) {
    throw storeError(error, db.name);
  }
}
