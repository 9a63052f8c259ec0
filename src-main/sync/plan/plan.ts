import { rootNode, type NodeId, type OpId } from '../../drive/index.ts';
import type { Plan, PlanOp, SyncRow, TreeView } from '../types.ts';
import { createDraft } from './draft.ts';
import { remembering, sameContent, sameLocation, tempName, tempNameOwner } from './rows.ts';

/** Chains of nodes that wait for one another (a folder in a folder in ..., 1 to 2, 2 to 3, ...) may be this long in one plan. */
const maxDepth = 250;

/** The drive's tree as a plan reads it. */
export interface RemoteTree extends TreeView {
  /**
   * Whether what the folder holds comes after this row's content, although it was never agreed on: the content stood in this very
   * folder when it was signed (a power cut took back the knowledge of it), or it is lost for good. Never by default.
   */
  yields?(row: SyncRow): boolean;
  /** Whether the drive ends at this folder, as another one has its place there. Such a folder is made and moved, never deleted. */
  endsAt?(id: NodeId): boolean;
  /** What a node that does not show was, with each of its contents, newest first; empty when the drive never had it. */
  past?(id: NodeId): readonly SyncRow[];
  /** Whether something new is brought into the folder with its bytes; else it is a placeholder. By default it is. */
  keeps?(row: SyncRow): boolean;
}

/** A plan in the making: nodes can be looked at bit by bit, as long as the trees stay what they are. */
export interface Planner {
  look(id: NodeId): void;
  result(): Plan;
}

/**
 * Compares three trees at some nodes and says what has to be done there: pure, deterministic, and in an order in which it
 * can be done. The idea of three trees (what is on disk, what the drive says, what both last agreed on) is Dropbox
 * Nucleus' ("Rewriting the heart of our sync engine", 2020).
 *
 * What decides: a side that still equals `synced` did nothing, so the other side's change is carried over. Edits and moves
 * beat deletes. Where both sides edited, the local edit is committed with the agreed version as its base and the drive
 * shows a conflict copy; nothing local that the drive does not hold is ever overwritten.
 *
 * What is held online only has a row in the local tree like everything else, so it follows the drive as anything does, without
 * the disk. Its being absent from the disk, or even from the local tree, is never taken for a delete; and a file that turns up in its
 * place was not made from it: it is committed as one that knows of nothing, and the drive shows both.
 *
 * @param remote the drive's merged tree
 * @param local what the last scan saw
 * @param synced what both had in common when they last agreed
 * @param dirty nodes to look at; others are looked at where these depend on them
 * @param limit about how many nodes to look at before the rest is put off
 */
export function plan(
  remote: RemoteTree,
  local: TreeView,
  synced: TreeView,
  dirty: Iterable<NodeId>,
  limit = Number.POSITIVE_INFINITY,
): Plan {
  const planner = startPlan(remote, local, synced, limit);
  for (const id of dirty) planner.look(id);
  return planner.result();
}

/** As `plan`, for callers that let others work between two nodes. Rows are read once and remembered. */
export function startPlan(
  remoteTree: RemoteTree,
  localTree: TreeView,
  syncedTree: TreeView,
  limit = Number.POSITIVE_INFINITY,
): Planner {
  const remote = remembering(remoteTree);
  const synced = remembering(syncedTree);
  const ops: PlanOp[] = [];
  const later = new Set<NodeId>();
  const draft = createDraft(remembering(localTree));
  const agreed = new Map<NodeId, SyncRow | null>();
  const relabelled = new Map<NodeId, NodeId>();
  const done = new Set<NodeId>();
  const active = new Set<NodeId>();
  const deleted = new Set<NodeId>();
  const movedUp = new Set<NodeId>();
  const told = new Set<NodeId>();
  const survivorsMemo = new Map<NodeId, boolean>();
  let visits = 0;

  function syncedGet(id: NodeId): SyncRow | null {
    const known = agreed.get(id);
    const row = known === undefined ? synced.get(id) : known;
    const parent = row === null ? undefined : relabelled.get(row.parent);
    return row === null || parent === undefined ? row : { ...row, parent };
  }

  function yields(theirs: SyncRow): boolean {
    return theirs.kind !== 'dir' && (remoteTree.yields?.(theirs) ?? false);
  }

  function endsAt(id: NodeId): boolean {
    return remoteTree.endsAt?.(id) ?? false;
  }

  /** Versions that a local change replaces: what was agreed on, and what gives way to it. */
  function replaced(base: SyncRow | null, theirs: SyncRow | null): OpId[] {
    const versions = base === null ? [] : [base.version];
    if (theirs !== null && theirs.version !== base?.version && yields(theirs)) versions.push(theirs.version);
    return versions;
  }

  /** The drive knows this folder, or will when the operations so far are committed. */
  function knownToDrive(id: NodeId): boolean {
    return id === rootNode || remote.get(id) !== null || syncedGet(id) !== null;
  }

  /** What others depend on is looked at beyond the limit, up to a depth that spares the stack. */
  function visit(id: NodeId): void {
    if (id === rootNode || done.has(id) || active.has(id)) return;
    if (active.size >= maxDepth) {
      later.add(id);
      return;
    }
    visits += 1;
    active.add(id);
    step(id);
    active.delete(id);
    done.add(id);
  }

  function step(id: NodeId): void {
    // The drive's tree does not show yet what this plan tells it. Compared with that, our own change would look undone there.
    if (told.has(id)) {
      later.add(id);
      return;
    }
    const before = draft.get(id);
    if (before !== null && !knownToDrive(before.parent)) visit(before.parent);
    const mine = draft.get(id);
    const theirs = remote.get(id);
    const base = syncedGet(id);
    if (endsAt(id)) {
      if (theirs === null) return;
      if (mine === null) bringDown(theirs);
      else merge(mine, theirs, base);
    } else if (mine === null) {
      if (theirs === null) {
        if (base !== null) agree(id, null);
      } else if (
        base !== null &&
        base.held === undefined &&
        sameLocation(base, theirs) &&
        (sameContent(base, theirs) || yields(theirs))
      ) {
        deletedHere(theirs, base);
      } else bringDown(theirs);
    } else if (theirs === null) {
      if (!relabel(mine)) onlyHere(mine, base);
    } else merge(mine, theirs, base);
    const after = draft.get(id)?.parent;
    if (before !== null && before.parent !== after) lookAgain(before.parent);
    if (base !== null && base.parent !== after && base.parent !== before?.parent) lookAgain(base.parent);
  }

  /** A folder the drive no longer has may have been kept for a child that has left it now. */
  function lookAgain(dir: NodeId): void {
    if (dir === rootNode || active.has(dir) || draft.get(dir) === null || remote.get(dir) !== null) return;
    done.delete(dir);
    visit(dir);
  }

  function agree(id: NodeId, row: SyncRow | null): void {
    ops.push({ t: 'agree', id });
    agreed.set(id, row);
  }

  // ---- the drive has it, the folder does not

  function bringDown(theirs: SyncRow): void {
    if (!parentHere(theirs.parent) || !freeName(theirs)) {
      later.add(theirs.id);
      return;
    }
    const mine = draft.get(theirs.id);
    if (mine !== null) return merge(mine, theirs, syncedGet(theirs.id));
    if (syncedGet(theirs.id)?.held !== undefined || remoteTree.keeps?.(theirs) === false) holdOnline(theirs);
    else bringHere(theirs);
  }

  /** With its bytes. */
  function bringHere(theirs: SyncRow): void {
    ops.push(theirs.kind === 'dir' ? { t: 'mkdir', node: theirs } : { t: 'write', node: theirs });
    draft.set({ ...theirs, version: '' });
    agreed.set(theirs.id, theirs);
  }

  function holdOnline(theirs: SyncRow): void {
    const mine = draft.get(theirs.id);
    const at = mine ?? theirs;
    ops.push({ t: 'placeholder', node: theirs });
    draft.set({ ...theirs, parent: at.parent, name: at.name, version: '', held: 'online' });
    const base = syncedGet(theirs.id) ?? theirs;
    agreed.set(theirs.id, { ...theirs, parent: base.parent, name: base.name, held: 'online' });
  }

  function parentHere(parent: NodeId): boolean {
    if (parent === rootNode) return true;
    if (draft.get(parent) === null) visit(parent);
    return draft.get(parent)?.kind === 'dir';
  }

  /** Makes sure nothing else has the name `row` wants; false when that has to wait. */
  function freeName(row: SyncRow): boolean {
    const other = draft.child(row.parent, row.name);
    if (other === null || other.id === row.id) return true;
    visit(other.id);
    const still = draft.child(row.parent, row.name);
    if (still === null || still.id === row.id) return true;
    if (!mayStepAside(still)) return false;
    // It waits for the name we are leaving (a to b, b to a), or for us to leave it (a folder's file takes its name).
    const name = tempName(still.id);
    ops.push({ t: 'rename', id: still.id, parent: still.parent, name });
    draft.set({ ...still, name });
    return true;
  }

  /** Nobody here wants it at this place: the drive has it elsewhere, or no more. */
  function mayStepAside(mine: SyncRow): boolean {
    // Just told to the drive, under this name: where it belongs is known when the drive shows it.
    if (told.has(mine.id)) return false;
    const theirs = remote.get(mine.id);
    const base = syncedGet(mine.id);
    if (base !== null && movedHere(mine, base)) return false;
    if (theirs !== null) return !sameLocation(mine, theirs);
    return base !== null && sameContent(mine, base);
  }

  function deletedHere(theirs: SyncRow, base: SyncRow): void {
    const successor = draft.child(base.parent, base.name);
    if (successor !== null && remote.get(successor.id) === null && relabel(successor)) {
      const mine = draft.get(theirs.id);
      if (mine !== null) return merge(mine, theirs, syncedGet(theirs.id));
    }
    if (theirs.kind === 'dir') {
      if (hasSurvivors(theirs.id)) return bringDown(theirs);
      for (const child of remote.children(theirs.id)) {
        visit(child.id);
        if (visits >= limit) {
          later.add(theirs.id);
          return;
        }
      }
    }
    ops.push({ t: 'del', id: theirs.id, base: replaced(base, sameContent(base, theirs) ? null : theirs) });
    agreed.set(theirs.id, null);
    deleted.add(theirs.id);
  }

  /** Whether a folder deleted here has to come back, because something in it was made, edited or moved there meanwhile. */
  function hasSurvivors(dir: NodeId): boolean {
    const known = survivorsMemo.get(dir);
    if (known !== undefined) return known;
    survivorsMemo.set(dir, false);
    let result = false;
    for (const child of remote.children(dir)) {
      if (survives(child)) {
        result = true;
        break;
      }
    }
    survivorsMemo.set(dir, result);
    return result;
  }

  function survives(theirs: SyncRow): boolean {
    if (deleted.has(theirs.id) || movedUp.has(theirs.id)) return false;
    if (endsAt(theirs.id)) return true;
    const mine = draft.get(theirs.id);
    const base = syncedGet(theirs.id);
    if (mine !== null) return base === null || sameLocation(mine, base);
    if (base?.held !== undefined) return true;
    if (base === null || !sameContent(base, theirs) || !sameLocation(base, theirs)) return true;
    return theirs.kind === 'dir' && hasSurvivors(theirs.id);
  }

  // ---- the folder has it, the drive does not

  /** The drive shows the same thing under another id: go on with that id. */
  function relabel(mine: SyncRow): boolean {
    const theirs = remote.child(mine.parent, mine.name);
    if (theirs === null || theirs.id === mine.id || theirs.kind !== mine.kind) return false;
    if (deleted.has(theirs.id) || draft.get(theirs.id) !== null) return false;
    const ours = syncedGet(mine.id);
    const base = syncedGet(theirs.id);
    const same =
      mine.kind === 'dir' ||
      sameContent(mine, theirs) ||
      (ours !== null && sameContent(ours, theirs)) ||
      // Deleted and made anew here, before the drive heard of it: an edit of the same file.
      (ours === null && (base !== null || yields(theirs)));
    if (!same) return false;
    let newBase = base;
    if (ours !== null && (base === null || mine.held !== undefined)) {
      newBase = {
        ...ours,
        id: theirs.id,
        version: mine.kind === 'dir' || sameContent(ours, theirs) ? theirs.version : ours.version,
      };
    }
    ops.push({ t: 'relabel', from: mine.id, to: theirs.id, base: newBase });
    relabelled.set(mine.id, theirs.id);
    const children = [...draft.children(mine.id)];
    draft.remove(mine.id);
    draft.set({ ...mine, id: theirs.id });
    for (const child of children) {
      draft.set({ ...child, parent: theirs.id });
      done.delete(child.id);
    }
    agreed.set(mine.id, null);
    agreed.set(theirs.id, newBase);
    later.delete(theirs.id);
    if (!active.has(theirs.id)) {
      done.delete(theirs.id);
      visit(theirs.id);
    }
    for (const child of children) visit(child.id);
    return true;
  }

  function onlyHere(mine: SyncRow, base: SyncRow | null): void {
    // A placeholder of something the drive does not have stands for nothing.
    if (base === null && mine.held !== undefined) return deletedThere(mine.id);
    if (base === null) {
      if (!knownToDrive(mine.parent)) {
        later.add(mine.id);
        return;
      }
      const known = recall(mine);
      if (known !== null) return onlyHere(mine, known);
      freeNameThere(mine);
      ops.push({ t: 'make', id: mine.id });
      told.add(mine.id);
      agreed.set(mine.id, mine);
      return;
    }
    const moved = movedHere(mine, base);
    const edited = mine.held === undefined && !sameContent(mine, base);
    if (moved) moveUp(mine, base);
    if (edited) putUp(mine, syncedGet(mine.id), null);
    if (!moved && !edited) deletedThere(mine.id);
  }

  /**
   * What was signed here and deleted elsewhere before a power cut took back that it was agreed on. It stood in this folder as one of
   * its versions, so that is what was agreed: unchanged it follows the delete, edited it beats it.
   */
  function recall(mine: SyncRow): SyncRow | null {
    const known = remoteTree.past?.(mine.id) ?? [];
    const base = known.find((row) => sameContent(row, mine)) ?? known[0];
    if (base === undefined || base.kind !== mine.kind) return null;
    ops.push({ t: 'recall', id: mine.id, base });
    agreed.set(mine.id, base);
    return base;
  }

  /** What had this name in the drive has left it here: let the drive hear of that first, or it would see a conflict. */
  function freeNameThere(mine: SyncRow): void {
    const other = remote.child(mine.parent, mine.name);
    if (other !== null && other.id !== mine.id) visit(other.id);
  }

  function movedHere(mine: SyncRow, base: SyncRow): boolean {
    return tempNameOwner(mine.name) !== mine.id && !sameLocation(mine, base);
  }

  function moveUp(mine: SyncRow, base: SyncRow): void {
    if (!knownToDrive(mine.parent)) {
      later.add(mine.id);
      return;
    }
    freeNameThere(mine);
    ops.push({ t: 'move', id: mine.id });
    told.add(mine.id);
    movedUp.add(mine.id);
    agreed.set(mine.id, { ...base, parent: mine.parent, name: mine.name });
  }

  function putUp(mine: SyncRow, base: SyncRow | null, theirs: SyncRow | null): void {
    // Where a placeholder was nobody could have seen what he writes over.
    const knowing = base?.held === undefined;
    ops.push({ t: 'put', id: mine.id, base: knowing ? replaced(base, theirs) : [] });
    told.add(mine.id);
    const { held: _, ...row } = base ?? mine;
    agreed.set(mine.id, { ...row, content: mine.content, exec: mine.exec });
  }

  function deletedThere(id: NodeId): void {
    for (const child of [...draft.children(id)]) {
      if (visits >= limit) {
        later.add(id);
        return;
      }
      visit(child.id);
    }
    // What stays in it makes the drive show the folder again.
    for (const _ of draft.children(id)) return;
    const mine = draft.get(id);
    if (mine === null) return;
    ops.push({ t: 'trash', id: mine.id });
    draft.remove(mine.id);
    agreed.set(mine.id, null);
  }

  // ---- both have it

  function merge(mine: SyncRow, theirs: SyncRow, base: SyncRow | null): void {
    let committed = false;
    if (!sameLocation(mine, theirs)) {
      if (base !== null && movedHere(mine, base)) {
        moveUp(mine, base);
        committed = true;
      } else renameDown(theirs);
    }
    const now = draft.get(mine.id);
    if (now === null) return;
    const agreedNow = syncedGet(mine.id);
    if (now.held === 'wanted' && tempNameOwner(now.name) !== now.id) {
      if (!parentHere(now.parent)) {
        later.add(now.id);
        return;
      }
      bringWanted(now, theirs, agreedNow);
    } else if (!sameContent(now, theirs)) {
      if (now.held !== undefined) holdOnline(theirs);
      else if (agreedNow === null || !sameContent(now, agreedNow)) {
        putUp(now, agreedNow, theirs);
        committed = true;
      } else {
        ops.push({ t: 'write', node: theirs });
        draft.set({ ...now, content: theirs.content, exec: theirs.exec });
        agreed.set(mine.id, {
          ...agreedNow,
          content: theirs.content,
          exec: theirs.exec,
          version: theirs.version,
        });
      }
    }
    if (committed) return;
    const end = draft.get(mine.id);
    const known = syncedGet(mine.id);
    if (end === null || !sameLocation(end, theirs) || !sameContent(end, theirs)) return;
    if (
      known === null ||
      !sameLocation(known, theirs) ||
      !sameContent(known, theirs) ||
      known.version !== theirs.version
    ) {
      agree(mine.id, theirs);
    }
  }

  /** What stood for it is replaced by itself, in the place it has now. */
  function bringWanted(now: SyncRow, theirs: SyncRow, base: SyncRow | null): void {
    ops.push(theirs.kind === 'dir' ? { t: 'mkdir', node: theirs } : { t: 'write', node: theirs });
    const { held: _, ...row } = now;
    draft.set({ ...row, content: theirs.content, exec: theirs.exec });
    const { parent, name } = base ?? theirs;
    const { held: __, ...agreedRow } = { ...theirs, parent, name };
    agreed.set(now.id, agreedRow);
  }

  function renameDown(theirs: SyncRow): void {
    const { id } = theirs;
    if (!parentHere(theirs.parent) || !outOfOwnSubtree(id, theirs.parent) || !freeName(theirs)) {
      later.add(id);
      return;
    }
    const mine = draft.get(id);
    if (mine === null || sameLocation(mine, theirs)) return;
    ops.push({ t: 'rename', id, parent: theirs.parent, name: theirs.name });
    draft.set({ ...mine, parent: theirs.parent, name: theirs.name });
    const base = syncedGet(id);
    if (base !== null) agreed.set(id, { ...base, parent: theirs.parent, name: theirs.name });
  }

  /** A folder can't move into itself: what lies between has to move out first. */
  function outOfOwnSubtree(id: NodeId, parent: NodeId): boolean {
    const between = pathUp(parent, id);
    if (between === null) return true;
    for (const ancestor of between) visit(ancestor);
    return pathUp(parent, id) === null;
  }

  /** The folders from `from` up to just below `top`, nearest `top` first; null when `top` is not above `from`. */
  function pathUp(from: NodeId, top: NodeId): NodeId[] | null {
    const chain: NodeId[] = [];
    for (let at = from; at !== rootNode;) {
      if (at === top) return chain.reverse();
      chain.push(at);
      const row = draft.get(at);
      if (row === null || chain.length > 100_000) return null;
      at = row.parent;
    }
    return null;
  }

  return {
    look(id) {
      if (visits < limit) visit(id);
      else if (!done.has(id)) later.add(id);
    },
    result: () => ({ ops, later: [...later] }),
  };
}
