import type { NodeId, TreeNode } from '../../drive/index.ts';
import type { SyncRow } from '../types.ts';

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

/** A node of the drive's tree as the planner sees it. */
export function rowOfTreeNode(node: TreeNode): SyncRow {
  return {
    id: node.id,
    parent: node.parent,
    name: node.name,
    kind: node.kind,
    content: contentKey(node.content),
    exec: node.content?.kind === 'file' && node.content.exec,
    version: node.version,
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
