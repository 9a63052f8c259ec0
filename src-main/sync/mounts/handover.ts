import {
  type Content,
  type Drive,
  type DriveTree,
  type NodeHistory,
  type NodeId,
  type OpId,
  type TreeNode,
} from '../../drive/index.ts';
import { contentKey } from '../plan/rows.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import type { SyncRow } from '../types.ts';

/** What one drive's engine knows of a file, and what it last agreed on with its drive. */
export interface HandedRow {
  /** null: deleted from the folder, and the drive does not know yet. */
  readonly local: LocalRow | null;
  readonly synced: SyncRow | null;
}

export interface Handover {
  readonly from: Drive;
  readonly to: Drive;
  /** The folder in either drive. */
  readonly fromFolder: NodeId;
  readonly toFolder: NodeId;
  /**
   * What is in the folder comes after all that `to` holds there: this computer brings the other drive's state into it. Otherwise what
   * was agreed on with `from` is looked for in `to`.
   */
  readonly newer: boolean;
}

/** Everything known beneath a folder, parents before children. */
export function* rowsBeneath(state: SyncState, folder: NodeId): Iterable<HandedRow> {
  const folders = [folder];
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for (const local of state.local.children(at)) {
      if (local.kind === 'dir') folders.push(local.id);
      yield { local, synced: state.synced.get(local.id) };
    }
    for (const synced of state.synced.children(at)) {
      const local = state.local.get(synced.id);
      if (local?.parent === at) continue;
      if (synced.kind === 'dir' && local === null) folders.push(synced.id);
      // One that was moved out of the folder is gone from it.
      yield { local: null, synced };
    }
  }
}

/** Forgets everything known beneath a folder. The folder's own row stays. */
export async function forgetBeneath(
  state: SyncState,
  folder: NodeId,
  forgotten: (id: NodeId) => void,
): Promise<void> {
  const rows = [...idsBeneath(state, folder)];
  await state.inSlices(rows, ({ id, here }) => {
    if (here) state.local.remove(id);
    state.synced.remove(id);
    forgotten(id);
  });
}

function* idsBeneath(state: SyncState, folder: NodeId): Iterable<{ id: NodeId; here: boolean }> {
  for (const { local, synced } of rowsBeneath(state, folder)) {
    if (local) yield { id: local.id, here: true };
    else if (synced) yield { id: synced.id, here: false };
  }
}

/**
 * Lets the engine of drive `to` go on where that of `from` stands: its tables get the files as they were last seen on disk, and as
 * "last agreed" what both drives have in common. So a change that `to` does not know of is a change, not a conflict, and what the
 * other side changed meanwhile comes down as ever. Nothing is read from the disk or written to it; may be repeated.
 */
export async function seed(
  state: SyncState,
  handover: Handover,
  rows: Iterable<HandedRow>,
): Promise<readonly NodeId[]> {
  const { from, to, fromFolder, toFolder } = handover;
  const intoTo = (parent: NodeId): NodeId => (parent === fromFolder ? toFolder : parent);
  const intoFrom = (parent: NodeId): NodeId => (parent === toFolder ? fromFolder : parent);
  const common = createCommon(from, to, intoTo, intoFrom);
  const seeded: NodeId[] = [];
  await state.inSlices(rows, ({ local, synced }) => {
    const id = local?.id ?? synced?.id;
    if (id === undefined || state.local.get(id) !== null) return;
    const now = to.wholeTree.get(id);
    // Nothing of it is on the disk: it can stand for what the other drive shows too, or for nothing there.
    if (local && local.held !== 'here' && (!now || contentKey(now.content) !== local.content)) return;
    seeded.push(id);
    if (local) {
      const parent = intoTo(local.parent);
      if (state.local.child(parent, local.name) !== null) return;
      state.local.set({ ...local, parent });
      const content = now?.content;
      // The same bytes in the same place: the blocks the other members know can be served from here.
      const same = content?.kind === 'file' && contentKey(content) === local.content;
      if (same && local.held === 'here') state.blocks.set(id, content);
    }
    const base = handover.newer ? now && rowOf(now) : common(synced, now);
    if (base) state.synced.set(base);
    // A placeholder is one there as well.
    if (local && local.held !== 'here') state.synced.setOnline(id, true);
  });
  await state.inSlices(beneath(to.wholeTree, toFolder), (node) => {
    if (state.local.get(node.id) !== null || state.synced.get(node.id) !== null) return;
    // Not in the folder. Deleted by somebody who did not know of the handover, or to be brought in like anything new.
    if (!handover.newer && !deletedFrom(from, node)) return;
    state.synced.set(rowOf(node));
    seeded.push(node.id);
  });
  return seeded;
}

function* beneath(tree: DriveTree, folder: NodeId): Iterable<TreeNode> {
  const folders = [folder];
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for (let after: string | undefined; ;) {
      const page = tree.children(at, { ...(after !== undefined && { after }), limit: 200 });
      for (const node of page) {
        yield node;
        if (node.kind === 'dir') folders.push(node.id);
      }
      if (page.length < 200) break;
      after = page.at(-1)?.name;
    }
  }
}

function rowOf({ id, parent, name, kind, content, version }: TreeNode): SyncRow {
  const exec = content?.kind === 'file' && content.exec;
  return { id, parent, name, kind, content: contentKey(content), exec, version };
}

/** The other drive had it, has not any more, and what was deleted there is what this one still holds. */
function deletedFrom(from: Drive, node: TreeNode): boolean {
  const history = from.nodeHistory(node.id);
  if (!history || from.wholeTree.get(node.id) !== null) return false;
  if (node.kind === 'dir') return true;
  const last = history.contents.at(-1);
  return last !== undefined && keyOf(from.contentOf(last.version)) === contentKey(node.content);
}

const keyOf = (content: Content | null): string => (content === null ? '' : contentKey(content));

/** Finds what two drives that went through one folder have in common. */
function createCommon(
  from: Drive,
  to: Drive,
  intoTo: (parent: NodeId) => NodeId,
  intoFrom: (parent: NodeId) => NodeId,
) {
  /** A content and all it replaced, nearest first. */
  function lineage(history: NodeHistory, version: OpId): OpId[] {
    const parents = new Map(history.contents.map((one) => [one.version, one.parents]));
    const found = new Set<OpId>([version]);
    for (const at of found) for (const parent of parents.get(at) ?? []) found.add(parent);
    return [...found];
  }

  /** Where it was agreed to be. A move `to` has not heard of is one to be told; one made before the handover is not. */
  function place(id: NodeId, synced: SyncRow, known: NodeHistory): Pick<SyncRow, 'parent' | 'name'> {
    const agreed = { parent: intoTo(synced.parent), name: synced.name };
    const { made } = known;
    const there = from.wholeTree.get(id);
    if (made === null || there === null) return agreed;
    const moved = intoFrom(made.parent) !== there.parent || made.name !== there.name;
    const ours = there.parent === synced.parent && there.name === synced.name;
    return moved && ours ? made : agreed;
  }

  return (synced: SyncRow | null, now: TreeNode | null): SyncRow | null => {
    if (!synced) return null;
    const { id } = synced;
    const known = to.nodeHistory(id);
    if (!known) return null;
    const at = { ...synced, ...place(id, synced, known) };
    if (synced.kind === 'dir') return now ? { ...at, version: now.version } : at;
    const there = known.contents.map(({ version }) => ({ version, content: to.contentOf(version) }));
    const history = from.nodeHistory(id);
    const line = history ? lineage(history, synced.version) : [synced.version];
    for (const version of line) {
      const key = version === synced.version ? synced.content : keyOf(from.contentOf(version));
      const same = there.findLast(({ content }) => keyOf(content) === key);
      if (!same) continue;
      const exec = same.content?.kind === 'file' && same.content.exec;
      return { ...at, content: key, exec, version: same.version };
    }
    // What was agreed on is older than what the other drive began with.
    const later = (history?.contents ?? []).some(({ version }) => {
      const key = keyOf(from.contentOf(version));
      if (!there.some(({ content }) => keyOf(content) === key)) return false;
      return lineage(history as NodeHistory, version).includes(synced.version);
    });
    return later ? at : null;
  };
}
