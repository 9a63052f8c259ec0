import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { NodeId } from '../../drive/index.ts';
import type { FolderFs, FsEntry, FsStat } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import type { Problems } from '../problems.ts';
import type { SyncState } from '../state/index.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import type { Listings } from './listings.ts';
import { deleteDelay } from './missing.ts';
import { compareUtf8, driveName } from './names.ts';
import { joinPath, parentOf, type Places } from './places.ts';
import { layout } from './root.ts';

/** An entry of a folder on disk. */
export interface Found {
  /** As the drive calls it. */
  readonly name: string;
  /** As the disk calls it. */
  readonly raw: string;
  readonly stat: FsStat;
}

/** What a folder on disk holds. */
export interface FolderListing {
  /** Where it was while it was listed, relative to the drive's folder. */
  readonly path: string;
  /** What is to be synced, sorted as the rows are. */
  readonly found: readonly Found[];
  /** Names of the drive that are there and must not count as missing: ignored, or not to be read. */
  readonly blind: ReadonlySet<string>;
  /** All names on disk. */
  readonly rawNames: ReadonlySet<string>;
}

/**
 * Lists folders, and says of what can't be synced why.
 * @param deps.again look at this folder after some ms
 * @returns null when the folder is not there, or can't be read, which is a problem by then
 */
export function createFolderReader(deps: {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly problems: Problems;
  readonly places: Places;
  readonly listings: Pick<Listings, 'note'>;
  readonly rules: () => IgnoreRules;
  readonly again: (dir: string, ms: number) => void;
}): (dir: NodeId) => Promise<FolderListing | null> {
  const { fs, state, problems, listings } = deps;
  const { pathOf } = deps.places;
  const paths = layout(deps.folder);
  const pace = createPace();

  /** All that is in a folder, and its path while it was listed. */
  async function listed(dir: NodeId): Promise<{ path: string; entries: readonly FsEntry[] } | null> {
    for (let path = pathOf(dir); path !== null;) {
      try {
        // A link in the place of a folder would be followed by listing it.
        const stat = await fs.lstat(paths.at(path));
        if (stat?.type !== 'dir') throw new AppError('not_found', 'The folder is no longer there.');
        const entries = await fs.list(paths.at(path));
        if (pathOf(dir) === path) {
          listings.note(dir, stat);
          problems.clearScanned(path);
          return { path, entries };
        }
      } catch (error) {
        if (pathOf(dir) === path) {
          if (isAppError(error, 'not_found')) {
            // It went away since we heard of it; its own folder will tell.
            if (path !== '') deps.again(parentOf(path), deleteDelay);
          } else if (isAppError(error)) problems.addScanned(path, error);
          else throw error;
          return null;
        }
      }
      path = pathOf(dir);
    }
    return null;
  }

  /** The entries that are files of the drive, sorted as the rows are; `blind` holds names that must not count as missing. */
  async function sift(
    dir: NodeId,
    at: string,
    entries: readonly FsEntry[],
    blind: Set<string>,
  ): Promise<Found[]> {
    const mapped = state.local.mapped(dir);
    const rules = deps.rules();
    const found = new Map<string, Found>();
    for (const { raw, shown, stat, error } of entries) {
      await pace.breathe();
      const path = joinPath(at, raw ?? shown);
      if (raw === null) {
        problems.addScanned(
          path,
          new AppError(
            'name_unsupported',
            'Its name is not valid UTF-8 and so can’t be synced; please rename it.',
          ),
        );
        continue;
      }
      try {
        const name = mapped.get(raw) ?? driveName(raw);
        if (rules.ignored(path, stat?.type === 'dir')) {
          blind.add(name);
        } else if (stat === null) {
          blind.add(name);
          problems.addScanned(path, unreadable(error));
        } else if (stat.type === 'other') {
          problems.addScanned(
            path,
            new AppError(
              'unsupported',
              'It is a pipe, socket or device; only files, folders and links are synced.',
            ),
          );
        } else {
          const twin = found.get(name);
          if (twin !== undefined) {
            const loser = raw === name ? twin : { raw };
            problems.addScanned(joinPath(at, loser.raw), twinProblem());
            if (raw !== name) continue;
          }
          found.set(name, { name, raw, stat });
        }
      } catch (failure) {
        if (!isAppError(failure)) throw failure;
        problems.addScanned(path, failure);
      }
    }
    return [...found.values()].sort((a, b) => compareUtf8(a.name, b.name));
  }

  return async (dir) => {
    const listing = await listed(dir);
    if (listing === null) return null;
    const { path, entries } = listing;
    const blind = new Set<string>();
    const found = await sift(dir, path, entries, blind);
    const rawNames = new Set(entries.flatMap((entry) => (entry.raw === null ? [] : [entry.raw])));
    return { path, found, blind, rawNames };
  };
}

function unreadable(code: string | null): AppError {
  return new AppError(
    'permission_denied',
    `It can’t be looked at (${code ?? 'unknown error'}); its last synced state is kept. Please check its permissions.`,
  );
}

function twinProblem(): AppError {
  return new AppError(
    'name_unsupported',
    'Another file here has the same name in a different Unicode form; only that one is synced. Please rename one of them.',
  );
}
