import { rootNode, type DriveTree, type NodeId } from '../../drive/index.ts';
import type { SyncState } from '../state/index.ts';
import type { TreeView } from '../types.ts';

const heldKey = 'mounts';
const openedKey = 'mounts-opened';
/** Folders whose answer is remembered between two changes of the tree. */
const maxFolders = 4096;

/**
 * Folders at which this drive ends, because another one has its place there. A folder stays a boundary after its mount has ended
 * until its files are handed back: till then nobody but the other drive's engine knows what state they are in.
 */
export interface Boundary {
  has(id: NodeId): boolean;
  /** Folders held here, also those whose mount has ended. */
  held(): readonly NodeId[];
  /** Folders handed back here before the drive was told that their mount has ended. */
  opened(): readonly NodeId[];
  /** The folder is this drive's own again on this computer. */
  open(id: NodeId): void;
  /** The view without what lies beneath a boundary. Good for the time of one plan. */
  mask(view: TreeView): TreeView;
  /** Whether a folder of the drive is a boundary or lies beneath one. */
  hides(folder: NodeId): boolean;
}

/** @param tree the drive's whole tree */
export function createBoundary(tree: DriveTree, state: SyncState): Boundary {
  const load = (key: string): Set<NodeId> => {
    const saved: unknown = JSON.parse(state.meta(key) ?? '[]');
    return new Set(Array.isArray(saved) ? saved.filter((id) => typeof id === 'string') : []);
  };
  const held = load(heldKey);
  const opened = load(openedKey);
  const hidden = new Map<NodeId, boolean>();
  let revision = -1;

  function save(): void {
    state.transaction(() => {
      state.setMeta(heldKey, JSON.stringify([...held]));
      state.setMeta(openedKey, JSON.stringify([...opened]));
    });
    hidden.clear();
  }

  /** Takes over what the drive says by now. */
  function look(): void {
    if (tree.revision() === revision) return;
    revision = tree.revision();
    hidden.clear();
    const mounted = new Set(tree.mounts().map(({ node }) => node));
    const fresh = [...mounted].filter((node) => !held.has(node) && !opened.has(node));
    const over = [...opened].filter((node) => !mounted.has(node));
    for (const node of fresh) held.add(node);
    for (const node of over) opened.delete(node);
    if (fresh.length > 0 || over.length > 0) save();
  }

  /** @param parentOf null at an end */
  function inside(
    folder: NodeId,
    parentOf: (id: NodeId) => NodeId | null,
    memo: Map<NodeId, boolean>,
  ): boolean {
    const passed: NodeId[] = [];
    let answer = false;
    for (let at: NodeId | null = folder; at !== null && at !== rootNode; at = parentOf(at)) {
      const known = memo.get(at);
      if (known !== undefined || held.has(at) || passed.length > 100_000) {
        answer = known ?? held.has(at);
        break;
      }
      passed.push(at);
    }
    for (const id of passed) memo.set(id, answer);
    return answer;
  }

  return {
    has(id) {
      look();
      return held.has(id);
    },
    held() {
      look();
      return [...held];
    },
    opened() {
      look();
      return [...opened];
    },
    open(id) {
      held.delete(id);
      if (tree.mounts().some(({ node }) => node === id)) opened.add(id);
      save();
    },
    mask(view) {
      look();
      if (held.size === 0) return view;
      const memo = new Map<NodeId, boolean>();
      const outside = (folder: NodeId): boolean =>
        !inside(folder, (id) => view.get(id)?.parent ?? null, memo);
      return {
        get(id) {
          const row = view.get(id);
          return row !== null && outside(row.parent) ? row : null;
        },
        child: (parent, name) => (outside(parent) ? view.child(parent, name) : null),
        *children(parent) {
          if (outside(parent)) yield* view.children(parent);
        },
      };
    },
    hides(folder) {
      look();
      if (held.size === 0) return false;
      if (hidden.size >= maxFolders) hidden.clear();
      return inside(folder, (id) => tree.get(id)?.parent ?? null, hidden);
    },
  };
}
