import { AppError } from '../../src-shared/errors.ts';
import type { Drives, OpenDrive } from './drives.ts';

/** A path in the drive that holds what is there. */
export interface Inside<T> {
  readonly one: T;
  readonly path: string;
  /** What stands before `path` in the drive the search began in: '' or a path with a slash at its end. */
  readonly prefix: string;
}

/**
 * Follows a path into drives that have their place in a folder on the way, as far as they are kept here.
 * @param into also into the drive that has its place in the very folder at the end of the path
 */
export function inside<T extends Pick<OpenDrive, 'drive'>>(
  drives: Pick<Drives, 'list'>,
  one: T,
  path: string,
  into: boolean,
): Inside<T | OpenDrive> {
  let at: Inside<T | OpenDrive> = { one, path, prefix: '' };
  for (;;) {
    const { tree } = at.one.drive;
    const next = tree.mounts().flatMap((mount) => {
      const folder = tree.path(mount.node);
      const here = folder !== null && (at.path.startsWith(`${folder}/`) || (into && at.path === folder));
      const other = here ? drives.list().find(({ record }) => record.driveId === mount.drive) : undefined;
      return other ? [{ other, folder: folder as string }] : [];
    })[0];
    if (!next) return at;
    at = {
      one: next.other,
      path: at.path.slice(next.folder.length + 1),
      prefix: `${at.prefix}${next.folder}/`,
    };
  }
}

/** @throws AppError `not_allowed` when a path is, or holds, the place of another drive */
export function refuseMounts(one: Pick<OpenDrive, 'drive'>, path: string): void {
  const { tree } = one.drive;
  for (const mount of tree.mounts()) {
    const folder = tree.path(mount.node);
    if (folder === null || (folder !== path && !folder.startsWith(`${path}/`))) continue;
    throw new AppError(
      'not_allowed',
      `${folder} is a drive of its own. Make an ordinary folder of it first (unshare-folder), then it can be deleted.`,
      { details: { path: folder, drive: mount.drive } },
    );
  }
}
