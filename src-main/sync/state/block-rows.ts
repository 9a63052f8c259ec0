import type { BlockRef, FileContent, NodeId } from '../../drive/index.ts';
import type { Database } from '../../store/index.ts';

/** Where in the folder a block can be sealed again from. */
export interface BlockPlace {
  readonly node: NodeId;
  readonly offset: number;
  readonly ref: BlockRef;
}

export interface BlockRows {
  /** At most `limit` places that should hold this block. */
  find(id: Uint8Array, limit: number): readonly BlockPlace[];
  /** Notes the blocks of the content a file has now, instead of those it had. */
  set(node: NodeId, content: FileContent): void;
  /** The file is no longer what it was. */
  drop(node: NodeId): void;
}

interface Raw {
  block: Buffer;
  node: string;
  at: number;
  len: number;
  plain: Buffer;
  weak: number;
  epoch: string;
}

export function createBlockRows(db: Database): BlockRows {
  const select = db.prepare<[Uint8Array, number], Raw>('SELECT * FROM sync_blocks WHERE block = ? LIMIT ?');
  const insert = db.prepare('INSERT OR REPLACE INTO sync_blocks VALUES (?, ?, ?, ?, ?, ?, ?)');
  const erase = db.prepare('DELETE FROM sync_blocks WHERE node = ?');
  return {
    find: (id, limit) =>
      select.all(id, limit).map(({ block, node, at, len, plain, weak, epoch }) => ({
        node,
        offset: at,
        ref: { id: block, epoch, plainHash: plain, len, weak },
      })),
    set(node, content) {
      erase.run(node);
      let at = 0;
      for (const ref of content.blocks) {
        insert.run(ref.id, node, at, ref.len, ref.plainHash, ref.weak, ref.epoch);
        at += ref.len;
      }
    },
    drop: (node) => void erase.run(node),
  };
}
