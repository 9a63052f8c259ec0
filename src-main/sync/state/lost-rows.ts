import type { Database } from '../../store/index.ts';

/** Contents of which every device that takes part in the drive said that it does not have them. */
export interface LostRows {
  has(content: string): boolean;
  add(content: string): void;
  /** It was found after all. */
  remove(content: string): void;
}

export function createLostRows(db: Database): LostRows {
  const find = db.prepare<[string], unknown>('SELECT 1 FROM sync_lost WHERE content = ?');
  const insert = db.prepare('INSERT OR IGNORE INTO sync_lost VALUES (?)');
  const erase = db.prepare('DELETE FROM sync_lost WHERE content = ?');
  return {
    has: (content) => find.get(content) !== undefined,
    add(content) {
      if (find.get(content) === undefined) insert.run(content);
    },
    remove: (content) => void erase.run(content),
  };
}
