import { AppError } from '../../src-shared/errors.ts';
import type { ErrorCode } from '../../src-shared/errors.ts';

/** By result code of SQLite (extended codes match their primary one) or errno of the file system. */
const known: readonly (readonly [pattern: RegExp, code: ErrorCode, sentence: string])[] = [
  [/^SQLITE_(CORRUPT|NOTADB)/, 'corrupt', 'is damaged'],
  [/^(SQLITE_FULL|ENOSPC|EDQUOT)/, 'disk_full', 'cannot grow: the disk is full'],
  [
    /^(SQLITE_(READONLY|PERM|CANTOPEN|AUTH)|EACCES|EPERM|EROFS)/,
    'permission_denied',
    'cannot be opened for writing',
  ],
  [/^SQLITE_(BUSY|LOCKED)/, 'locked', 'is in use by another process'],
  [/^SQLITE_TOOBIG/, 'too_large', 'was asked to store too large a value'],
];

/**
 * Turns what SQLite or the file system threw into an `AppError`; an `AppError` stays what it is.
 * @param path of the database, for the message and `details.path`
 */
export function storeError(error: unknown, path: string): AppError {
  if (error instanceof AppError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const options = { cause: error, details: { path } };
  if (typeof code === 'string') {
    for (const [pattern, appCode, sentence] of known) {
      if (pattern.test(code)) return new AppError(appCode, `The database ${path} ${sentence}.`, options);
    }
  }
  return new AppError('internal', `The database ${path} could not be used.`, options);
}
