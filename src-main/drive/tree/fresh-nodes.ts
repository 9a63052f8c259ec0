import type { Database } from '../../store/index.ts';
import { byteKey, sameBytes } from '../codec/bytes.ts';
import { contentKey } from '../codec/content.ts';
import type { ItemRow } from './items.ts';
import { longConflictName } from './naming.ts';
import { kindNumber, rootId } from './operations.ts';
import type { Fresh } from './operations.ts';

/**
 * Puts nodes into the visible tree that nothing else is said of yet, under a name nobody else has: the result of the general
 * way (`items`, `naming`) for nearly all of an import, in one statement each.
 */
export function createFreshNodes(db: Database) {
  const folderOf = db.prepare<[Uint8Array], Pick<ItemRow, 'kind' | 'alias'>>(
    'SELECT kind, alias FROM tree_item WHERE id = ?',
  );
  // A copy that asks for a name as its conflict name must hear of who else wants it; most drives have no copies.
  const anyClaim = db.prepare('SELECT 1 FROM tree_item WHERE claim IS NOT NULL LIMIT 1');
  const claimed = db.prepare<[Uint8Array, string], unknown>(
    'SELECT 1 FROM tree_item WHERE sparent = ? AND claim = ? LIMIT 1',
  );
  // Where several want a name one of them has it: the index of names refuses the row then.
  const insert = db.prepare(
    'INSERT OR IGNORE INTO tree_item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, NULL, ?, NULL, NULL, ?)',
  );

  return {
    /** Good for one entry, as long as only this adds items. */
    batch() {
      const claims = anyClaim.get() !== undefined;
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
      /** @returns the item's size and the folder it shows in when it was added, null when it needs the general way */
      return (
        { op, ord }: Fresh,
        rev: number,
      ): { readonly size: number; readonly folder: Uint8Array } | null => {
        if (longConflictName.test(op.name)) return null;
        const sparent = shownFolder(op.parent);
        if (!sparent || (claims && claimed.get(sparent, op.name))) return null;
        const size = op.content?.kind === 'file' ? op.content.size : 0;
        const key = op.content && contentKey(op.content);
        const { node, parent, name } = op;
        const kind = kindNumber[op.kind];
        const row = [node, node, parent, name, kind, key, size, ord, ord, sparent, name, rev];
        const { changes } = insert.run(row);
        if (changes === 0) return null;
        if (op.kind === 'dir') folders.delete(byteKey(op.node));
        return { size, folder: sparent };
      };
    },
  };
}
