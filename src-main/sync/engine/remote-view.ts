import type { DriveTree, NodeId } from '../../drive/index.ts';
import { rowOfTreeNode } from '../plan/rows.ts';
import type { SyncRow, TreeView } from '../types.ts';

const pageSize = 200;

/** The drive's merged tree as the planner reads it. */
export function createRemoteView(tree: DriveTree): TreeView {
  const rowOf = (node: ReturnType<DriveTree['get']>): SyncRow | null =>
    node === null ? null : rowOfTreeNode(node);
  return {
    get: (id) => rowOf(tree.get(id)),
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
