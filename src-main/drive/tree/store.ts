import type { Database } from '../../store/index.ts';
import { byteKey, sameBytes } from '../codec/bytes.ts';
import { createFolderSums } from './folder-sums.ts';
import type { FolderSums } from './folder-sums.ts';
import { createFreshNodes } from './fresh-nodes.ts';
import { createItems } from './items.ts';
import type { ItemRow, Items } from './items.ts';
import { createNaming } from './naming.ts';
import type { Provenance } from './naming.ts';
import { createOperations } from './operations.ts';
import type { Fresh, IndexedOp, Operations } from './operations.ts';
import { entryPlace } from './place.ts';

export interface TreeCounts {
  readonly files: number;
  readonly dirs: number;
  readonly bytes: number;
}

export interface TreeStore {
  readonly operations: Operations;
  readonly items: Items;
  /**
   * Applies (or takes out) the operations of one entry; part of the caller's transaction.
   * @returns true when the visible tree changed
   */
  apply(
    entry: { readonly lamport: number; readonly hash: Uint8Array },
    ops: readonly IndexedOp[],
    undo: boolean,
  ): boolean;
  revision(): number;
  /** The revision before the first: earlier ones are unknown. */
  firstRevision(): number;
  counts(): TreeCounts;
  readonly sums: Pick<FolderSums, 'within'>;
  /** After a transaction that was rolled back. */
  reload(): void;
}

/** Work left in one `apply`, each piece once. */
interface Queue {
  nodes: Map<string, Uint8Array>;
  readonly groups: Map<string, { readonly parent: Uint8Array; readonly want: string }>;
  /** Items as they were before, by id. */
  readonly before: Map<string, { readonly id: Uint8Array; readonly row: ItemRow | null }>;
}

/**
 * The replicated tree in SQLite.
 * @param provenance time and device of the entry at a place
 * @param firstRevision where revisions start in a new database: higher than any an earlier database has given out
 */
export function createTreeStore(db: Database, provenance: Provenance, firstRevision: number): TreeStore {
  const readMeta = db.prepare<[string], { value: number }>('SELECT value FROM tree_meta WHERE key = ?');
  const writeMeta = db.prepare('INSERT OR REPLACE INTO tree_meta VALUES (?, ?)');
  const setRevision = db.prepare('UPDATE tree_item SET rev = ? WHERE id = ?');
  const insertGone = db.prepare('INSERT OR REPLACE INTO tree_gone VALUES (?, ?)');
  const deleteGone = db.prepare('DELETE FROM tree_gone WHERE id = ?');

  let revision = 0;
  let counts = { files: 0, dirs: 0, bytes: 0 };
  let queue: Queue = { nodes: new Map(), groups: new Map(), before: new Map() };

  const operations = createOperations(db);
  const changes = {
    touch(id: Uint8Array): void {
      const key = byteKey(id);
      if (!queue.before.has(key)) queue.before.set(key, { id, row: items.get(id) });
    },
    group(parent: Uint8Array, want: string): void {
      const key = `${byteKey(parent)}${want}`;
      if (!queue.groups.has(key)) queue.groups.set(key, { parent, want });
    },
    node(id: Uint8Array): void {
      queue.nodes.set(byteKey(id), id);
    },
    nextRevision: (): number => ++revision,
  };
  const items: Items = createItems(db, operations, changes);
  const naming = createNaming(db, changes, provenance, (folder) => items.reparent(folder));

  const fresh = createFreshNodes(db);
  const sums = createFolderSums(db);

  const load = (): void => {
    // Before anything was applied the clock may have been set back: revisions never fall behind the first.
    revision = readMeta.get('revision')?.value ?? Math.max(firstRevision, readMeta.get('first')?.value ?? 0);
    counts = {
      files: readMeta.get('files')?.value ?? 0,
      dirs: readMeta.get('dirs')?.value ?? 0,
      bytes: readMeta.get('bytes')?.value ?? 0,
    };
  };
  load();
  if (!readMeta.get('first')) writeMeta.run('first', revision);
  const first = readMeta.get('first')?.value ?? revision;

  function tally(row: ItemRow | null, sign: 1 | -1): void {
    if (!row || row.name === null) return;
    if (row.kind === 0) {
      counts.dirs += sign;
      sums.foldersMoved();
    } else {
      counts.files += sign;
      sums.count(row.sparent, row.size, sign);
    }
    counts.bytes += sign * row.size;
  }

  /** Gives every item that looks different a new revision. */
  function publish(): boolean {
    let changed = false;
    for (const { id, row: old } of queue.before.values()) {
      const now = items.get(id);
      const wasVisible = old !== null && old.name !== null;
      const isVisible = now !== null && now.name !== null;
      if (wasVisible && isVisible && looksSame(old, now)) continue;
      if (!wasVisible && !isVisible) continue;
      tally(old, -1);
      tally(now, 1);
      changed = true;
      revision += 1;
      if (isVisible) {
        setRevision.run(revision, id);
        if (!wasVisible) deleteGone.run(id);
      } else {
        insertGone.run(id, revision);
      }
    }
    return changed;
  }

  /** Nodes that were not known; those whose name or folder needs a closer look go into the queue. */
  function addFresh(nodes: readonly Fresh[]): boolean {
    const add = fresh.batch();
    let added = false;
    for (const one of nodes) {
      const { op } = one;
      const placed = add(one, revision + 1);
      if (placed === null) {
        changes.node(op.node);
        continue;
      }
      const { size, folder } = placed;
      revision += 1;
      if (op.kind === 'dir') counts.dirs += 1;
      else {
        counts.files += 1;
        sums.count(folder, size, 1);
      }
      counts.bytes += size;
      added = true;
    }
    return added;
  }

  return {
    operations,
    items,
    apply(entry, ops, undo) {
      queue = { nodes: new Map(), groups: new Map(), before: new Map() };
      const place = entryPlace(entry.lamport, entry.hash);
      const simple = addFresh(operations.apply(place, ops, undo, { add: changes.node }));
      while (queue.nodes.size > 0 || queue.groups.size > 0) {
        // In rounds: a folder that gets many children is looked at once, not after each.
        const round = queue.nodes;
        queue.nodes = new Map();
        for (const node of round.values()) items.refresh(node);
        for (const [key, { parent, want }] of queue.groups) {
          queue.groups.delete(key);
          naming.refresh(parent, want);
          if (queue.nodes.size > 0) break;
        }
      }
      const changed = publish() || simple;
      sums.flush();
      writeMeta.run('revision', revision);
      if (changed) {
        writeMeta.run('files', counts.files);
        writeMeta.run('dirs', counts.dirs);
        writeMeta.run('bytes', counts.bytes);
      }
      return changed;
    },
    revision: () => revision,
    firstRevision: () => first,
    counts: () => ({ ...counts }),
    sums,
    reload() {
      operations.reload();
      sums.reload();
      load();
    },
  };
}

function looksSame(a: ItemRow, b: ItemRow): boolean {
  return (
    a.name === b.name &&
    a.kind === b.kind &&
    sameBytes(a.sparent, b.sparent) &&
    sameBytes(a.ver, b.ver) &&
    (a.conflict_of === b.conflict_of ||
      (a.conflict_of !== null && b.conflict_of !== null && sameBytes(a.conflict_of, b.conflict_of)))
  );
}
