import { rootNode, type NodeId } from '../../drive/index.ts';
import { createMemoryTree } from '../plan/draft.ts';
import type { RemoteTree } from '../plan/plan.ts';
import type { PlanOp, SyncRow } from '../types.ts';

/**
 * What a drive promises, in a hundred lines and one place: conflict copies, merged folders, edit and move beat delete,
 * no cycles. The planner's property tests run against it.
 */
export interface ModelDrive {
  readonly tree: RemoteTree & { all(): SyncRow[] };
  /** Replaces a whole row without any rule: how tests perturb the drive "from another computer". */
  readonly force: ReturnType<typeof createMemoryTree>;
  commit(op: PlanOp, mine: SyncRow | null): void;
  /** Ends a batch: ids whose visible row changed since the last call. */
  takeChanged(): NodeId[];
  nextVersion(): string;
  /** Whether the drive ever had this node: only in such folders can something be made. */
  knows(id: NodeId): boolean;
}

export function createModelDrive(rows: Iterable<SyncRow>, ours: () => boolean): ModelDrive {
  const tree: ReturnType<typeof createMemoryTree> & RemoteTree = createMemoryTree(rows);
  const dead = new Map<NodeId, SyncRow>();
  const alias = new Map<NodeId, NodeId>();
  const merged = new Map<NodeId, SyncRow>();
  const changed = new Set<NodeId>();
  let version = 0;
  let copies = 0;
  const nextVersion = (): string => `v${++version}`;
  const real = (id: NodeId): NodeId => alias.get(id) ?? id;

  function put(row: SyncRow): void {
    tree.set(row);
    changed.add(row.id);
  }
  function remove(id: NodeId): void {
    const row = tree.get(id);
    if (row === null) return;
    dead.set(id, row);
    tree.remove(id);
    changed.add(id);
  }
  function conflictName(parent: NodeId, name: string): string {
    let candidate: string;
    do candidate = `${name} (conflict ${++copies})`;
    while (tree.child(parent, candidate) !== null);
    return candidate;
  }

  /** Puts a row at its place; names taken twice are settled after the batch, as the state is a function of all ops. */
  function place(row: SyncRow): void {
    const parent = real(row.parent);
    revive(parent);
    put({ ...row, parent });
  }

  /** Folders of one name merge, equal files show once, of others all but the first get a conflict name. */
  function resolveNames(): void {
    for (let again = true; again;) {
      again = false;
      const first = new Map<string, SyncRow>();
      for (const row of tree.all()) {
        const key = `${row.parent}/${row.name}`;
        const other = first.get(key);
        if (other === undefined) {
          first.set(key, row);
          continue;
        }
        again = true;
        if (other.kind === 'dir' && row.kind === 'dir') {
          alias.set(row.id, other.id);
          merged.set(row.id, row);
          for (const child of [...tree.children(row.id)]) put({ ...child, parent: other.id });
          tree.remove(row.id);
          changed.add(row.id);
        } else if (other.kind === row.kind && other.content === row.content && other.exec === row.exec) {
          alias.set(row.id, other.id);
          merged.set(row.id, row);
          tree.remove(row.id);
          changed.add(row.id);
        } else if (row.kind === 'dir') put({ ...other, name: conflictName(row.parent, other.name) });
        else put({ ...row, name: conflictName(row.parent, row.name) });
        break;
      }
    }
  }

  function revive(id: NodeId): void {
    const row = dead.get(id);
    if (id === rootNode || tree.get(id) !== null || row === undefined) return;
    dead.delete(id);
    place(row);
  }

  function below(id: NodeId, top: NodeId): boolean {
    for (let at = id; at !== rootNode;) {
      if (at === top) return true;
      const row = tree.get(at) ?? dead.get(at);
      if (row === undefined) return false;
      at = row.parent;
    }
    return false;
  }

  return {
    tree: {
      ...tree,
      past(id) {
        const row = tree.get(id) === null ? (dead.get(id) ?? merged.get(id)) : undefined;
        return row === undefined ? [] : [{ ...row, parent: real(row.parent) }];
      },
    },
    force: { ...tree, remove },
    nextVersion,
    knows: (id) => id === rootNode || tree.get(real(id)) !== null || dead.has(id),
    takeChanged() {
      resolveNames();
      const ids = [...changed];
      changed.clear();
      return ids;
    },
    commit(op, mine) {
      if (op.t === 'make' && mine !== null) {
        place({ ...mine, version: nextVersion() });
      } else if (op.t === 'move' && mine !== null) {
        const id = real(op.id);
        const parent = real(mine.parent);
        revive(parent);
        revive(id);
        const row = tree.get(id);
        if (row === null || below(parent, id)) return;
        place({ ...row, parent, name: mine.name });
      } else if (op.t === 'put' && mine !== null) {
        const id = real(op.id);
        const wasDead = tree.get(id) === null;
        const row = tree.get(id) ?? dead.get(id);
        if (row === undefined) return;
        const next = { ...row, content: mine.content, exec: mine.exec, version: nextVersion() };
        if (wasDead) {
          dead.delete(id);
          place(next);
        } else if (op.base.includes(row.version)) put(next);
        else if (next.content === row.content && next.exec === row.exec) put(next);
        else {
          const copy = { id: `copy${++copies}`, name: conflictName(row.parent, row.name) };
          if (ours()) {
            put(next);
            put({ ...row, ...copy });
          } else put({ ...next, ...copy });
        }
      } else if (op.t === 'del') {
        const row = tree.get(op.id);
        if (row === null || (row.kind !== 'dir' && !op.base.includes(row.version))) return;
        for (const _ of tree.children(op.id)) return;
        remove(op.id);
      }
    },
  };
}
