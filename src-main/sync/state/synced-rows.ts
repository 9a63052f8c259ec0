import type { NodeId } from '../../drive/index.ts';
import type { Database } from '../../store/index.ts';
import type { SyncRow, TreeView } from '../types.ts';
import { kindNumber, kindOf } from './local-rows.ts';

/** What folder and drive last agreed on: the one tree that can't be found out again. */
export interface SyncedRows extends TreeView {
  set(row: SyncRow): void;
  remove(id: NodeId): void;
  relabelChildren(from: NodeId, to: NodeId): void;
  count(): number;
  ids(after: string, limit: number): readonly NodeId[];
}

type Raw = Omit<SyncRow, 'kind' | 'exec'> & { kind: number; exec: number };

const rowOf = (raw: Raw): SyncRow => ({ ...raw, kind: kindOf(raw.kind), exec: raw.exec === 1 });

export function createSyncedRows(db: Database): SyncedRows {
  const byId = db.prepare<[string], Raw>('SELECT * FROM sync_synced WHERE id = ?');
  const byParent = db.prepare<[string], Raw>('SELECT * FROM sync_synced WHERE parent = ?');
  const write = db.prepare(
    'INSERT OR REPLACE INTO sync_synced (id, parent, name, kind, content, exec, version) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const erase = db.prepare('DELETE FROM sync_synced WHERE id = ?');
  const reparent = db.prepare('UPDATE sync_synced SET parent = ? WHERE parent = ?');
  const idsAfter = db.prepare<[string, number], { id: string }>(
    'SELECT id FROM sync_synced WHERE id > ? ORDER BY id LIMIT ?',
  );
  let count = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM sync_synced').get()?.n ?? 0;

  return {
    get(id) {
      const raw = byId.get(id);
      return raw === undefined ? null : rowOf(raw);
    },
    *children(parent) {
      for (const raw of byParent.all(parent)) yield rowOf(raw);
    },
    child(parent, name) {
      return (
        byParent
          .all(parent)
          .map(rowOf)
          .find((row) => row.name === name) ?? null
      );
    },
    set(row) {
      if (byId.get(row.id) === undefined) count += 1;
      write.run(
        row.id,
        row.parent,
        row.name,
        kindNumber(row.kind),
        row.content,
        row.exec ? 1 : 0,
        row.version,
      );
    },
    remove(id) {
      count -= erase.run(id).changes;
    },
    relabelChildren(from, to) {
      reparent.run(to, from);
    },
    count: () => count,
    ids: (after, limit) => idsAfter.all(after, limit).map((row) => row.id),
  };
}
