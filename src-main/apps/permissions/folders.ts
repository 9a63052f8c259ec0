import { createHash } from 'node:crypto';
import type { Grant } from '../../../src-shared/apps/index.ts';
import { isInside } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { notGranted } from './not-granted.ts';

/** A folder that an app may use. */
export interface GrantedFolder {
  /** What the app calls it. */
  readonly handle: string;
  readonly drive: string;
  readonly path: string;
  readonly access: 'read' | 'write';
}

/**
 * What an app calls a folder it was given: 22 characters that say nothing about where it lies, the same each time, and
 * another for every app.
 */
export function folderHandle(appId: string, drive: string, path: string): string {
  return createHash('sha256')
    .update(`extrachain app folder v1\0${appId}\0${drive}\0${path}`)
    .digest()
    .subarray(0, 16)
    .toString('base64url');
}

type Need = 'drive.read' | 'drive.write';

/** Every folder that some grant names. A grant without one gives nothing: it says that the app may ask for folders. */
export function grantedFolders(appId: string, grants: readonly Grant[]): readonly GrantedFolder[] {
  const found = new Map<string, GrantedFolder>();
  for (const { name, caveats } of grants) {
    if (caveats.drive === undefined || (name !== 'drive.read' && name !== 'drive.write')) continue;
    const path = caveats.path ?? '';
    const handle = folderHandle(appId, caveats.drive, path);
    const access = name === 'drive.write' ? 'write' : (found.get(handle)?.access ?? 'read');
    found.set(handle, { handle, drive: caveats.drive, path, access });
  }
  return [...found.values()];
}

/**
 * Where a path of an app lies.
 * @param need the permission that must be granted for this very folder, or one around it
 * @param path in the folder, as the app gave it
 * @throws AppError `not_granted` for a folder that was not given, or not for that; `invalid_argument` for a path that leads elsewhere
 */
export function locate(
  appId: string,
  grants: readonly Grant[],
  need: Need,
  handle: string,
  path: string,
): { readonly drive: string; readonly path: string; readonly folder: GrantedFolder } {
  const folder = grantedFolders(appId, grants).find((one) => one.handle === handle);
  const allowed =
    folder &&
    grants.some(
      ({ name, caveats }) =>
        name === need && caveats.drive === folder.drive && isInside(folder.path, caveats.path ?? ''),
    );
  if (!folder || !allowed) throw notGranted(need, 'That folder was not given to this app.');
  const inner = cleanPath(path);
  const whole = folder.path === '' ? inner : inner === '' ? folder.path : `${folder.path}/${inner}`;
  return { drive: folder.drive, path: whole, folder };
}

/** A path as an app sees it: what stands before the folder's own is cut off. */
export function pathInside(folder: GrantedFolder, path: string): string {
  if (folder.path === '') return path;
  return path === folder.path ? '' : path.slice(folder.path.length + 1);
}

/**
 * A path that can only lead downwards.
 * @throws AppError `invalid_argument`
 */
export function cleanPath(path: string): string {
  if (path === '') return '';
  const tricky =
    !path.isWellFormed() ||
    path.includes('\\') ||
    path.includes('\0') ||
    path.split('/').some((name) => name === '' || name === '.' || name === '..');
  if (tricky) throw new AppError('invalid_argument', 'A path is names divided by slashes, below the folder.');
  return path;
}
