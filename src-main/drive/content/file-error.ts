import { AppError, type ErrorCode } from '../../../src-shared/errors.ts';

const codes: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['not_found', 'The file does not exist (any more).'],
  ENOTDIR: ['not_found', 'A part of the path is not a folder.'],
  EEXIST: ['already_exists', 'A file of this name exists already.'],
  EACCES: ['permission_denied', 'The file may not be read or written by this program.'],
  EPERM: ['permission_denied', 'The file may not be read or written by this program.'],
  EROFS: ['permission_denied', 'The disk is read-only.'],
  ENOSPC: ['disk_full', 'The disk is full.'],
  EDQUOT: ['disk_full', 'The disk quota is used up.'],
  EFBIG: ['too_large', 'The file is too large for this disk.'],
  ELOOP: ['unsupported', 'The path is a symbolic link, which is never followed.'],
  EISDIR: ['unsupported', 'The path is a folder, not a file.'],
  ENXIO: ['unsupported', 'The path is not a regular file.'],
  ENAMETOOLONG: ['name_unsupported', 'The name is too long for this disk.'],
  EILSEQ: ['name_unsupported', 'The disk cannot hold this name.'],
};

/** What a failed file operation means for people; an `AppError` passes through. */
export function fileError(error: unknown, path: string): AppError {
  if (error instanceof AppError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const known = typeof code === 'string' ? codes[code] : undefined;
  const [name, message] = known ?? (['internal', 'Reading or writing the file failed.'] as const);
  return new AppError(name, message, { cause: error, details: { path, ...(code ? { code } : {}) } });
}
