import type { Database } from '../../store/index.ts';
import { byteKey, sameBytes } from '../codec/bytes.ts';
import { rootId } from './operations.ts';

/** What lies in a folder, at any depth. */
export interface FolderSum {
  readonly files: number;
  readonly bytes: number;
}

const nothing: FolderSum = { files: 0, bytes: 0 };

export type FolderSums = ReturnType<typeof createFolderSums>;

/**
 * How much is in folders. Kept up by what each change adds to or takes from the one folder it is in, so that an import of many
 * files costs one row a folder; what lies deeper is added up when somebody asks, and remembered until something in it changes.
 */
export function createFolderSums(db: Database) {
  const add = db.prepare<[Uint8Array, number, number]>(
    `INSERT INTO tree_sum VALUES (?, ?, ?)
     ON CONFLICT (folder) DO UPDATE SET files = files + excluded.files, bytes = bytes + excluded.bytes`,
  );
  const direct = db.prepare<[Uint8Array], FolderSum>('SELECT files, bytes FROM tree_sum WHERE folder = ?');
  const foldersIn = db
    .prepare<[Uint8Array], Uint8Array>(
      'SELECT id FROM tree_item WHERE sparent = ? AND kind = 0 AND name IS NOT NULL',
    )
    .pluck();
  const parentOf = db.prepare<[Uint8Array], Uint8Array>('SELECT sparent FROM tree_item WHERE id = ?').pluck();
  /** A folder that is here has all folders below it here as well. */
  const known = new Map<string, FolderSum>();
  let waiting = new Map<string, { readonly folder: Uint8Array; files: number; bytes: number }>();

  function forget(folder: Uint8Array): void {
    for (let at: Uint8Array | undefined = folder; at && known.size > 0; at = parentOf.get(at)) {
      known.delete(byteKey(at));
      if (sameBytes(at, rootId)) return;
    }
  }

  function within(folder: Uint8Array, hides: (folder: Uint8Array) => boolean): FolderSum {
    const before = known.get(byteKey(folder));
    if (before) return before;
    // Folders may lie in each other deeper than calls may: first down, then up again.
    const found: { readonly id: Uint8Array; readonly inner: readonly Uint8Array[] }[] = [];
    const open = [folder];
    for (let id = open.pop(); id; id = open.pop()) {
      const inner = hides(id) ? null : foldersIn.all(id);
      if (inner === null) known.set(byteKey(id), nothing);
      else found.push({ id, inner });
      for (const one of inner ?? []) if (!known.has(byteKey(one))) open.push(one);
    }
    for (const { id, inner } of found.reverse()) {
      let { files, bytes } = direct.get(id) ?? nothing;
      for (const one of inner) {
        const sum = known.get(byteKey(one)) ?? nothing;
        files += sum.files;
        bytes += sum.bytes;
      }
      known.set(byteKey(id), { files, bytes });
    }
    return known.get(byteKey(folder)) ?? nothing;
  }

  return {
    /** A file came into a folder (`sign` 1) or left it; written with `flush`. */
    count(folder: Uint8Array, size: number, sign: 1 | -1): void {
      const key = byteKey(folder);
      const row = waiting.get(key) ?? { folder, files: 0, bytes: 0 };
      row.files += sign;
      row.bytes += sign * size;
      waiting.set(key, row);
    },
    /** A folder that was known came, went or changed its place. */
    foldersMoved(): void {
      known.clear();
    },
    /** Writes what was counted; part of the caller's transaction. */
    flush(): void {
      for (const { folder, files, bytes } of waiting.values()) {
        if (files !== 0 || bytes !== 0) add.run(folder, files, bytes);
        forget(folder);
      }
      waiting = new Map();
    },
    /** @param hides whether what lies in a folder does not show, so that it is not counted */
    within,
    /** After a transaction that was rolled back. */
    reload(): void {
      known.clear();
      waiting = new Map();
    },
  };
}
