import type { NodeId } from '../../drive/index.ts';
import type { Database } from '../../store/index.ts';
import type { SyncRow, TreeView } from '../types.ts';
import { kindNumber, kindOf } from './local-rows.ts';

/** What folder and drive last agreed on: the one tree that can't be found out again. */
export interface SyncedRows extends TreeView {
  /** Whether it is held online only stays as it was; what is new here is on the disk. */
  set(row: SyncRow): void;
  /** Notes that what this row stands for is not on the disk, or is again. */
  setOnline(id: NodeId, online: boolean): void;
  remove(id: NodeId): void;
  relabelChildren(from: NodeId, to: NodeId): void;
  count(): number;
  ids(after: string, limit: number): readonly NodeId[];
}

type Raw = Omit<SyncRow, 'kind' | 'exec' | 'held'> & { kind: number; exec: number; online: number };

function rowOf({ online, ...raw }: Raw): SyncRow {
  const row = { ...raw, kind: kindOf(raw.kind), exec: raw.exec === 1 };
  return online === 0 ? row : { ...row, held: 'online' };
}

export function createSyncedRows(db: Database): SyncedRows {
  const byId = db.prepare<[string], Raw>('SELECT * FROM sync_synced WHERE id = ?');
  const byParent = db.prepare<[string], Raw>('SELECT * FROM sync_synced WHERE parent = ?');
  const write = db.prepare(
    // An update that knows nothing of placeholders must not make one look like a file that ought to be on the disk.
    `INSERT INTO sync_synced (id, parent, name, kind, content, exec, version) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, name = excluded.name, kind = excluded.kind,
       content = excluded.content, exec = excluded.exec, version = excluded.version`,
  );
  const hold = db.prepare('UPDATE sync_synced SET online = ? WHERE id = ?');
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
    setOnline: (id, online) => void hold.run(online ? 1 : 0, id),
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
