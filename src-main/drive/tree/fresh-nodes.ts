import type { Database } from '../../store/index.ts';
import { byteKey, sameBytes } from '../codec/bytes.ts';
import { contentKey } from '../codec/content.ts';
import type { WireOp } from '../codec/ops.ts';
import type { ItemRow } from './items.ts';
import { longConflictName } from './naming.ts';
import { kindNumber, rootId } from './operations.ts';

type Make = Extract<WireOp, { t: 'make' }>;

/**
 * Puts nodes into the visible tree that nothing else is said of yet, under a name nobody else wants: the result of the general
 * way (`items`, `naming`) for nearly all of an import, in a third of the statements.
 */
export function createFreshNodes(db: Database) {
  const ownLocs = db.prepare<[Uint8Array], { skipped: number }>(
    'SELECT skipped FROM tree_loc WHERE node = ? LIMIT 2',
  );
  const ownPuts = db.prepare<[Uint8Array], unknown>('SELECT 1 FROM tree_put WHERE node = ? LIMIT 2');
  const known = db.prepare<
    [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array],
    { other: number | null }
  >(`
    SELECT coalesce((SELECT 1 FROM tree_item WHERE id = ?), (SELECT 1 FROM tree_item WHERE parent = ? LIMIT 1),
      (SELECT 1 FROM tree_sup WHERE node = ? LIMIT 1), (SELECT 1 FROM tree_cov WHERE node = ? LIMIT 1),
      (SELECT 1 FROM tree_gone WHERE id = ?)) other`);
  const named = db.prepare<{ parent: Uint8Array; name: string }, { taken: number | null }>(`
    SELECT coalesce((SELECT 1 FROM tree_item WHERE sparent = :parent AND want = :name LIMIT 1),
      (SELECT 1 FROM tree_item WHERE sparent = :parent AND name = :name),
      (SELECT 1 FROM tree_item WHERE sparent = :parent AND claim = :name LIMIT 1)) taken`);
  const folderOf = db.prepare<[Uint8Array], Pick<ItemRow, 'kind' | 'alias'>>(
    'SELECT kind, alias FROM tree_item WHERE id = ?',
  );
  const insert = db.prepare(
    'INSERT INTO tree_item VALUES (:id, :id, :parent, :name, :kind, :ckey, :size, :ord, :ord, 0, :sparent, NULL, :name, NULL, NULL, :rev)',
  );

  return {
    /** Good for one entry, as long as only this adds items. */
    batch() {
      const folders = new Map<string, Uint8Array | null>();
      const shownFolder = (parent: Uint8Array): Uint8Array | null => {
        if (sameBytes(parent, rootId)) return rootId;
        const key = byteKey(parent);
        let shown = folders.get(key);
        if (shown === undefined) {
          const row = folderOf.get(parent);
          shown = row?.kind === 0 ? (row.alias ?? parent) : null;
          folders.set(key, shown);
        }
        return shown;
      };
      /** @returns the item's size when it was added, null when it needs the general way */
      return (op: Make, ord: Uint8Array, nextRevision: () => number): number | null => {
        const locs = ownLocs.all(op.node);
        if (locs.length !== 1 || locs[0]?.skipped !== 0) return null;
        if (ownPuts.all(op.node).length !== (op.content ? 1 : 0)) return null;
        if (known.get(op.node, op.node, op.node, op.node, op.node)?.other !== null) return null;
        if (longConflictName.test(op.name)) return null;
        const sparent = shownFolder(op.parent);
        if (!sparent || named.get({ parent: sparent, name: op.name })?.taken !== null) return null;
        const size = op.content?.kind === 'file' ? op.content.size : 0;
        insert.run({
          id: op.node,
          parent: op.parent,
          name: op.name,
          kind: kindNumber[op.kind],
          ckey: op.content && contentKey(op.content),
          size,
          ord,
          sparent,
          rev: nextRevision(),
        });
        folders.delete(byteKey(op.node));
        return size;
      };
    },
  };
}
