import { setImmediate as nextTurn } from 'node:timers/promises';
import type { OpenDrive } from './drives.ts';

/** Which entries of a folder a list shows. */
export type Shown = 'all' | 'moving' | 'attention';

/** Files on their way that are looked at; many more of a drive that has just been joined only wait. */
const most = 2000;
const slice = 200;

/**
 * Names of the entries right in a folder that are on their way (`moving`) or need a person (`attention`: conflict copies,
 * problems), or hold something that is or does.
 * @param folder its path; '' is the root
 */
export async function namesShown(
  { drive, sync }: Pick<OpenDrive, 'drive' | 'sync'>,
  folder: string,
  shown: Exclude<Shown, 'all'>,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const prefix = folder === '' ? '' : `${folder}/`;
  const add = (path: string | null): void => {
    if (path === null || path === '' || !path.startsWith(prefix)) return;
    const [name = ''] = path.slice(prefix.length).split('/', 1);
    if (name !== '') names.add(name);
  };
  if (shown === 'attention') for (const { path } of sync.status().problems) add(path);
  const ids =
    shown === 'attention'
      ? sync.conflictCopies()
      : [...sync.incoming(most), ...sync.outgoing()].map(({ node }) => node);
  for (const [index, id] of ids.entries()) {
    if (index % slice === slice - 1) await nextTurn();
    add(drive.tree.path(id));
  }
  return names;
}
