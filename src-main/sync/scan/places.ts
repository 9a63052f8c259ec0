import { rootNode, type NodeId } from '../../drive/index.ts';
import type { FolderFs } from '../fs/types.ts';
import type { SyncState } from '../state/index.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import { layout } from './root.ts';

/** Where folders are: known by their ids, as the engine may move one, or one above it, at any time that is not `exclusive`. */
export interface Places {
  /** Relative to the folder, '' for its root; null: it is not known (any more). */
  pathOf(dir: NodeId): string | null;
  /** The row of the folder of that path, or of the nearest above it that is known; null when it is ignored or another drive's. */
  nearestKnown(path: string): NodeId | null;
  /** The folder, or the nearest above it that is where its row says. */
  nearestStanding(dir: NodeId): Promise<NodeId>;
}

/** @param deps.endsAt another drive has its place in this folder */
export function createPlaces(deps: {
  readonly fs: Pick<FolderFs, 'lstat'>;
  readonly folder: string;
  readonly state: SyncState;
  readonly rules: () => IgnoreRules;
  readonly endsAt: (id: NodeId) => boolean;
}): Places {
  const { fs, state } = deps;
  const paths = layout(deps.folder);

  return {
    pathOf: (dir) => (dir === rootNode ? '' : state.local.path(dir)),
    nearestKnown(path) {
      let dir: NodeId = rootNode;
      let at = '';
      if (path === '') return dir;
      for (const raw of path.split('/')) {
        at = joinPath(at, raw);
        if (deps.rules().ignored(at, true)) return null;
        const name = state.local.mapped(dir).get(raw) ?? raw.normalize('NFC');
        const row = state.local.child(dir, name);
        // A folder where a placeholder of one was is looked at from above.
        if (row?.kind !== 'dir' || row.held !== 'here') return dir;
        if (deps.endsAt(row.id)) return null;
        dir = row.id;
      }
      return dir;
    },
    async nearestStanding(dir) {
      const chain: NodeId[] = [];
      for (let at = dir; at !== rootNode;) {
        chain.push(at);
        const row = state.local.get(at);
        if (row === null) return rootNode;
        at = row.parent;
      }
      let standing: NodeId = rootNode;
      for (const id of chain.reverse()) {
        const path = state.local.path(id);
        if (path === null || (await fs.lstat(paths.at(path)))?.type !== 'dir') break;
        standing = id;
      }
      return standing;
    },
  };
}

/** The path of an entry in the folder at `dir`. */
export function joinPath(dir: string, name: string): string {
  return dir === '' ? name : `${dir}/${name}`;
}

/** The path of the folder an entry is in; '' for the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
