import { rootNode, type Drive, type NodeId } from '../../drive/index.ts';
import type { Boundary } from '../mounts/boundary.ts';
import { forgetBeneath, rowsBeneath, seed } from '../mounts/handover.ts';
import type { SyncState } from '../state/index.ts';
import type { FolderMounts } from '../types.ts';
import { everythingIn } from './start-up.ts';

/** The folders of a drive that are another drive's, or were: what is handed to and taken from that one's engine. */
export function createMountedFolders(deps: {
  readonly drive: Drive;
  readonly state: SyncState;
  readonly boundary: Boundary;
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  /** Another engine looks after this node from now on. */
  forgotten(id: NodeId): void;
  /** What was handed over shows in the status. */
  touch(): void;
  /** The row of this node in the folder is another one. */
  dirty(id: NodeId): void;
  /** The node has to be compared. */
  look(id: NodeId): void;
  /** The folder at this path has to be watched and scanned. */
  returned(path: string): void;
}): FolderMounts {
  const { drive, state, boundary, exclusive, forgotten } = deps;
  return {
    held: () => boundary.held(),
    opened: () => boundary.opened(),
    path: (node) => state.local.path(node),
    rows: (node) => rowsBeneath(state, node),
    letGo: (node) =>
      exclusive(async () => {
        await forgetBeneath(state, node, forgotten);
        deps.touch();
      }),
    takeBack: (node, from, rows, newer) =>
      exclusive(async () => {
        // What slipped in while the folder was another drive's.
        await forgetBeneath(state, node, forgotten);
        const handover = { from, to: drive, fromFolder: rootNode, toFolder: node, newer };
        const seeded = await seed(state, handover, rows);
        boundary.open(node);
        for (const id of seeded) deps.dirty(id);
        for await (const id of everythingIn(drive.wholeTree, node)) deps.look(id);
        const path = state.local.path(node);
        if (path !== null) deps.returned(path);
      }),
  };
}
