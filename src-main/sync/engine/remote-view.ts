import type { DriveTree, NodeId } from '../../drive/index.ts';
import { rowOfTreeNode } from '../plan/rows.ts';
import type { SyncRow, TreeView } from '../types.ts';

const pageSize = 200;

/**
 * The drive's merged tree as the planner reads it.
 * @param seen told of each node that is looked up, whether it is a conflict copy
 */
export function createRemoteView(tree: DriveTree, seen: (id: NodeId, conflict: boolean) => void): TreeView {
  const rowOf = (node: ReturnType<DriveTree['get']>): SyncRow | null =>
    node === null ? null : rowOfTreeNode(node);
  return {
    get(id) {
      const node = tree.get(id);
      seen(id, node !== null && node.conflictOf !== null);
      return rowOf(node);
    },
    child: (parent, name) => rowOf(tree.child(parent, name)),
    *children(parent: NodeId) {
      for (let after: string | undefined; ;) {
        const page = tree.children(parent, { ...(after !== undefined && { after }), limit: pageSize });
        for (const node of page) yield rowOfTreeNode(node);
        if (page.length < pageSize) return;
        after = page.at(-1)?.name;
      }
    },
  };
}
