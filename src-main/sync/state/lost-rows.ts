import type { Database } from '../../store/index.ts';

/** Contents of which every device that takes part in the drive said that it does not have them. */
export interface LostRows {
  has(content: string): boolean;
  add(content: string): void;
  /** It was found after all. */
  remove(content: string): void;
}

export function createLostRows(db: Database): LostRows {
  const all = db.prepare<[], { content: string }>('SELECT content FROM sync_lost');
  const insert = db.prepare('INSERT OR IGNORE INTO sync_lost VALUES (?)');
  const erase = db.prepare('DELETE FROM sync_lost WHERE content = ?');
  // Few at any time, and asked for with each file.
  const lost = new Set(all.all().map(({ content }) => content));
  return {
    has: (content) => lost.has(content),
    add(content) {
      if (lost.has(content)) return;
      insert.run(content);
      lost.add(content);
    },
    remove(content) {
      erase.run(content);
      lost.delete(content);
    },
  };
}
