import { rootNode, type DriveTree, type NodeId } from '../../drive/index.ts';
import type { FolderFs } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { layout } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';

const pageSize = 500;

/** Nodes where folder and last agreement differ: what was under way when the program ended. In slices. */
export async function* localDifferences(state: SyncState): AsyncIterable<NodeId> {
  const pace = createPace();
  const differing = state.db.prepare<[string, string], { id: string }>(
    `SELECT l.id AS id FROM sync_local l LEFT JOIN sync_synced s ON s.id = l.id
     WHERE l.id > ? AND l.id <= ? AND (s.id IS NULL OR s.content <> l.content OR s.exec <> l.exec
       OR s.parent <> l.parent OR s.name <> l.name)`,
  );
  const gone = state.db.prepare<[string, string], { id: string }>(
    `SELECT s.id AS id FROM sync_synced s WHERE s.id > ? AND s.id <= ?
       AND NOT EXISTS (SELECT 1 FROM sync_local l WHERE l.id = s.id)`,
  );
  for (let after = ''; ;) {
    const ids = state.local.ids(after, pageSize);
    const last = ids.at(-1);
    if (last === undefined) break;
    for (const { id } of differing.all(after, last)) yield id;
    after = last;
    await pace.breathe();
  }
  for (let after = ''; ;) {
    const ids = state.synced.ids(after, pageSize);
    const last = ids.at(-1);
    if (last === undefined) return;
    for (const { id } of gone.all(after, last)) yield id;
    after = last;
    await pace.breathe();
  }
}

/** Every node of the drive's tree in a folder, parents before children, in slices. */
export async function* everythingIn(tree: DriveTree, top: NodeId): AsyncIterable<NodeId> {
  const pace = createPace();
  const folders: NodeId[] = [top];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (let after: string | undefined; ;) {
      const page = tree.children(folder, { ...(after !== undefined && { after }), limit: pageSize });
      for (const node of page) {
        yield node.id;
        if (node.kind === 'dir') folders.push(node.id);
      }
      await pace.breathe();
      if (page.length < pageSize) break;
      after = page.at(-1)?.name;
    }
  }
}

/** Every node of the drive's tree, parents before children, then those the folder has and the tree does not, in slices. */
export async function* everything(tree: DriveTree, state: SyncState): AsyncIterable<NodeId> {
  const pace = createPace();
  yield* everythingIn(tree, rootNode);
  for (let after = ''; ;) {
    const ids = state.local.ids(after, pageSize);
    const last = ids.at(-1);
    if (last === undefined) return;
    for (const id of ids) {
      await pace.breathe();
      if (tree.get(id) === null) yield id;
    }
    after = last;
  }
}

/** Removes temp files that nothing refers to: an interrupted early announcement, a download nobody wants any more. */
export async function cleanTemp(fs: FolderFs, folder: string, state: SyncState): Promise<void> {
  const { tmp } = layout(folder);
  const known = state.db.prepare<[string], { n: number }>('SELECT 1 AS n FROM sync_staging WHERE name = ?');
  for (const { raw } of await fs.list(tmp)) {
    // What is half freed and could not be settled is a file of the person's.
    const freed = /^free-([0-9a-f]{32})$/.exec(raw ?? '')?.[1];
    if (freed !== undefined && state.local.rows.get(freed)?.held === 'freeing') continue;
    if (raw !== null && known.get(raw) === undefined) await fs.removeTree(`${tmp}/${raw}`);
  }
}
