import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The commit that runs, for outcomes to say so; 'unknown' where the code is no git checkout. */
export async function commitNow(): Promise<string> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: import.meta.dirname })).stdout.trim();
  try {
    const changed =
      (await git('status', '--porcelain', '--untracked-files=no')) === '' ? '' : ' with changes';
    return `${await git('rev-parse', '--short', 'HEAD')}${changed}`;
  } catch {
    return 'unknown';
  }
}
