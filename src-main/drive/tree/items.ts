import type { Database } from '../../store/index.ts';
import { byteKey, sameBytes } from '../codec/bytes.ts';
import { coverKey, rootId } from './operations.ts';
import type { Operations, PutRow } from './operations.ts';
import { conflictNode, refOf } from './place.ts';

/** A candidate for the visible tree: a living node, or one losing head of it (`derived`). Visible when `name` is set. */
export interface ItemRow {
  readonly id: Uint8Array;
  readonly node: Uint8Array;
  /** As the location says. */
  readonly parent: Uint8Array;
  readonly want: string;
  readonly kind: number;
  readonly ckey: Uint8Array | null;
  readonly size: number;
  /** Place of the operation that made it. */
  readonly made: Uint8Array;
  /** Place of the operation whose content is shown (of a folder: that made it, or mounted another drive there). */
  readonly ver: Uint8Array;
  readonly derived: number;
  /** The folder it shows under: merged folders are one. */
  readonly sparent: Uint8Array;
  /** The node it is merged into. */
  readonly alias: Uint8Array | null;
  readonly name: string | null;
  /** The conflict name it asks for when it can't have `want`. */
  readonly claim: string | null;
  readonly conflict_of: Uint8Array | null;
  readonly rev: number;
}

/** What `refresh` needs of the rest: it is told of every item before it changes, and which names to settle. */
export interface ItemChanges {
  touch(id: Uint8Array): void;
  /** Names under `parent` to give out anew. */
  group(parent: Uint8Array, want: string): void;
  /** A node to look at again. */
  node(id: Uint8Array): void;
  nextRevision(): number;
}

export type Items = ReturnType<typeof createItems>;

type Wanted = Pick<
  ItemRow,
  'id' | 'node' | 'parent' | 'want' | 'kind' | 'ckey' | 'size' | 'made' | 'ver' | 'derived'
>;

/** Keeps `tree_item` what the operations say: one row per living node and one per further head. */
export function createItems(db: Database, operations: Operations, changes: ItemChanges) {
  const byId = db.prepare<[Uint8Array], ItemRow>('SELECT * FROM tree_item WHERE id = ?');
  const derivedOf = db.prepare<[Uint8Array], ItemRow>(
    'SELECT * FROM tree_item WHERE node = ? AND derived = 1',
  );
  // Children that show in the folder itself are found by name (those without one by what they want), the others apart.
  const children = (columns: string): string =>
    `SELECT ${columns} FROM tree_item WHERE sparent = :id AND name IS NOT NULL AND parent = :id
     UNION ALL SELECT ${columns} FROM tree_item WHERE sparent = :id AND (name IS NULL OR name <> want) AND name IS NULL AND parent = :id
     UNION ALL SELECT ${columns} FROM tree_item WHERE parent = :id AND parent <> sparent`;
  const anyChild = db.prepare<{ id: Uint8Array }, unknown>(`${children('1')} LIMIT 1`);
  const childrenOf = db.prepare<
    { id: Uint8Array },
    { id: Uint8Array; sparent: Uint8Array; parent: Uint8Array; want: string }
  >(children('id, sparent, parent, want'));
  const insert = db.prepare(
    'INSERT INTO tree_item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, ?)',
  );
  const update = db.prepare(
    `UPDATE tree_item SET node = ?, parent = ?, want = ?, kind = ?, ckey = ?, size = ?, made = ?, ver = ?, derived = ?,
     sparent = ?, name = CASE WHEN ? THEN NULL ELSE name END WHERE id = ?`,
  );
  const remove = db.prepare('DELETE FROM tree_item WHERE id = ?');
  const setParent = db.prepare('UPDATE tree_item SET sparent = ?, name = NULL WHERE id = ?');

  /** What should stand in `tree_item` for a node. */
  function wanted(node: Uint8Array): Wanted[] {
    const locations = operations.locations(node).filter((row) => row.skipped === 0);
    const made = locations.find((row) => row.t !== 1);
    const at = locations.at(-1);
    if (!made || !at) return [];
    const base = { node, parent: at.parent, want: at.name, made: made.ord };
    const coverage = operations.coverage(node);
    const placeCovered = coverage.has(coverKey(at));
    if (made.kind === 0) {
      // Deleting a folder says nothing of the drive that has its place there: only the end of the mount does.
      const mount = operations.mount(node);
      if (placeCovered && !mount && !anyChild.get({ id: node })) return [];
      return [{ ...base, id: node, kind: 0, ckey: null, size: 0, ver: mount?.ord ?? made.ord, derived: 0 }];
    }
    const heads = operations.heads(node);
    const open = heads.filter((head) => !head.covered);
    // A move nobody's delete has seen keeps the node, with the content that was deleted.
    const shown = open.length > 0 ? open : placeCovered ? [] : heads.slice(-1);
    return distinct(shown.map((head) => head.put)).map((put, i) => ({
      ...base,
      id: i === 0 ? node : conflictNode(node, refOf(put.id)),
      kind: put.ckey[0] as number,
      ckey: put.ckey,
      size: put.size,
      ver: i === 0 ? put.last : put.id,
      derived: i === 0 ? 0 : 1,
    }));
  }

  /** The folder an item shows under. */
  function shownParent(parent: Uint8Array): Uint8Array {
    if (sameBytes(parent, rootId)) return rootId;
    const folder = byId.get(parent);
    if (folder) return folder.kind === 0 ? (folder.alias ?? folder.id) : rootId;
    const made = operations.locations(parent).find((row) => row.t !== 1 && row.skipped === 0);
    // What lies in a folder that was never made (its maker is cut off) shows at the top rather than nowhere.
    return made?.kind === 0 ? parent : rootId;
  }

  function put(want: Wanted, old: ItemRow | undefined): void {
    const sparent = shownParent(want.parent);
    if (old && unchanged(old, want, sparent)) return;
    changes.touch(want.id);
    const { id, node, parent, kind, ckey, size, made, ver, derived } = want;
    if (!old) {
      insert.run(
        id,
        node,
        parent,
        want.want,
        kind,
        ckey,
        size,
        made,
        ver,
        derived,
        sparent,
        changes.nextRevision(),
      );
    } else {
      const leaves = !sameBytes(old.sparent, sparent) || old.want !== want.want;
      update.run(node, parent, want.want, kind, ckey, size, made, ver, derived, sparent, leaves ? 1 : 0, id);
      if (leaves) changes.group(old.sparent, old.want);
      if (!sameBytes(old.parent, parent)) changes.node(old.parent);
    }
    changes.group(sparent, want.want);
    if (!old || !sameBytes(old.parent, parent)) changes.node(parent);
    if ((want.kind === 0) !== (old?.kind === 0)) reparent(id);
  }

  function drop(old: ItemRow): void {
    changes.touch(old.id);
    remove.run(old.id);
    changes.group(old.sparent, old.want);
    changes.node(old.parent);
    if (old.kind === 0) reparent(old.id);
  }

  /** Moves the children of a folder to where it shows now. */
  function reparent(folder: Uint8Array): void {
    const rows = childrenOf.all({ id: folder });
    if (rows.length === 0) return;
    const target = shownParent(folder);
    for (const child of rows) {
      if (sameBytes(child.sparent, target)) continue;
      changes.touch(child.id);
      setParent.run(target, child.id);
      changes.group(child.sparent, child.want);
      changes.group(target, child.want);
    }
  }

  return {
    get: (id: Uint8Array): ItemRow | null => byId.get(id) ?? null,
    reparent,
    /** Brings the rows of one node up to date. */
    refresh(node: Uint8Array): void {
      if (sameBytes(node, rootId)) return;
      const want = wanted(node);
      const old = new Map(derivedOf.all(node).map((row) => [byteKey(row.id), row]));
      const own = byId.get(node);
      // A conflict copy that was adopted stands under its own id already, as a derived row of its original.
      if (own && (own.derived === 0 || want.length > 0)) old.set(byteKey(node), own);
      const keep = new Set(want.map((item) => byteKey(item.id)));
      for (const [key, row] of old) if (!keep.has(key)) drop(row);
      for (const item of want) put(item, old.get(byteKey(item.id)) ?? byId.get(item.id));
    },
  };
}

/** Heads with the same content are one: `id` names the group by its first, `last` is the one shown. Winner first. */
function distinct(puts: readonly PutRow[]): {
  readonly id: Uint8Array;
  readonly last: Uint8Array;
  readonly ckey: Uint8Array;
  readonly size: number;
}[] {
  const groups = new Map<string, { id: Uint8Array; last: Uint8Array; ckey: Uint8Array; size: number }>();
  for (const put of puts) {
    const key = byteKey(put.ckey);
    const group = groups.get(key);
    if (group) group.last = put.ord;
    else groups.set(key, { id: put.ord, last: put.ord, ckey: put.ckey, size: put.size });
  }
  return [...groups.values()].sort((a, b) => Buffer.compare(b.last, a.last));
}

function unchanged(old: ItemRow, want: Wanted, sparent: Uint8Array): boolean {
  return (
    old.want === want.want &&
    old.kind === want.kind &&
    old.derived === want.derived &&
    sameBytes(old.node, want.node) &&
    sameBytes(old.parent, want.parent) &&
    sameBytes(old.sparent, sparent) &&
    sameBytes(old.made, want.made) &&
    sameBytes(old.ver, want.ver) &&
    (old.ckey === null ? want.ckey === null : want.ckey !== null && sameBytes(old.ckey, want.ckey))
  );
}
