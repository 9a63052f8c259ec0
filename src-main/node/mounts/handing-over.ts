import { rootNode, type Drive, type NodeId } from '../../drive/index.ts';
import type { Database } from '../../store/index.ts';
import { createSyncState, seed, type DriveMode, type HandedRow } from '../../sync/index.ts';
import type { Running } from '../drives/running.ts';

/** Gives a new engine what the one before it knew of the files. */
export async function takeOver(
  drive: Drive,
  db: Database,
  from: Drive,
  fromFolder: NodeId,
  rows: Iterable<HandedRow>,
  mode: DriveMode,
): Promise<void> {
  const state = createSyncState(db);
  // What this computer does not send or take of the drive around it, it does not of this one.
  state.setMeta('mode', mode);
  await seed(state, { from, to: drive, fromFolder, toFolder: rootNode, newer: false }, rows);
}

/** Everybody who is in the parent is let in, those removed here before excepted. */
export async function letIn(one: Running, parent: Drive): Promise<void> {
  const own = one.drive.ownRole();
  if (own !== 'owner' && own !== 'manager') return;
  for (const { userId, role } of parent.members()) {
    const key = parent.encKeyOf(userId);
    if (key === null || one.drive.everMember(userId)) continue;
    // Managers can't make managers: its owner's computer may raise the role later.
    const most = own === 'owner' ? 'manager' : 'editor';
    await one.drive.share(userId, key, role === 'owner' || role === 'manager' ? most : role);
  }
}
