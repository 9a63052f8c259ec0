import { isAppError, type AppError } from '../../../src-shared/errors.ts';
import type { FolderFs } from '../fs/types.ts';
import { parseIgnoreRules, readIgnoreRules, type IgnoreRules } from '../scan/ignore-rules.ts';
import type { FsTraits } from '../scan/names.ts';
import { checkRoot, layout, markRoot } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';
import { cleanTemp } from './start-up.ts';

/** Set once the folder carries this drive's mark: from then on one without it is never taken for the drive's. */
const markedKey = 'marked';

/** The folder itself: whether it is there and the drive's, what its file system can do, and its ignore rules. */
export interface FolderEntry {
  /**
   * Makes the engine's own folders in it; the first time puts right what a former run left there.
   * @throws AppError `root_missing`, `root_unmarked`
   */
  enter(): Promise<void>;
  /**
   * Makes the folder this drive's when it never was; a disk that is away at a start must not look like an empty folder.
   * @returns why it can't be used now, when it was this drive's before and is away
   * @throws AppError `folder_in_use`, `permission_denied`
   */
  claim(): Promise<AppError | null>;
  traits(): FsTraits;
  rules(): IgnoreRules;
  /** Reads the ignore rules again. @returns whether they are others than before */
  readRules(): Promise<boolean>;
}

/** @param deps.recover settles files that were being freed when the program ended; called before temp files are removed */
export function createFolderEntry(deps: {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly driveId: string;
  readonly state: SyncState;
  /** As in `FolderSyncDeps`. */
  readonly marked: boolean | undefined;
  readonly ignoredAbove: ((path: string, dir: boolean) => boolean) | undefined;
  recover(): Promise<void>;
}): FolderEntry {
  const { fs, folder, driveId, state } = deps;
  const paths = layout(folder);
  let rules = parseIgnoreRules('');
  let traits: FsTraits = { caseInsensitive: false, windows: process.platform === 'win32' };
  let entered = false;

  async function enter(): Promise<void> {
    await checkRoot(fs, folder, driveId);
    for (const dir of [paths.tmp, paths.trash]) await fs.mkdir(dir);
    if (entered) return;
    traits = { ...traits, caseInsensitive: await fs.caseInsensitive(paths.own) };
    await deps.recover();
    await cleanTemp(fs, folder, state);
    entered = true;
  }

  return {
    enter,
    async claim() {
      const known = deps.marked !== false && state.meta(markedKey) !== null;
      if (!known) await markRoot(fs, folder, driveId);
      try {
        await enter();
      } catch (error) {
        const away = isAppError(error, 'root_missing') || isAppError(error, 'root_unmarked');
        if (!known || !away) throw error;
        return error;
      }
      if (!known) state.setMeta(markedKey, '1');
      return null;
    },
    traits: () => traits,
    rules: () => rules,
    async readRules() {
      const before = rules.source;
      const own = await readIgnoreRules(fs, folder);
      const above = deps.ignoredAbove;
      rules = above ? { ...own, ignored: (path, dir) => own.ignored(path, dir) || above(path, dir) } : own;
      return rules.source !== before;
    },
  };
}
