import ignore from 'ignore';
import { isAppError } from '../../../src-shared/errors.ts';
import type { FolderFs } from '../fs/types.ts';

const ignoreFile = '.exignore';
/** The engine's own folder inside the synced one. */
export const ownFolder = '.extrachain';
const maxRules = 256 * 1024;

/** Which paths are left alone. An ignored file is not a deleted file. */
export interface IgnoreRules {
  /** `path` is relative with `/`; of a folder without a slash at the end. */
  ignored(path: string, dir: boolean): boolean;
  readonly source: string;
}

/** Also of a drive that has, or once had, its place in a folder of this one. */
const own = /(^|\/)\.extrachain(\/|$)/;

/** Rules with the syntax of `.gitignore`. */
export function parseIgnoreRules(source: string): IgnoreRules {
  const matcher = ignore({ allowRelativePaths: true }).add(source);
  const any = source.trim() !== '';
  return {
    source,
    ignored(path, dir) {
      if (own.test(path)) return true;
      if (!any || path === '' || path === ignoreFile) return false;
      return matcher.ignores(dir ? `${path}/` : path);
    },
  };
}

/** Reads `.exignore` at the top of the folder; no file means no rules. */
export async function readIgnoreRules(fs: FolderFs, folder: string): Promise<IgnoreRules> {
  try {
    const bytes = await fs.readSmall(`${folder}/${ignoreFile}`, maxRules);
    return parseIgnoreRules(new TextDecoder().decode(bytes));
  } catch (error) {
    if (isAppError(error, 'not_found')) return parseIgnoreRules('');
    throw error;
  }
}
