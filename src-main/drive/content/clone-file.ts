import { constants, copyFile } from 'node:fs/promises';
import { fileError } from './file-error.ts';

/**
 * Makes `to` (which must not exist) share the bytes of `from` where the file system can (reflink: Btrfs, XFS, APFS), without
 * reading them. What was cloned is not verified: the caller compares the stamp of `from` before and after, or hashes.
 * @returns false when the file system cannot; nothing was made then
 * Throws `not_found`, `permission_denied`, `already_exists`, `disk_full`.
 */
export async function cloneFile(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code && ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY'].includes(code)) return false;
    throw fileError(error, from);
  }
}
