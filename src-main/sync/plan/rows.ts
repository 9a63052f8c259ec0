import type { NodeId, TreeNode } from '../../drive/index.ts';
import type { SyncRow, TreeView } from '../types.ts';

/** Same bytes, same link target, same executable bit. Versions may differ: what counts is what a person would see. */
export function sameContent(a: SyncRow, b: SyncRow): boolean {
  return a.kind === b.kind && a.content === b.content && a.exec === b.exec;
}

export function sameLocation(a: SyncRow, b: SyncRow): boolean {
  return a.parent === b.parent && a.name === b.name;
}

/** The content of a node in the planner's form. */
export function contentKey(content: TreeNode['content']): string {
  if (content === null) return '';
  return content.kind === 'link' ? `link:${content.target}` : Buffer.from(content.hash).toString('hex');
}

/** A view that asks for each row once. For the time of one plan, in which trees don't change. */
export function remembering(tree: TreeView): TreeView {
  const rows = new Map<NodeId, SyncRow | null>();
  const names = new Map<string, SyncRow | null>();
  return {
    get(id) {
      let row = rows.get(id);
      if (row === undefined) rows.set(id, (row = tree.get(id)));
      return row;
    },
    child(parent, name) {
      const key = `${parent}/${name}`;
      let row = names.get(key);
      if (row === undefined) {
        names.set(key, (row = tree.child(parent, name)));
        if (row !== null) rows.set(row.id, row);
      }
      return row;
    },
    children: (parent) => tree.children(parent),
  };
}

const tempPrefix = '.extrachain-move-';

/** The name a node has for a moment while names are exchanged (a to b, b to a). Never seen by the drive. */
export function tempName(id: NodeId): string {
  return `${tempPrefix}${id}`;
}

/** The node a temp name belongs to, or null when it is an ordinary name. */
export function tempNameOwner(name: string): NodeId | null {
  return name.startsWith(tempPrefix) && /^[0-9a-f]{32}$/.test(name.slice(tempPrefix.length))
    ? name.slice(tempPrefix.length)
    : null;
}
