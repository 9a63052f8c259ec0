import type { NodeId } from '../../drive/index.ts';
import type { Database } from '../../store/index.ts';

/** Which folders this computer keeps: what comes into a folder that is not kept is noted without its bytes. */
export interface PolicyRows {
  /** What was said of this very folder; null: nothing, so that it is as the folder above it. */
  get(folder: NodeId): boolean | null;
  set(folder: NodeId, keep: boolean | null): void;
  /** The same folder under another id. */
  relabel(from: NodeId, to: NodeId): void;
  all(): ReadonlyMap<NodeId, boolean>;
}

/** Kept in memory, as it is asked for each new entry; there are as many as a person said something of. */
export function createPolicyRows(db: Database): PolicyRows {
  const rows = new Map(
    db
      .prepare<[], { node: string; keep: number }>('SELECT node, keep FROM sync_policy')
      .all()
      .map(({ node, keep }) => [node, keep === 1] as const),
  );
  const write = db.prepare('INSERT OR REPLACE INTO sync_policy (node, keep) VALUES (?, ?)');
  const erase = db.prepare('DELETE FROM sync_policy WHERE node = ?');

  function set(folder: NodeId, keep: boolean | null): void {
    if (keep === null) {
      erase.run(folder);
      rows.delete(folder);
    } else {
      write.run(folder, keep ? 1 : 0);
      rows.set(folder, keep);
    }
  }

  return {
    get: (folder) => rows.get(folder) ?? null,
    set,
    relabel(from, to) {
      const keep = rows.get(from);
      if (keep === undefined) return;
      set(from, null);
      if (!rows.has(to)) set(to, keep);
    },
    all: () => rows,
  };
}
