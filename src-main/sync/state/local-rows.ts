import { rootNode, type FileStamp, type NodeId, type NodeKind } from '../../drive/index.ts';
import type { Database } from '../../store/index.ts';
import type { SyncRow, TreeView } from '../types.ts';

const kinds: readonly NodeKind[] = ['dir', 'file', 'link'];

/** What the last scan saw of one file, folder or link. */
export interface LocalRow extends SyncRow {
  /** The name on disk where it is not the drive's (another Unicode form, or mapped because this disk can't hold it). */
  readonly raw: string | null;
  readonly stamp: FileStamp;
  readonly birthNs: bigint;
}

/** The observed tree. Every change of the folder that the engine knows of is here; nothing here is intent. */
export interface LocalRows extends TreeView {
  /** The same rows without what only the disk knows of them: all a planner needs, and quicker to read. */
  readonly rows: TreeView;
  get(id: NodeId): LocalRow | null;
  child(parent: NodeId, name: string): LocalRow | null;
  children(parent: NodeId): Iterable<LocalRow>;
  /** Sorted by the bytes of the name, at most `limit` after `after`. */
  page(parent: NodeId, after: string | null, limit: number): readonly LocalRow[];
  byInode(ino: bigint): readonly LocalRow[];
  byContent(content: string, limit: number): readonly LocalRow[];
  hasChildren(parent: NodeId): boolean;
  /** Rows of a folder whose name on disk is not the drive's: name on disk to name in the drive. */
  mapped(parent: NodeId): ReadonlyMap<string, string>;
  set(row: LocalRow): void;
  remove(id: NodeId): void;
  relabel(from: NodeId, to: NodeId): void;
  /** Relative path with the names on disk, `/` between; null when the row or a parent of it is missing. */
  path(id: NodeId): string | null;
  count(): { readonly files: number; readonly bytes: number; readonly entries: number };
  /** Ids in order after `after`, for walks in slices. */
  ids(after: string, limit: number): readonly NodeId[];
}

interface Raw {
  id: string;
  parent: string;
  name: string;
  raw: string | null;
  kind: bigint;
  content: string;
  exec: bigint;
  size: bigint;
  mtime: bigint;
  ctime: bigint;
  birth: bigint;
  ino: bigint;
  dev: bigint;
  mode: bigint;
}

interface BareRaw {
  id: string;
  parent: string;
  name: string;
  kind: number;
  content: string;
  exec: number;
}

function bareOf({ id, parent, name, kind, content, exec }: BareRaw): SyncRow {
  return { id, parent, name, kind: kindOf(kind), content, exec: exec === 1, version: '' };
}

export function kindNumber(kind: NodeKind): number {
  return kinds.indexOf(kind);
}

export function kindOf(n: number): NodeKind {
  return kinds[n] ?? 'file';
}

function rowOf(raw: Raw): LocalRow {
  return {
    id: raw.id,
    parent: raw.parent,
    name: raw.name,
    raw: raw.raw,
    kind: kindOf(Number(raw.kind)),
    content: raw.content,
    exec: raw.exec === 1n,
    version: '',
    stamp: {
      size: Number(raw.size),
      mtimeNs: raw.mtime,
      ctimeNs: raw.ctime,
      ino: raw.ino,
      dev: raw.dev,
      mode: Number(raw.mode),
    },
    birthNs: raw.birth,
  };
}

export function createLocalRows(db: Database): LocalRows {
  const query = <P extends unknown[]>(sql: string) =>
    db.prepare<P, Raw>(`SELECT * FROM sync_local ${sql}`).safeIntegers(true);
  const byId = query<[string]>('WHERE id = ?');
  const byPlace = query<[string, string]>('WHERE parent = ? AND name = ?');
  const pageFirst = query<[string, number]>('WHERE parent = ? ORDER BY name LIMIT ?');
  const pageNext = query<[string, string, number]>('WHERE parent = ? AND name > ? ORDER BY name LIMIT ?');
  const inode = query<[bigint]>('WHERE ino = ?');
  const same = query<[string, number]>('WHERE kind = 1 AND content = ? LIMIT ?');
  const anyChild = db.prepare<[string], { n: number }>(
    'SELECT 1 AS n FROM sync_local WHERE parent = ? LIMIT 1',
  );
  const mapped = db.prepare<[string], { raw: string; name: string }>(
    'SELECT raw, name FROM sync_local WHERE parent = ? AND raw IS NOT NULL',
  );
  const place = db.prepare<[string], { parent: string; name: string; raw: string | null }>(
    'SELECT parent, name, raw FROM sync_local WHERE id = ?',
  );
  const write = db.prepare(
    // A name taken by another row must fail, never replace that row.
    `INSERT INTO sync_local (id, parent, name, raw, kind, content, exec, size, mtime, ctime, birth, ino, dev, mode)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, name = excluded.name, raw = excluded.raw,
       kind = excluded.kind, content = excluded.content, exec = excluded.exec, size = excluded.size,
       mtime = excluded.mtime, ctime = excluded.ctime, birth = excluded.birth, ino = excluded.ino,
       dev = excluded.dev, mode = excluded.mode`,
  );
  const erase = db.prepare('DELETE FROM sync_local WHERE id = ?');
  const rename = db.prepare('UPDATE sync_local SET id = ? WHERE id = ?');
  const reparent = db.prepare('UPDATE sync_local SET parent = ? WHERE parent = ?');
  const moveBlocks = db.prepare('UPDATE OR REPLACE sync_blocks SET node = ? WHERE node = ?');
  const dropBlocks = db.prepare('DELETE FROM sync_blocks WHERE node = ?');
  const idsAfter = db.prepare<[string, number], { id: string }>(
    'SELECT id FROM sync_local WHERE id > ? ORDER BY id LIMIT ?',
  );
  const totals = db.prepare<[], { kind: number; n: number; bytes: number }>(
    'SELECT kind, count(*) AS n, coalesce(sum(size), 0) AS bytes FROM sync_local GROUP BY kind',
  );
  // Counting 100,000 rows takes long, so it is done once and kept up.
  let counts: { files: number; bytes: number; entries: number } | null = null;
  function counted(): { files: number; bytes: number; entries: number } {
    if (counts === null) {
      counts = { files: 0, bytes: 0, entries: 0 };
      for (const { kind, n, bytes } of totals.all()) {
        counts.entries += n;
        if (kindOf(kind) === 'dir') continue;
        counts.files += n;
        counts.bytes += bytes;
      }
    }
    return counts;
  }
  const sizes = db.prepare<[string], { kind: number; size: number }>(
    'SELECT kind, size FROM sync_local WHERE id = ?',
  );
  function tally(kind: number, size: number, sign: number): void {
    const c = counted();
    c.entries += sign;
    if (kindOf(kind) === 'dir') return;
    c.files += sign;
    c.bytes += sign * size;
  }
  const get = (id: NodeId): LocalRow | null => {
    const raw = byId.get(id);
    return raw === undefined ? null : rowOf(raw);
  };
  const page = (parent: NodeId, after: string | null, limit: number): LocalRow[] =>
    (after === null ? pageFirst.all(parent, limit) : pageNext.all(parent, after, limit)).map(rowOf);

  const bare = <P extends unknown[]>(sql: string) =>
    db.prepare<P, BareRaw>(`SELECT id, parent, name, kind, content, exec FROM sync_local ${sql}`);
  const bareById = bare<[string]>('WHERE id = ?');
  const bareByPlace = bare<[string, string]>('WHERE parent = ? AND name = ?');
  const barePage = bare<[string, string, number]>('WHERE parent = ? AND name > ? ORDER BY name LIMIT ?');
  const rows: TreeView = {
    get(id) {
      const raw = bareById.get(id);
      return raw === undefined ? null : bareOf(raw);
    },
    child(parent, name) {
      const raw = bareByPlace.get(parent, name);
      return raw === undefined ? null : bareOf(raw);
    },
    *children(parent) {
      for (let after = ''; ;) {
        const found = barePage.all(parent, after, 200);
        for (const raw of found) yield bareOf(raw);
        if (found.length < 200) return;
        after = found.at(-1)?.name ?? '';
      }
    },
  };

  return {
    rows,
    get,
    child(parent, name) {
      const raw = byPlace.get(parent, name);
      return raw === undefined ? null : rowOf(raw);
    },
    // Pages, as a statement that is being iterated would forbid writing meanwhile.
    *children(parent) {
      for (let after: string | null = null; ;) {
        const rows: LocalRow[] = page(parent, after, 200);
        yield* rows;
        if (rows.length < 200) return;
        after = rows.at(-1)?.name ?? null;
      }
    },
    page,
    byInode: (ino) => inode.all(ino).map(rowOf),
    byContent: (content, limit) => same.all(content, limit).map(rowOf),
    mapped: (parent) => new Map(mapped.all(parent).map((row) => [row.raw, row.name])),
    hasChildren: (parent) => anyChild.get(parent) !== undefined,
    set(row) {
      counted();
      const before = sizes.get(row.id);
      if (before) tally(before.kind, before.size, -1);
      const { stamp } = row;
      write.run(
        row.id,
        row.parent,
        row.name,
        row.raw,
        kindNumber(row.kind),
        row.content,
        row.exec ? 1 : 0,
        stamp.size,
        stamp.mtimeNs,
        stamp.ctimeNs,
        row.birthNs,
        stamp.ino,
        stamp.dev,
        stamp.mode,
      );
      tally(kindNumber(row.kind), stamp.size, 1);
    },
    remove(id) {
      const before = sizes.get(id);
      if (before) tally(before.kind, before.size, -1);
      erase.run(id);
      dropBlocks.run(id);
    },
    relabel(from, to) {
      rename.run(to, from);
      reparent.run(to, from);
      moveBlocks.run(to, from);
    },
    path(id) {
      const parts: string[] = [];
      for (let at = id; at !== rootNode;) {
        const row = place.get(at);
        if (row === undefined || parts.length > 10_000) return null;
        parts.push(row.raw ?? row.name);
        at = row.parent;
      }
      return parts.reverse().join('/');
    },
    count: () => ({ ...counted() }),
    ids: (after, limit) => idsAfter.all(after, limit).map((row) => row.id),
  };
}
