import type { Database } from '../../store/index.ts';
import { byteKey, compareBytes, sameBytes } from '../codec/bytes.ts';
import { contentBytes, contentKey } from '../codec/content.ts';
import type { WireOp } from '../codec/ops.ts';
import type { Content, NodeKind } from '../types.ts';
import { conflictNode, entryPlaceBytes, ordOf, refOf } from './place.ts';

export const rootId = new Uint8Array(16);
export const kindNumber: Record<NodeKind, number> = { dir: 0, file: 1, link: 2 };
export const kindName: readonly NodeKind[] = ['dir', 'file', 'link'];
const empty = new Uint8Array(0);
const locKind = { make: 0, move: 1, adopt: 2 } as const;

export interface LocRow {
  readonly node: Uint8Array;
  readonly ord: Uint8Array;
  /** 0 make, 1 move, 2 adopt. */
  readonly t: number;
  readonly kind: number | null;
  readonly parent: Uint8Array;
  readonly name: string;
  /** 1: has no effect (would make a cycle, or makes what is made already). */
  readonly skipped: number;
}
export interface PutRow {
  readonly ord: Uint8Array;
  readonly ckey: Uint8Array;
  readonly size: number;
}
export interface MountRow {
  readonly ord: Uint8Array;
  /** Hash of the other drive's genesis entry; null: the folder is an ordinary one again. */
  readonly drive: Uint8Array | null;
}
export interface IndexedOp {
  readonly index: number;
  readonly op: WireOp;
}

type Make = Extract<WireOp, { t: 'make' }>;
/** A node nothing was known of, made at `ord`. */
export interface Fresh {
  readonly op: Make;
  readonly ord: Uint8Array;
}

type Placed = Pick<LocRow, 'node' | 'ord' | 'parent' | 't'>;

export type Operations = ReturnType<typeof createOperations>;

/**
 * The sets of operations in SQLite, and which location operations have effect. A location operation is skipped when, at its
 * place in the order, it would put a node below itself (Kleppmann, Mulligan, Gomes, Beresford 2021, "A highly-available move
 * operation for replicated trees"). The paper undoes and redoes later operations; here every operation keeps its row, a
 * lookup can see the tree as of any place, and a late one only re-judges the later ones it can matter to.
 */
export function createOperations(db: Database) {
  const insertLoc = db.prepare('INSERT OR IGNORE INTO tree_loc VALUES (?, ?, ?, ?, ?, ?, 0)');
  const deleteLoc = db.prepare('DELETE FROM tree_loc WHERE node = ? AND ord = ?');
  const setSkipped = db.prepare('UPDATE tree_loc SET skipped = ? WHERE node = ? AND ord = ?');
  const locsOf = db.prepare<[Uint8Array], LocRow>('SELECT * FROM tree_loc WHERE node = ?');
  const otherOf = db.prepare<[Uint8Array, Uint8Array], unknown>(
    'SELECT 1 FROM tree_loc WHERE node = ? AND ord <> ? LIMIT 1',
  );
  const asOf = db.prepare<[Uint8Array, Uint8Array], { parent: Uint8Array }>(
    'SELECT parent FROM tree_loc WHERE node = ? AND ord < ? AND skipped = 0 ORDER BY ord DESC LIMIT 1',
  );
  const referenced = db.prepare<[Uint8Array], { ord: Uint8Array }>(
    'SELECT 1 FROM tree_loc WHERE parent = ? LIMIT 1',
  );
  const referencedByOther = db.prepare<[Uint8Array, Uint8Array], unknown>(
    `SELECT 1 FROM tree_loc WHERE parent = ? AND substr(ord, 1, ${entryPlaceBytes}) <> ? LIMIT 1`,
  );
  const later = db.prepare<[Uint8Array], LocRow>(
    `SELECT * FROM tree_loc l WHERE ord > ? AND EXISTS (SELECT 1 FROM tree_loc c WHERE c.parent = l.node) ORDER BY ord`,
  );
  const lastOrd = db.prepare<[], { ord: Uint8Array }>('SELECT ord FROM tree_loc ORDER BY ord DESC LIMIT 1');
  const insertPut = db.prepare('INSERT OR IGNORE INTO tree_put VALUES (?, ?, ?, ?, ?, ?)');
  const deletePut = db.prepare('DELETE FROM tree_put WHERE node = ? AND ord = ? AND by = ?');
  const putsOf = db.prepare<[Uint8Array], PutRow>('SELECT ord, ckey, size FROM tree_puts WHERE node = ?');
  const insertSup = db.prepare('INSERT OR IGNORE INTO tree_sup VALUES (?, ?, ?, ?)');
  const deleteSup = db.prepare('DELETE FROM tree_sup WHERE node = ? AND op = ? AND by = ?');
  const anything = db.prepare<Uint8Array[], { known: number | null }>(`
    SELECT coalesce((SELECT 1 FROM tree_loc WHERE node = ? LIMIT 1), (SELECT 1 FROM tree_loc WHERE parent = ? LIMIT 1),
      (SELECT 1 FROM tree_put WHERE node = ? LIMIT 1), (SELECT 1 FROM tree_sup WHERE node = ? LIMIT 1),
      (SELECT 1 FROM tree_cov WHERE node = ? LIMIT 1), (SELECT 1 FROM tree_item WHERE id = ?),
      (SELECT 1 FROM tree_gone WHERE id = ?), (SELECT 1 FROM tree_mount WHERE node = ? LIMIT 1)) known`);
  const supsOf = db.prepare<[Uint8Array], { op: Uint8Array }>('SELECT op FROM tree_sup WHERE node = ?');
  const insertCov = db.prepare('INSERT OR IGNORE INTO tree_cov VALUES (?, ?, ?)');
  const deleteCov = db.prepare('DELETE FROM tree_cov WHERE node = ? AND op = ? AND by = ?');
  const covsOf = db.prepare<[Uint8Array], { op: Uint8Array }>('SELECT op FROM tree_cov WHERE node = ?');
  const insertDel = db.prepare('INSERT OR IGNORE INTO tree_del VALUES (?, ?)');
  const deleteDel = db.prepare('DELETE FROM tree_del WHERE node = ? AND ord = ?');
  const insertContent = db.prepare('INSERT OR REPLACE INTO tree_content VALUES (?, ?, ?, ?, ?, ?)');
  const deleteContent = db.prepare('DELETE FROM tree_content WHERE op = ?');
  const contentRow = db.prepare<
    [Uint8Array],
    { ord: Uint8Array; ckey: Uint8Array; size: number; node: Uint8Array }
  >('SELECT ord, ckey, size, node FROM tree_content WHERE op = ?');
  const insertAdopt = db.prepare('INSERT OR IGNORE INTO tree_adopt VALUES (?, ?, ?)');
  const deleteAdopt = db.prepare('DELETE FROM tree_adopt WHERE op = ? AND ord = ? AND id = ?');
  const adoptsOf = db.prepare<[Uint8Array], { ord: Uint8Array; id: Uint8Array }>(
    'SELECT ord, id FROM tree_adopt WHERE op = ?',
  );

  const insertMount = db.prepare('INSERT OR IGNORE INTO tree_mount VALUES (?, ?, ?)');
  const deleteMount = db.prepare('DELETE FROM tree_mount WHERE node = ? AND ord = ?');
  const mountsOf = db.prepare<[Uint8Array], MountRow>(
    'SELECT ord, drive FROM tree_mount WHERE node = ? ORDER BY ord',
  );
  const mountNodes = db.prepare<[], { node: Uint8Array }>('SELECT DISTINCT node FROM tree_mount');
  const replacedBy = db.prepare<[Uint8Array, Uint8Array], { op: Uint8Array }>(
    'SELECT op FROM tree_sup WHERE node = ? AND by = ?',
  );
  let mounted: readonly Uint8Array[] | null = null;
  const mountedNodes = (): readonly Uint8Array[] => (mounted ??= mountNodes.all().map((row) => row.node));

  /** Sorting the few rows of a node here is ten times faster than a sorter in SQLite. */
  function locsInOrder(node: Uint8Array): LocRow[] {
    const rows = locsOf.all(node);
    return rows.length < 2 ? rows : rows.sort((a, b) => compareBytes(a.ord, b.ord));
  }

  /** Highest place of any location operation; everything above it can be appended without looking back. */
  let top: Uint8Array = lastOrd.get()?.ord ?? empty;

  let anyAdoption = db.prepare('SELECT 1 FROM tree_adopt LIMIT 1').get() !== undefined;

  /** Has a location operation effect at its place? `earlier`: the node's own operations before it, judged already. */
  function judge(row: LocRow, earlier: readonly LocRow[]): boolean {
    if (sameBytes(row.node, rootId) || sameBytes(row.node, row.parent)) return false;
    if (row.t !== locKind.move && earlier.some((other) => other.t !== locKind.move && other.skipped === 0))
      return false;
    if (!referenced.get(row.node)) return true;
    // Effective operations before this place make no cycle, so this ends at the root or at an unmade node.
    let at: Uint8Array | undefined = row.parent;
    while (at !== undefined && !sameBytes(at, rootId)) {
      if (sameBytes(at, row.node)) return false;
      at = asOf.get(at, row.ord)?.parent;
    }
    return true;
  }

  function rejudge(row: LocRow): boolean {
    const earlier = locsInOrder(row.node).filter((other) => compareBytes(other.ord, row.ord) < 0);
    const skipped = judge(row, earlier) ? 0 : 1;
    if (skipped === row.skipped) return false;
    setSkipped.run(skipped, row.node, row.ord);
    return true;
  }

  function putContent(
    op: { t: 'make' | 'put'; node: Uint8Array; content: Content },
    ord: Uint8Array,
    undo: boolean,
    dirty: Dirty,
  ): void {
    const ref = refOf(ord);
    if (undo) {
      if (op.t === 'put') deletePut.run(op.node, ord, empty);
      deleteContent.run(ref);
    } else {
      const key = contentKey(op.content);
      const size = op.content.kind === 'file' ? op.content.size : 0;
      if (op.t === 'put') insertPut.run(op.node, ord, key, size, 0, empty);
      insertContent.run(ref, op.node, ord, key, size, contentBytes(op.content));
    }
    // Only when an adoption came before what it adopts (a late key, or an end to a quarantine).
    if (!anyAdoption) return;
    for (const adopt of adoptsOf.all(ref)) {
      if (undo) deletePut.run(adopt.id, ord, adopt.ord);
      else linkAdopted(adopt.id, ref, adopt.ord);
      dirty.add(adopt.id);
    }
  }

  function linkAdopted(id: Uint8Array, ref: Uint8Array, by: Uint8Array): void {
    const content = contentRow.get(ref);
    if (content) insertPut.run(id, content.ord, content.ckey, content.size, 1, by);
  }

  /**
   * Adds the operations of one entry to the sets, or takes them out again.
   * @param place `entryPlace` of the entry
   * @param dirty gets every node whose state may differ now
   * @returns nodes made here of which nothing was known before; they are not in `dirty` unless other operations concern them
   */
  function apply(
    place: Uint8Array,
    ops: readonly IndexedOp[],
    undo: boolean,
    dirty: Dirty,
  ): readonly Fresh[] {
    const placed: Placed[] = [];
    const fresh: Fresh[] = [];
    const onTop = !undo && compareBytes(place, top.subarray(0, entryPlaceBytes)) > 0;
    for (const { index, op } of ops) {
      if (op.t === 'cert' || op.t === 'set') continue;
      const ord = ordOf(place, index);
      if (onTop && op.t === 'make' && isNew(op)) {
        insertLoc.run(op.node, ord, locKind.make, kindNumber[op.kind], op.parent, op.name);
        if (op.content) putContent({ t: 'make', node: op.node, content: op.content }, ord, false, dirty);
        fresh.push({ op, ord });
        continue;
      }
      dirty.add(op.node);
      switch (op.t) {
        case 'make':
        case 'move': {
          if (undo) deleteLoc.run(op.node, ord);
          else {
            const t = op.t === 'make' ? locKind.make : locKind.move;
            const kind = op.t === 'make' ? kindNumber[op.kind] : null;
            insertLoc.run(op.node, ord, t, kind, op.parent, op.name);
          }
          const t = op.t === 'make' ? locKind.make : locKind.move;
          placed.push({ node: op.node, ord, parent: op.parent, t });
          if (op.t === 'make' && op.content)
            putContent({ t: 'make', node: op.node, content: op.content }, ord, undo, dirty);
          break;
        }
        case 'put':
          putContent(op, ord, undo, dirty);
          for (const parent of op.parents) {
            if (undo) deleteSup.run(op.node, parent, ord);
            else insertSup.run(op.node, parent, ord, 0);
          }
          break;
        case 'del':
          for (const seen of [...op.seen, op.loc ?? empty]) {
            if (undo) deleteCov.run(op.node, seen, ord);
            else insertCov.run(op.node, seen, ord);
          }
          if (undo) deleteDel.run(op.node, ord);
          else insertDel.run(op.node, ord);
          break;
        case 'adopt': {
          // A wrong id could take over a foreign node.
          if (!sameBytes(op.id, conflictNode(op.node, op.from[0] as Uint8Array))) break;
          dirty.add(op.id);
          if (undo) deleteLoc.run(op.id, ord);
          else insertLoc.run(op.id, ord, locKind.adopt, kindNumber.file, op.parent, op.name);
          placed.push({ node: op.id, ord, parent: op.parent, t: locKind.adopt });
          for (const ref of op.from) {
            if (undo) {
              deleteSup.run(op.node, ref, ord);
              deleteAdopt.run(ref, ord, op.id);
              const content = contentRow.get(ref);
              if (content) deletePut.run(op.id, content.ord, ord);
            } else {
              insertSup.run(op.node, ref, ord, 1);
              insertAdopt.run(ref, ord, op.id);
              anyAdoption = true;
              linkAdopted(op.id, ref, ord);
            }
          }
          break;
        }
        case 'mount':
          if (undo) deleteMount.run(op.node, ord);
          else insertMount.run(op.node, ord, op.drive);
          mounted = null;
          for (const parent of op.parents) {
            if (undo) deleteSup.run(op.node, parent, ord);
            else insertSup.run(op.node, parent, ord, 0);
          }
          break;
      }
    }
    if (placed.length > 0) settle(place, placed, undo, dirty);
    const last = fresh.at(-1)?.ord;
    if (last && compareBytes(last, top) > 0) top = last;
    return fresh;
  }

  /** Nothing is known of the node, so its making, on top of everything, has effect. */
  function isNew({ node, parent }: Make): boolean {
    if (sameBytes(node, rootId) || sameBytes(node, parent)) return false;
    return anything.get(node, node, node, node, node, node, node, node)?.known === null;
  }

  function settle(place: Uint8Array, placed: readonly Placed[], undo: boolean, dirty: Dirty): void {
    const first = (placed[0] as { ord: Uint8Array }).ord;
    const late = undo || compareBytes(first, top) <= 0;
    if (!late) {
      for (const { node, ord, parent, t } of placed) {
        // On top of everything: what else there is of the node is earlier.
        const isFirst = t !== locKind.move && !otherOf.get(node, ord);
        if (isFirst && !sameBytes(node, rootId) && !sameBytes(node, parent) && !referenced.get(node))
          continue;
        const own = locsInOrder(node);
        const at = own.findIndex((row) => sameBytes(row.ord, ord));
        const row = own[at] as LocRow;
        if (!judge(row, own.slice(0, at))) setSkipped.run(1, node, ord);
      }
      top = (placed.at(-1) as { ord: Uint8Array }).ord;
      return;
    }
    const nodes = new Map(placed.map(({ node }) => [byteKey(node), node]));
    // Later operations can only be concerned when a path of theirs may lead through one of these nodes.
    const wide = [...nodes.values()].some((node) => referencedByOther.get(node, place));
    const rows = new Map<string, LocRow>();
    const collect = (row: LocRow): void => void rows.set(byteKey(row.node) + byteKey(row.ord), row);
    for (const node of nodes.values()) {
      for (const row of locsInOrder(node)) if (compareBytes(row.ord, first) >= 0) collect(row);
    }
    if (wide) for (const row of later.all(first)) collect(row);
    const ordered = [...rows.values()].sort((a, b) => compareBytes(a.ord, b.ord));
    for (const row of ordered) if (rejudge(row)) dirty.add(row.node);
    top = lastOrd.get()?.ord ?? empty;
  }

  /** Each content operation once (several adoptions may have brought it), in order. */
  function putsInOrder(node: Uint8Array): readonly PutRow[] {
    const rows = putsOf.all(node);
    if (rows.length < 2) return rows;
    return [...new Map(rows.map((row) => [byteKey(row.ord), row])).values()].sort((a, b) =>
      compareBytes(a.ord, b.ord),
    );
  }

  /** Content operations of a node that nothing supersedes, in order, and which of them deletes have seen. */
  function heads(node: Uint8Array): { readonly put: PutRow; readonly covered: boolean }[] {
    const puts = putsInOrder(node);
    if (puts.length === 0) return [];
    const gone = new Set(supsOf.all(node).map((row) => byteKey(row.op)));
    const covered = coverage(node);
    return puts
      .filter((put) => !gone.has(byteKey(refOf(put.ord))))
      .map((put) => ({ put, covered: covered.has(byteKey(refOf(put.ord))) }));
  }

  function coverage(node: Uint8Array): ReadonlySet<string> {
    return new Set(covsOf.all(node).map((row) => byteKey(row.op)));
  }

  /** Mounts of a folder that no other one replaces, in order. */
  function mountHeads(node: Uint8Array): readonly MountRow[] {
    if (mountedNodes().length === 0) return [];
    const rows = mountsOf.all(node);
    if (rows.length === 0) return rows;
    const gone = new Set(supsOf.all(node).map((row) => byteKey(row.op)));
    return rows.filter((row) => !gone.has(byteKey(refOf(row.ord))));
  }

  return {
    apply,
    heads,
    mountHeads,
    /** The mount in force: of several made at one time the last in order; a drive beats the end of a mount. */
    mount: (node: Uint8Array): (MountRow & { readonly drive: Uint8Array }) | null => {
      const last = mountHeads(node).findLast((row) => row.drive !== null);
      return last?.drive ? { ord: last.ord, drive: last.drive } : null;
    },
    /** Folders that are or were mounted. */
    mountNodes: mountedNodes,
    /** All content operations of a node, in order. */
    contents: (node: Uint8Array): readonly PutRow[] => putsInOrder(node),
    /** Operations of a node that the one at `ord` replaces. */
    replacedBy: (node: Uint8Array, ord: Uint8Array): readonly Uint8Array[] =>
      replacedBy.all(node, ord).map((row) => row.op),
    /** Operations deletes of the node have seen; the empty key stands for its adoption. */
    coverage,
    /** The node a content operation was written to; null when there is none of that name. */
    contentNode: (ref: Uint8Array): Uint8Array | null => contentRow.get(ref)?.node ?? null,
    /** Place of the operation that adopted a content operation as node `id`. */
    adoptionOf: (ref: Uint8Array, id: Uint8Array): Uint8Array | null =>
      adoptsOf.all(ref).find((row) => sameBytes(row.id, id))?.ord ?? null,
    locations: (node: Uint8Array): readonly LocRow[] => locsInOrder(node),
    /** After a rolled back transaction. */
    reload(): void {
      mounted = null;
      top = lastOrd.get()?.ord ?? empty;
    },
  };
}

/** Nodes to look at again, each once. */
export interface Dirty {
  add(node: Uint8Array): void;
}

/** The name deletes use for a location operation: adoptions of one node are all the same. */
export function coverKey(row: LocRow): string {
  return row.t === locKind.adopt ? '' : byteKey(refOf(row.ord));
}
