import { decode } from '@ipld/dag-cbor';
import type { Database } from '../../store/index.ts';
import { entryHash, entryId } from '../../history/index.ts';
import type { EntryId } from '../../history/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { byteKey, hex, sameBytes, unhex } from '../codec/bytes.ts';
import { contentFromWire } from '../codec/content.ts';
import { isName } from '../codec/names.ts';
import { opRefBytes } from '../codec/ops.ts';
import type { OpRef } from '../codec/ops.ts';
import type { Content, DriveTree, Mount, NodeHistory, NodeId, OpId, TreeNode } from '../types.ts';
import type { FolderSum } from './folder-sums.ts';
import type { ItemRow } from './items.ts';
import { kindName, rootId } from './operations.ts';
import { entryOfRef, indexOfRef, refOf } from './place.ts';
import type { TreeStore } from './store.ts';

/** Bytes of a node id, or null for what is none. */
export function nodeBytesOf(id: NodeId): Uint8Array | null {
  return /^[0-9a-f]{32}$/.test(id) ? unhex(id) : null;
}

/**
 * The operation a version id names.
 * @throws AppError `invalid_argument`
 */
export function parseOpId(id: OpId): OpRef {
  const match = /^([a-z2-7]{59})\/(0|[1-9]\d{0,7})$/.exec(id);
  const index = Number(match?.[2]);
  if (match && index < 2 ** 24) {
    try {
      const ref = new Uint8Array(opRefBytes);
      ref.set(entryHash(match[1] as string));
      ref.set([index >> 16, (index >> 8) & 255, index & 255], 32);
      return ref;
    } catch {
      // Falls through: the text has the right shape but is no hash.
    }
  }
  throw new AppError('invalid_argument', 'This is not the id of a version.', { details: { version: id } });
}

/** Writes version ids; entries come in runs, so the last texts are kept. */
export function createOpNames(): (ref: OpRef) => OpId {
  const cache = new Map<string, string>();
  return (ref) => {
    const hash = entryOfRef(ref);
    const key = byteKey(hash);
    let text = cache.get(key);
    if (text === undefined) {
      if (cache.size >= 4096) cache.clear();
      cache.set(key, (text = entryId(hash)));
    }
    return `${text}/${indexOfRef(ref)}`;
  };
}

export interface TreeReader {
  readonly tree: DriveTree;
  /** With what lies hidden in mounted folders. */
  readonly whole: DriveTree;
  history(id: NodeId): NodeHistory | null;
  content(ref: OpRef): Content | null;
  node(row: ShownRow): TreeNode;
  opName(ref: OpRef): OpId;
}

/** What a visible node needs of its item: blobs no one asks for cost more than the lookup. */
type ShownRow = Pick<ItemRow, 'id' | 'sparent' | 'name' | 'kind' | 'ver' | 'made' | 'conflict_of'>;
const shownColumns = 'id, sparent, name, kind, ver, made, conflict_of';
/** Folders whose paths are remembered between two changes of the tree. */
const maxFolders = 4096;

/** Read access to the visible tree; every call is a few indexed lookups. */
export function createTreeReader(db: Database, store: TreeStore): TreeReader {
  const byId = db.prepare<[Uint8Array], ShownRow>(
    `SELECT ${shownColumns} FROM tree_item WHERE id = ? AND name IS NOT NULL`,
  );
  const byName = db.prepare<[Uint8Array, string], ShownRow>(
    `SELECT ${shownColumns} FROM tree_item WHERE sparent = ? AND name = ?`,
  );
  const idByName = db
    .prepare<[Uint8Array, string], Uint8Array>('SELECT id FROM tree_item WHERE sparent = ? AND name = ?')
    .pluck();
  // Names in SQLite order by UTF-8 bytes; code units differ from that only beyond the basic plane.
  const page = db.prepare<[Uint8Array, string, number], ShownRow>(
    `SELECT ${shownColumns} FROM tree_item WHERE sparent = ? AND name > ? ORDER BY name LIMIT ?`,
  );
  const listed = db.prepare<[Uint8Array, string, number], Pick<ItemRow, 'id' | 'name' | 'kind' | 'size'>>(
    'SELECT id, name, kind, size FROM tree_item WHERE sparent = ? AND name > ? ORDER BY name LIMIT ?',
  );
  const contentOf = db.prepare<[Uint8Array], { content: Uint8Array }>(
    'SELECT content FROM tree_content WHERE op = ?',
  );
  const changed = db.prepare<[number, number, number, number], { id: Uint8Array; rev: number }>(
    `SELECT id, rev FROM (SELECT id, rev FROM tree_item WHERE rev > ? ORDER BY rev LIMIT ?)
     UNION ALL SELECT id, rev FROM (SELECT id, rev FROM tree_gone WHERE rev > ? ORDER BY rev LIMIT ?) ORDER BY rev`,
  );
  const opName = createOpNames();

  function content(ref: OpRef): Content | null {
    const row = contentOf.get(ref);
    return row ? contentFromWire(decode(row.content)) : null;
  }

  function mountOf({ id, kind, ver, made }: ShownRow): EntryId | null {
    if (kind !== 0 || sameBytes(ver, made)) return null;
    const mount = store.operations.mount(id);
    return mount && entryId(mount.drive);
  }

  function node(row: ShownRow): TreeNode {
    const ref = refOf(row.ver);
    let loaded: Content | null | undefined;
    return {
      id: hex(row.id),
      parent: hex(row.sparent),
      name: row.name as string,
      kind: kindName[row.kind] ?? 'file',
      // A manifest may have thousands of blocks; listings rarely want it.
      get content(): Content | null {
        if (loaded === undefined) loaded = row.kind === 0 ? null : content(ref);
        return loaded;
      },
      version: opName(ref),
      conflictOf: row.conflict_of && hex(row.conflict_of),
      mount: mountOf(row),
    };
  }

  const rootRow: TreeNode = {
    id: hex(rootId),
    parent: hex(rootId),
    name: '',
    kind: 'dir',
    content: null,
    version: '',
    conflictOf: null,
    mount: null,
  };

  function child(parent: Uint8Array, name: string): ShownRow | null {
    return byName.get(parent, name) ?? null;
  }

  function get(id: Uint8Array): ShownRow | null {
    return byId.get(id) ?? null;
  }

  const folders = new Map<string, Uint8Array>();
  let foldersRevision = -1;

  /** The id behind the path of a folder (paths come in runs from one folder); null when there is none. */
  function idAt(path: string): Uint8Array | null {
    if (path === '') return rootId;
    if (foldersRevision !== store.revision() || folders.size >= maxFolders) {
      folders.clear();
      foldersRevision = store.revision();
    }
    let id = folders.get(path) ?? null;
    if (id) return id;
    id = rootId;
    for (const name of path.split('/')) {
      id = isName(name) ? (idByName.get(id, name) ?? null) : null;
      if (!id) return null;
    }
    folders.set(path, id);
    return id;
  }

  /** Whether what lies in a folder is hidden, as it or one above it is the place of another drive. Good for one revision. */
  const hides = new Map<string, boolean>();
  let hidesRevision = -1;

  function hidden(folder: Uint8Array): boolean {
    if (store.operations.mountNodes().length === 0 || sameBytes(folder, rootId)) return false;
    if (hidesRevision !== store.revision() || hides.size >= maxFolders) {
      hides.clear();
      hidesRevision = store.revision();
    }
    const key = byteKey(folder);
    let answer = hides.get(key);
    if (answer === undefined) {
      const row = get(folder);
      answer = row !== null && (mountOf(row) !== null || hidden(row.sparent));
      hides.set(key, answer);
    }
    return answer;
  }

  const isMounted = (id: Uint8Array): boolean => {
    const row = store.operations.mountNodes().length === 0 ? null : get(id);
    return row !== null && mountOf(row) !== null;
  };
  const sumOf = (id: Uint8Array): FolderSum =>
    hidden(id) ? { files: 0, bytes: 0 } : store.sums.within(id, isMounted);

  function mounts(seen: (folder: Uint8Array) => boolean): readonly Mount[] {
    return store.operations.mountNodes().flatMap((id) => {
      const row = get(id);
      const drive = row && seen(row.sparent) ? mountOf(row) : null;
      return drive === null ? [] : [{ node: hex(id), drive }];
    });
  }

  const whole: DriveTree = {
    get(id) {
      const bytes = nodeBytesOf(id);
      if (!bytes) return null;
      if (sameBytes(bytes, rootId)) return rootRow;
      const row = get(bytes);
      return row && node(row);
    },
    child(parent, name) {
      const bytes = nodeBytesOf(parent);
      const row = bytes && child(bytes, name);
      return row && node(row);
    },
    children(parent, options = {}) {
      const bytes = nodeBytesOf(parent);
      if (!bytes) return [];
      return page.all(bytes, options.after ?? '', options.limit ?? -1).map(node);
    },
    listing(parent, options = {}) {
      const bytes = nodeBytesOf(parent);
      if (!bytes) return [];
      const rows = listed.all(bytes, options.after ?? '', options.limit ?? -1);
      return rows.map(({ id, name, kind, size }) => ({
        name: name as string,
        kind: kindName[kind] ?? 'file',
        size: kind === 0 ? sumOf(id).bytes : size,
      }));
    },
    within(id) {
      const bytes = nodeBytesOf(id);
      return bytes ? sumOf(bytes) : { files: 0, bytes: 0 };
    },
    resolve(path) {
      if (path === '') return rootRow;
      const cut = path.lastIndexOf('/');
      if (cut === 0) return null;
      const name = path.slice(cut + 1);
      const parent = isName(name) ? idAt(path.slice(0, Math.max(0, cut))) : null;
      const row = parent && child(parent, name);
      return row && node(row);
    },
    path(id) {
      let bytes = nodeBytesOf(id);
      const names: string[] = [];
      while (bytes && !sameBytes(bytes, rootId)) {
        const row = get(bytes);
        if (!row) return null;
        names.push(row.name as string);
        bytes = row.sparent;
      }
      return bytes && names.reverse().join('/');
    },
    past(id, limit) {
      const bytes = nodeBytesOf(id);
      const places = bytes && store.operations.locations(bytes).filter((row) => row.skipped === 0);
      const made = places?.find((row) => row.t !== 1);
      const at = places?.at(-1);
      if (!bytes || !made || !at || get(bytes)) return [];
      const sparent = store.items.get(at.parent)?.alias ?? at.parent;
      const last = {
        id: bytes,
        sparent,
        name: at.name,
        kind: made.kind ?? 0,
        made: made.ord,
        conflict_of: null,
      };
      if (last.kind === 0) return [node({ ...last, ver: made.ord })];
      const puts = store.operations.contents(bytes).slice(-limit).reverse();
      return puts.map(({ ord }) => node({ ...last, ver: ord }));
    },
    revision: () => store.revision(),
    changedSince(revision, limit) {
      if (revision < store.firstRevision() || revision > store.revision()) return null;
      const rows = changed.all(revision, limit, revision, limit).slice(0, limit);
      return {
        ids: rows.map((row) => hex(row.id)),
        revision: rows.length === limit ? (rows.at(-1)?.rev ?? revision) : store.revision(),
      };
    },
    count: () => store.counts(),
    mounts: () => mounts(() => true),
  };

  const tree: DriveTree = {
    ...whole,
    get(id) {
      const bytes = nodeBytesOf(id);
      if (!bytes) return null;
      if (sameBytes(bytes, rootId)) return rootRow;
      const row = get(bytes);
      return row && !hidden(row.sparent) ? node(row) : null;
    },
    child(parent, name) {
      const bytes = nodeBytesOf(parent);
      return bytes && !hidden(bytes) ? whole.child(parent, name) : null;
    },
    children(parent, options) {
      const bytes = nodeBytesOf(parent);
      return bytes && !hidden(bytes) ? whole.children(parent, options) : [];
    },
    listing(parent, options) {
      const bytes = nodeBytesOf(parent);
      return bytes && !hidden(bytes) ? whole.listing(parent, options) : [];
    },
    resolve(path) {
      const found = whole.resolve(path);
      return found && tree.get(found.id);
    },
    path(id) {
      return tree.get(id) === null ? null : whole.path(id);
    },
    mounts: () => mounts((folder) => !hidden(folder)),
  };

  function history(id: NodeId): NodeHistory | null {
    const bytes = nodeBytesOf(id);
    if (!bytes) return null;
    const made = store.operations.locations(bytes).find((row) => row.t !== 1 && row.skipped === 0);
    const contents = store.operations.contents(bytes);
    if (!made && contents.length === 0) return null;
    return {
      made: made ? { parent: hex(made.parent), name: made.name } : null,
      contents: contents.map(({ ord }) => ({
        version: opName(refOf(ord)),
        parents: store.operations.replacedBy(bytes, ord).map((ref) => opName(ref)),
      })),
    };
  }
  return { tree, whole, content, node, opName, history };
}
