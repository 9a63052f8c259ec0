import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import type { FolderFs, FsStat } from '../fs/types.ts';
import { layout } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';
import type { TrashItem } from '../types.ts';

const day = 86_400_000;

/** What the engine replaced or deleted, on the same file system, for 30 days; then one a day, later one a week is kept. */
export interface Trash {
  /** Moves a file, link or folder (absolute path) into the trash and notes where it was (relative path). */
  put(from: string, path: string, content: string, size: number, reason: TrashItem['reason']): Promise<void>;
  /**
   * As `put`, when what was moved is `expected`. Somebody may write to it, or put something else in its place, between the last look
   * and the move: then it goes back. @returns whether it is in the trash
   */
  putExpected(
    from: string,
    path: string,
    item: { readonly content: string; readonly size: number; readonly reason: TrashItem['reason'] },
    expected: (stat: FsStat) => boolean,
  ): Promise<boolean>;
  list(): readonly TrashItem[];
  /** Puts the newest item of that path (or the item with that id) back. @throws AppError `not_found`, `already_exists` */
  restore(path: string): Promise<string>;
  empty(): Promise<void>;
  /** Removes what is past its time. */
  thin(): Promise<void>;
  /** The file in the trash with this content, or null. */
  find(content: string): string | null;
}

interface Raw {
  id: string;
  path: string;
  content: string;
  size: number;
  at: number;
  reason: string;
}

export function createTrash(deps: {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Days for which everything is kept. */
  readonly days: number;
}): Trash {
  const { fs, clock } = deps;
  const { db } = deps.state;
  const paths = layout(deps.folder);
  const insert = db.prepare('INSERT INTO sync_trash VALUES (?, ?, ?, ?, ?, ?)');
  const erase = db.prepare('DELETE FROM sync_trash WHERE id = ?');
  const all = db.prepare<[], Raw>('SELECT * FROM sync_trash ORDER BY at DESC, id DESC');
  const byPath = db.prepare<[string, string], Raw>(
    'SELECT * FROM sync_trash WHERE path = ? OR id = ? ORDER BY at DESC, id DESC LIMIT 1',
  );
  const byContent = db.prepare<[string], Raw>('SELECT * FROM sync_trash WHERE content = ? LIMIT 1');
  const fileOf = (id: string): string => `${paths.trash}/${id}`;

  async function remove(id: string): Promise<void> {
    await fs.removeTree(fileOf(id));
    erase.run(id);
  }

  async function move(
    from: string,
    path: string,
    content: string,
    size: number,
    reason: TrashItem['reason'],
  ): Promise<string> {
    const at = clock.now();
    const id = `${at.toString(36)}-${Buffer.from(deps.random(6)).toString('hex')}`;
    // Noted first: a crash leaves a note of nothing, which is harmless, never a file nobody knows of.
    insert.run(id, path, content, size, at, reason);
    try {
      await fs.rename(from, fileOf(id));
    } catch (error) {
      erase.run(id);
      throw error;
    }
    return id;
  }

  return {
    put: async (from, path, content, size, reason) => void (await move(from, path, content, size, reason)),
    async putExpected(from, path, { content, size, reason }, expected) {
      const id = await move(from, path, content, size, reason);
      const stat = await fs.lstat(fileOf(id));
      if (stat !== null && expected(stat)) return true;
      // `place` never replaces: should its place be taken again already, it stays in the trash.
      const [back] = stat === null ? [] : await fs.place([{ from: fileOf(id), to: from }]);
      if (back !== undefined && !(back instanceof Error)) erase.run(id);
      return false;
    },
    list: () =>
      all.all().map(({ id, path, size, at, reason }) => ({
        id,
        path,
        size,
        trashedAt: at,
        reason: reason === 'replaced' ? 'replaced' : 'deleted',
      })),
    async restore(path) {
      const item = byPath.get(path, path);
      if (item === undefined || (await fs.lstat(fileOf(item.id))) === null) {
        throw new AppError('not_found', `“${path}” is not in the trash.`, { details: { path } });
      }
      const target = paths.at(item.path);
      if ((await fs.lstat(target)) !== null) {
        throw new AppError('already_exists', `“${item.path}” exists; move it away first.`, {
          details: { path: item.path },
        });
      }
      const parent = target.slice(0, target.lastIndexOf('/'));
      await fs.mkdir(parent, { parents: true });
      await fs.rename(fileOf(item.id), target);
      erase.run(item.id);
      return item.path;
    },
    async empty() {
      for (const { id } of all.all()) await remove(id);
    },
    async thin() {
      const now = clock.now();
      const kept = new Set<string>();
      // Newest first, so the last version of each day or, after 90 days, week is the one that stays.
      for (const item of all.all()) {
        const age = now - item.at;
        if (age <= deps.days * day) continue;
        const span = age > 90 * day ? 7 * day : day;
        const slot = `${item.path}\0${span}\0${Math.floor(item.at / span)}`;
        if (item.reason === 'replaced' && age <= 365 * day && !kept.has(slot)) kept.add(slot);
        else await remove(item.id);
      }
    },
    find(content) {
      const item = byContent.get(content);
      return item === undefined ? null : fileOf(item.id);
    },
  };
}
