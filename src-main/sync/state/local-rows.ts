import { rootNode, type FileStamp, type NodeId, type NodeKind } from '../../drive/index.ts';
import type { Database } from '../../store/index.ts';
import type { Held, SyncRow, TreeView } from '../types.ts';

const kinds: readonly NodeKind[] = ['dir', 'file', 'link'];
const helds: readonly Held[] = ['here', 'online', 'wanted', 'freeing'];

/** Of something that is not on the disk. */
export function noStamp(size: number): FileStamp {
  return { size, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, dev: 0n, mode: 0 };
}

/** How much a folder holds; what is held online only is counted in, and by itself. */
export interface LocalCount {
  readonly files: number;
  readonly bytes: number;
  readonly entries: number;
  readonly onlineFiles: number;
  readonly onlineBytes: number;
}

/** What the last scan saw of one file, folder or link; or what stands for one that is not on the disk. */
export interface LocalRow extends SyncRow {
  readonly held: Held;
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
  /** Only of what is on the disk. */
  byInode(ino: bigint): readonly LocalRow[];
  /** Files on the disk with this content. */
  byContent(content: string, limit: number): readonly LocalRow[];
  /** A placeholder stands for this content. */
  isOnline(content: string): boolean;
  /** From `freeing` to `online` or `here`, from `online` to `wanted` and back. Placeholders forget what the disk said. */
  setHeld(id: NodeId, held: Held): void;
  /** Rows that are held so, in order after `after`. */
  heldIds(held: Held, after: string, limit: number): readonly NodeId[];
  hasChildren(parent: NodeId): boolean;
  /** Rows of a folder whose name on disk is not the drive's: name on disk to name in the drive. */
  mapped(parent: NodeId): ReadonlyMap<string, string>;
  set(row: LocalRow): void;
  remove(id: NodeId): void;
  relabel(from: NodeId, to: NodeId): void;
  /** Relative path with the names on disk, `/` between; null when the row or a parent of it is missing. */
  path(id: NodeId): string | null;
  count(): LocalCount;
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
  held: bigint;
}

interface BareRaw {
  id: string;
  parent: string;
  name: string;
  kind: number;
  content: string;
  exec: number;
  held: number;
}

function bareOf({ id, parent, name, kind, content, exec, held }: BareRaw): SyncRow {
  const row = { id, parent, name, kind: kindOf(kind), content, exec: exec === 1, version: '' };
  return held === 0 ? row : { ...row, held: heldOf(held) };
}

function heldOf(n: number): Held {
  return helds[n] ?? 'online';
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
    held: heldOf(Number(raw.held)),
  };
}

const maxDirPaths = 1000;

const join = (dir: string, name: string): string => (dir === '' ? name : `${dir}/${name}`);

export function createLocalRows(db: Database): LocalRows {
  const query = <P extends unknown[]>(sql: string) =>
    db.prepare<P, Raw>(`SELECT * FROM sync_local ${sql}`).safeIntegers(true);
  const byId = query<[string]>('WHERE id = ?');
  const byPlace = query<[string, string]>('WHERE parent = ? AND name = ?');
  const pageFirst = query<[string, number]>('WHERE parent = ? ORDER BY name LIMIT ?');
  const pageNext = query<[string, string, number]>('WHERE parent = ? AND name > ? ORDER BY name LIMIT ?');
  const inode = query<[bigint]>('WHERE ino = ? AND held = 0');
  const same = query<[string, number]>('WHERE kind = 1 AND content = ? AND held = 0 LIMIT ?');
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
    `INSERT INTO sync_local (id, parent, name, raw, kind, content, exec, size, mtime, ctime, birth, ino, dev, mode, held)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, name = excluded.name, raw = excluded.raw,
       kind = excluded.kind, content = excluded.content, exec = excluded.exec, size = excluded.size,
       mtime = excluded.mtime, ctime = excluded.ctime, birth = excluded.birth, ino = excluded.ino,
       dev = excluded.dev, mode = excluded.mode, held = excluded.held`,
  );
  const erase = db.prepare('DELETE FROM sync_local WHERE id = ?');
  const rename = db.prepare('UPDATE sync_local SET id = ? WHERE id = ?');
  const reparent = db.prepare('UPDATE sync_local SET parent = ? WHERE parent = ?');
  const moveBlocks = db.prepare('UPDATE OR REPLACE sync_blocks SET node = ? WHERE node = ?');
  const dropBlocks = db.prepare('DELETE FROM sync_blocks WHERE node = ?');
  const idsAfter = db.prepare<[string, number], { id: string }>(
    'SELECT id FROM sync_local WHERE id > ? ORDER BY id LIMIT ?',
  );
  const totals = db.prepare<[], { kind: number; online: number; n: number; bytes: number }>(
    `SELECT kind, held > 0 AS online, count(*) AS n, coalesce(sum(size), 0) AS bytes FROM sync_local
     GROUP BY kind, online`,
  );
  // Counting 100,000 rows takes long, so it is done once and kept up.
  let counts: { -readonly [K in keyof LocalCount]: number } | null = null;
  function counted(): { -readonly [K in keyof LocalCount]: number } {
    if (counts === null) {
      counts = { files: 0, bytes: 0, entries: 0, onlineFiles: 0, onlineBytes: 0 };
      for (const { kind, online, n, bytes } of totals.all()) tally(kind, online, bytes, n, 1);
    }
    return counts;
  }
  const sizes = db.prepare<[string], { kind: number; size: number; held: number }>(
    'SELECT kind, size, held FROM sync_local WHERE id = ?',
  );
  function tally(kind: number, held: number, bytes: number, n: number, sign: number): void {
    const c = counted();
    c.entries += sign * n;
    if (kindOf(kind) === 'dir') return;
    c.files += sign * n;
    c.bytes += sign * bytes;
    if (held === 0) return;
    c.onlineFiles += sign * n;
    c.onlineBytes += sign * bytes;
  }
  const online = db.prepare<[string], unknown>(
    'SELECT 1 FROM sync_local WHERE kind = 1 AND content = ? AND held > 0 LIMIT 1',
  );
  const hold = db.prepare('UPDATE sync_local SET held = ? WHERE id = ?');
  const forget = db.prepare(
    'UPDATE sync_local SET mtime = 0, ctime = 0, birth = 0, ino = 0, dev = 0, mode = 0 WHERE id = ?',
  );
  const held = db.prepare<[number, string, number], { id: string }>(
    'SELECT id FROM sync_local WHERE held = ? AND held > 0 AND id > ? ORDER BY id LIMIT ?',
  );
  const get = (id: NodeId): LocalRow | null => {
    const raw = byId.get(id);
    return raw === undefined ? null : rowOf(raw);
  };
  const page = (parent: NodeId, after: string | null, limit: number): LocalRow[] =>
    (after === null ? pageFirst.all(parent, limit) : pageNext.all(parent, after, limit)).map(rowOf);

  /** Files are asked for by the thousand in few folders. Good until the row of a folder changes. */
  const dirPaths = new Map<NodeId, string>();

  function dirPath(id: NodeId): string | null {
    const parts: string[] = [];
    let above = '';
    for (let at = id; at !== rootNode;) {
      const known = dirPaths.get(at);
      if (known !== undefined) {
        above = known;
        break;
      }
      const row = place.get(at);
      if (row === undefined || parts.length > 10_000) return null;
      parts.push(row.raw ?? row.name);
      at = row.parent;
    }
    const path = parts.reduceRight(join, above);
    // What a transaction says may be rolled back.
    if (parts.length > 0 && !db.inTransaction) {
      if (dirPaths.size >= maxDirPaths) dirPaths.clear();
      dirPaths.set(id, path);
    }
    return path;
  }

  const bare = <P extends unknown[]>(sql: string) =>
    db.prepare<P, BareRaw>(`SELECT id, parent, name, kind, content, exec, held FROM sync_local ${sql}`);
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
      if (before) tally(before.kind, before.held, before.size, 1, -1);
      if (row.kind === 'dir' || before?.kind === kindNumber('dir')) dirPaths.clear();
      const { stamp } = row;
      const heldNow = helds.indexOf(row.held);
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
        heldNow,
      );
      tally(kindNumber(row.kind), heldNow, stamp.size, 1, 1);
    },
    isOnline: (content) => online.get(content) !== undefined,
    setHeld(id, next) {
      counted();
      const before = sizes.get(id);
      if (before === undefined) return;
      const now = helds.indexOf(next);
      tally(before.kind, before.held, before.size, 1, -1);
      hold.run(now, id);
      if (next === 'online' || next === 'wanted') {
        forget.run(id);
        dropBlocks.run(id);
      }
      tally(before.kind, now, before.size, 1, 1);
    },
    heldIds: (one, after, limit) => held.all(helds.indexOf(one), after, limit).map((row) => row.id),
    remove(id) {
      counted();
      const before = sizes.get(id);
      if (before) tally(before.kind, before.held, before.size, 1, -1);
      if (before?.kind === kindNumber('dir')) dirPaths.clear();
      erase.run(id);
      dropBlocks.run(id);
    },
    relabel(from, to) {
      dirPaths.clear();
      rename.run(to, from);
      reparent.run(to, from);
      moveBlocks.run(to, from);
    },
    path(id) {
      if (id === rootNode) return '';
      const row = place.get(id);
      const dir = row === undefined ? null : dirPath(row.parent);
      return row === undefined || dir === null ? null : join(dir, row.raw ?? row.name);
    },
    count: () => ({ ...counted() }),
    ids: (after, limit) => idsAfter.all(after, limit).map((row) => row.id),
  };
}
