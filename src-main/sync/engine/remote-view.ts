import type { Content, DriveTree, NodeId, TreeNode } from '../../drive/index.ts';
import type { Boundary } from '../mounts/boundary.ts';
import { contentKey } from '../plan/rows.ts';
import type { RemoteTree } from '../plan/plan.ts';
import type { SyncRow } from '../types.ts';

const pageSize = 200;
/** Contents remembered between planning, fetching and landing, and the blocks they may have: a few MB at most. */
const remembered = 2048;
const fewBlocks = 8;
/** Versions of a deleted file among which that in the folder is looked for. */
const pastVersions = 32;

/** The drive's merged tree as the planner reads it. */
export interface RemoteView extends RemoteTree {
  /** What the node holds now; null when it is a folder or gone. */
  content(id: NodeId): Content | null;
}

/**
 * @param tree the whole of it: where the drive ends is for `boundary` to say
 * @param seen told of each node that is looked up, whether it is a conflict copy
 */
export function createRemoteView(
  tree: DriveTree,
  seen: (id: NodeId, conflict: boolean) => void,
  rules: Required<Pick<RemoteTree, 'yields' | 'keeps'>>,
  boundary: Pick<Boundary, 'has' | 'hides'>,
): RemoteView {
  // By version, which names the operation that said it: what it said never changes. Reading it anew costs most of a plan.
  const contents = new Map<string, Content>();

  function contentOf(node: TreeNode): Content | null {
    if (node.kind === 'dir') return null;
    const known = contents.get(node.version);
    if (known !== undefined) return known;
    const { content } = node;
    if (content === null || (content.kind === 'file' && content.blocks.length > fewBlocks)) return content;
    if (contents.size >= remembered) contents.delete(contents.keys().next().value ?? '');
    contents.set(node.version, content);
    return content;
  }

  function rowOf(node: TreeNode): SyncRow {
    const content = contentOf(node);
    return {
      id: node.id,
      parent: node.parent,
      name: node.name,
      kind: node.kind,
      content: contentKey(content),
      exec: content?.kind === 'file' && content.exec,
      version: node.version,
    };
  }

  const visible = (node: TreeNode | null): TreeNode | null =>
    node === null || boundary.hides(node.parent) ? null : node;

  return {
    ...rules,
    endsAt: (id) => boundary.has(id),
    past: (id) => tree.past(id, pastVersions).map(rowOf),
    get(id) {
      const node = visible(tree.get(id));
      seen(id, node !== null && node.conflictOf !== null);
      return node === null ? null : rowOf(node);
    },
    child(parent, name) {
      const node = visible(tree.child(parent, name));
      return node === null ? null : rowOf(node);
    },
    *children(parent) {
      if (boundary.hides(parent)) return;
      for (let after: string | undefined; ;) {
        const page = tree.children(parent, { ...(after !== undefined && { after }), limit: pageSize });
        for (const node of page) yield rowOf(node);
        if (page.length < pageSize) return;
        after = page.at(-1)?.name;
      }
    },
    content(id) {
      const node = visible(tree.get(id));
      return node === null ? null : contentOf(node);
    },
  };
}
