import type { NodeId } from '../../drive/index.ts';
import type { SyncRow, TreeView } from '../types.ts';

/** A tree as it will be once the operations planned so far are done: changes over a base that is only read. */
export interface DraftTree extends TreeView {
  set(row: SyncRow): void;
  remove(id: NodeId): void;
}

export function createDraft(base: TreeView): DraftTree {
  const changed = new Map<NodeId, SyncRow | null>();
  const byParent = new Map<NodeId, Map<string, NodeId>>();

  function unlink(row: SyncRow): void {
    const names = byParent.get(row.parent);
    if (names?.get(row.name) === row.id) names.delete(row.name);
  }

  return {
    get(id) {
      const row = changed.get(id);
      return row === undefined ? base.get(id) : row;
    },
    child(parent, name) {
      const id = byParent.get(parent)?.get(name);
      if (id !== undefined) return changed.get(id) ?? null;
      const row = base.child(parent, name);
      // A changed row is found through `byParent` or is no longer here.
      return row === null || changed.has(row.id) ? null : row;
    },
    *children(parent) {
      for (const row of base.children(parent)) if (!changed.has(row.id)) yield row;
      for (const id of [...(byParent.get(parent)?.values() ?? [])]) {
        const row = changed.get(id);
        if (row) yield row;
      }
    },
    set(row) {
      const before = changed.get(row.id);
      if (before) unlink(before);
      changed.set(row.id, row);
      let names = byParent.get(row.parent);
      if (!names) byParent.set(row.parent, (names = new Map()));
      names.set(row.name, row.id);
    },
    remove(id) {
      const before = changed.get(id);
      if (before) unlink(before);
      changed.set(id, null);
    },
  };
}

/** A tree in memory, for tests and simulations. */
export function createMemoryTree(rows: Iterable<SyncRow> = []): DraftTree & { all(): SyncRow[] } {
  const byId = new Map<NodeId, SyncRow>();
  const byParent = new Map<NodeId, Set<NodeId>>();
  const tree: DraftTree & { all(): SyncRow[] } = {
    get: (id) => byId.get(id) ?? null,
    child(parent, name) {
      for (const row of tree.children(parent)) if (row.name === name) return row;
      return null;
    },
    *children(parent) {
      for (const id of [...(byParent.get(parent) ?? [])]) {
        const row = byId.get(id);
        if (row) yield row;
      }
    },
    set(row) {
      tree.remove(row.id);
      byId.set(row.id, row);
      let ids = byParent.get(row.parent);
      if (!ids) byParent.set(row.parent, (ids = new Set()));
      ids.add(row.id);
    },
    remove(id) {
      const row = byId.get(id);
      if (row) byParent.get(row.parent)?.delete(id);
      byId.delete(id);
    },
    all: () => [...byId.values()],
  };
  for (const row of rows) tree.set(row);
  return tree;
}
