import type { NodeId } from '../../drive/index.ts';
import type { SyncState } from '../state/index.ts';

/** Fewer deletes than this never wait for a person. */
const fewDeletes = 10;

/** Counts what was deleted in the folder and not told to anybody yet. */
export interface MassDelete {
  /** The local row of a node changed, or is gone. */
  note(id: NodeId): void;
  /** It was told, or is nobody's concern any more. */
  settle(id: NodeId): void;
  drop(id: NodeId): void;
  count(): number;
  /** More than half of the drive is gone at once, and no person has said that this is meant. */
  held(): boolean;
  confirm(): void;
}

export function createMassDelete(state: Pick<SyncState, 'local' | 'synced'>): MassDelete {
  const deleted = new Set<NodeId>();
  let confirmed = false;
  const isDeleted = (id: NodeId): boolean => state.local.get(id) === null && state.synced.get(id) !== null;
  return {
    note(id) {
      if (isDeleted(id)) deleted.add(id);
      else deleted.delete(id);
    },
    settle(id) {
      if (!isDeleted(id)) deleted.delete(id);
    },
    drop: (id) => void deleted.delete(id),
    count: () => deleted.size,
    held() {
      // Until one that still counts is found: the rest is looked at when it matters.
      for (const id of deleted) {
        if (isDeleted(id)) break;
        deleted.delete(id);
      }
      if (deleted.size === 0) confirmed = false;
      return !confirmed && deleted.size > fewDeletes && deleted.size > state.synced.count() / 2;
    },
    confirm() {
      confirmed = true;
    },
  };
}
