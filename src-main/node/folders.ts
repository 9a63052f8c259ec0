import { access, mkdir, mkdtemp, realpath, rmdir, stat, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { AppError } from '../../src-shared/errors.ts';

/** True when `inner` is `outer` or lies in it. */
function contains(outer: string, inner: string): boolean {
  const relative = path.relative(outer, inner);
  return (
    relative === '' ||
    (!relative.startsWith(`..${path.sep}`) && relative !== '..' && !path.isAbsolute(relative))
  );
}

/**
 * Makes a folder ready to be a drive's: absolute, existing, resolved, and neither inside nor around a folder that is taken (another
 * drive's, the data folder).
 * @returns its real path
 * @throws AppError `invalid_argument`, `folder_in_use`, `permission_denied`
 */
export async function claimFolder(folder: string, taken: readonly string[]): Promise<string> {
  if (!path.isAbsolute(folder))
    throw new AppError('invalid_argument', 'The folder must be given as an absolute path.');
  function refused(cause: unknown): AppError {
    if (cause instanceof AppError) return cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EEXIST' || code === 'ENOTDIR')
      return new AppError('invalid_argument', `${folder} is not a folder.`, { cause });
    return new AppError(
      'permission_denied',
      `The folder ${folder} can't be used: ${(cause as Error).message}.`,
      { cause },
    );
  }
  let real: string;
  try {
    await mkdir(folder, { recursive: true });
    real = await realpath(folder);
    if (!(await stat(real)).isDirectory())
      throw new AppError('invalid_argument', `${folder} is not a folder.`);
  } catch (cause) {
    throw refused(cause);
  }
  for (const other of taken) {
    if (contains(other, real) || contains(real, other)) {
      throw new AppError(
        'folder_in_use',
        `${real} and ${other}, which is in use already, would lie in one another.`,
      );
    }
  }
  try {
    // Only making something in it tells that it can be written to: permissions do not say so of every file system.
    await rmdir(await mkdtemp(path.join(real, '.extrachain-')));
  } catch (cause) {
    throw refused(cause);
  }
  return real;
}

/**
 * A folder in the person's home that does not exist yet, named after the drive.
 * @returns its path; free and total bytes of the disk it would be on
 */
export async function suggestFolder(
  name: string,
  home: string = os.homedir(),
): Promise<{ folder: string; free: number; total: number }> {
  // Control characters and what some file systems refuse.
  // eslint-disable-next-line no-control-regex
  const safe = name.replace(/[\u0000-\u001f\\/:*?"<>|]/g, ' ').trim() || 'ExtraChain';
  let folder = path.join(home, safe);
  const exists = (file: string): Promise<boolean> =>
    access(file).then(
      () => true,
      () => false,
    );
  for (let n = 2; n < 1000 && (await exists(folder)); n += 1) folder = path.join(home, `${safe} ${n}`);
  const { bavail, bsize, blocks } = await statfs(home);
  return { folder, free: bavail * bsize, total: blocks * bsize };
}
