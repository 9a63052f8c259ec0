import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { FolderFs } from '../fs/types.ts';
import { ownFolder } from './ignore-rules.ts';

const markerLimit = 4096;

/** Paths of the engine's own things inside a synced folder. */
export function layout(folder: string) {
  const own = `${folder}/${ownFolder}`;
  return {
    own,
    marker: `${own}/marker.json`,
    tmp: `${own}/tmp`,
    trash: `${own}/trash`,
    versions: `${own}/versions`,
    at: (path: string): string => (path === '' ? folder : `${folder}/${path}`),
  };
}

/**
 * Marks a folder as this drive's, once, when it is first used.
 * @throws AppError `folder_in_use` when it belongs to another drive, `root_missing` when it is no folder
 */
export async function markRoot(fs: FolderFs, folder: string, driveId: string): Promise<void> {
  const stat = await fs.lstat(folder);
  if (stat === null) await fs.mkdir(folder, { parents: true });
  else if (stat.type !== 'dir') {
    throw new AppError('root_missing', `${folder} is not a folder.`, { details: { path: folder } });
  }
  const paths = layout(folder);
  await fs.mkdir(paths.own);
  const owner = await markerOwner(fs, folder);
  if (owner !== null && owner !== driveId) {
    throw new AppError('folder_in_use', `${folder} already belongs to another drive.`, {
      details: { path: folder, drive: owner },
    });
  }
  if (owner === null) {
    await fs.writeSmall(paths.marker, new TextEncoder().encode(`${JSON.stringify({ v: 1, driveId })}\n`));
    // It is relied on from now on: a folder without it is never taken for the drive's again.
    for (const dir of [paths.own, folder]) await fs.fsyncDir(dir);
  }
  for (const dir of [paths.tmp, paths.trash]) await fs.mkdir(dir);
}

async function markerOwner(fs: FolderFs, folder: string): Promise<string | null> {
  try {
    const text = new TextDecoder().decode(await fs.readSmall(layout(folder).marker, markerLimit));
    const value: unknown = JSON.parse(text);
    const id = (value as { driveId?: unknown } | null)?.driveId;
    return typeof id === 'string' ? id : '';
  } catch (error) {
    if (isAppError(error, 'not_found')) return null;
    return '';
  }
}

/**
 * Looks whether the folder is there and is this drive's. Asked before each scan and before deletes are believed: a disk
 * that is not mounted must never look like a folder whose files were deleted.
 * @throws AppError `root_missing`, `root_unmarked`
 */
export async function checkRoot(fs: FolderFs, folder: string, driveId: string): Promise<void> {
  const stat = await fs.lstat(folder).catch(() => null);
  if (stat?.type !== 'dir') {
    throw new AppError(
      'root_missing',
      `The folder ${folder} is not there. If its disk is away, connect it; nothing was deleted.`,
      { details: { path: folder } },
    );
  }
  if ((await markerOwner(fs, folder)) !== driveId) {
    throw new AppError(
      'root_unmarked',
      `The folder ${folder} does not carry this drive's mark (.extrachain/marker.json), so it may be another one; syncing stopped and nothing was deleted.`,
      { details: { path: folder } },
    );
  }
}
