import { AppError, isAppError, type ErrorCode } from '../../../src-shared/errors.ts';

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'not_found',
  ENOTDIR: 'not_found',
  EEXIST: 'already_exists',
  ENOTEMPTY: 'not_allowed',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EROFS: 'permission_denied',
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  ENAMETOOLONG: 'name_unsupported',
  EILSEQ: 'name_unsupported',
  EINVAL: 'name_unsupported',
};

const sentences: Partial<Record<ErrorCode, string>> = {
  not_found: 'It is no longer there.',
  already_exists: 'Something with this name exists already.',
  not_allowed: 'The folder is not empty.',
  permission_denied: 'This program may not read or change it; please check its permissions.',
  disk_full: 'The disk is full; please free some space, then it goes on by itself.',
  name_unsupported: 'This disk cannot hold a file of this name.',
};

/** What a failed call on the file system means to a person. */
export function fsError(error: unknown, path: string): AppError {
  if (isAppError(error)) return error;
  const errno = (error as { code?: unknown } | null)?.code;
  const code = (typeof errno === 'string' ? codes[errno] : undefined) ?? 'internal';
  const sentence = sentences[code] ?? `The disk answered with an error (${String(errno ?? error)}).`;
  return new AppError(code, sentence, { cause: error, details: { path } });
}
