import type { NodeId } from '../../drive/index.ts';
import type { FolderFs } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { tempName } from '../plan/rows.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import type { Listings } from './listings.ts';
import { parentOf, type Places } from './places.ts';
import { layout } from './root.ts';

/** What a pass over the folder did not find. */
export interface MissingPass {
  /** Everything is looked at, so what is missing need not be missing for a while. */
  readonly full: boolean;
  readonly missing: NodeId[];
  readonly signal: AbortSignal;
}

/** What is no longer where its row says: deleted, moved away, or only in motion. */
export interface Missing {
  /** It is there. */
  seen(id: NodeId): void;
  /** Something of another kind has the name now; a placeholder that had it steps aside until the drive has heard of that. */
  makeWay(id: NodeId): Promise<void>;
  /**
   * Believes that what is missing was deleted, once it was looked for in all folders that have changed since they were listed. A file
   * that was moved must never be told as deleted before it is told where it is: this computer may be gone before it can.
   * @param look looks at a folder in the same pass
   */
  conclude(pass: MissingPass, look: (dir: NodeId) => Promise<void>): Promise<void>;
}

/** ms for which something must be missing before a hint makes it deleted: editors remove and make files when they save. */
export const deleteDelay = 150;
/** After looking for what was moved, so many times as long passes before it is done again: deletes wait meanwhile. */
const searchRest = 10;
/** What goes missing while it is being looked for is looked for in turn, so often in one pass. */
const searches = 5;
const pageSize = 200;

export function createMissing(deps: {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly places: Places;
  readonly listings: Pick<Listings, 'changed'>;
  /** The local row of this node changed. */
  readonly dirty: (id: NodeId) => void;
  /** Look again at this folder after some ms. */
  readonly again: (dir: string, ms: number) => void;
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  readonly checkRoot: () => Promise<void>;
  readonly endsAt: (id: NodeId) => boolean;
  readonly forgetBeneath: (id: NodeId) => Promise<void>;
  readonly now: () => number;
}): Missing {
  const { fs, state, listings } = deps;
  const { pathOf } = deps.places;
  const paths = layout(deps.folder);
  const pace = createPace();
  const missingSince = new Map<NodeId, number>();
  let nextSearch = 0;

  /**
   * Forgets rows of what is gone, children before parents, so that the drive hears of them in that order. Placeholders are not
   * gone, whatever became of the folder around them: it becomes one, too.
   */
  async function removeSubtree(id: NodeId): Promise<void> {
    const row = state.local.get(id);
    if (row === null || row.held !== 'here') return;
    if (deps.endsAt(id)) await deps.forgetBeneath(id);
    let after: string | null = null;
    while (row.kind === 'dir') {
      const children: readonly LocalRow[] = state.local.page(id, after, pageSize);
      if (children.length === 0) break;
      after = children.at(-1)?.name ?? null;
      for (const child of children) {
        if (child.kind === 'dir') await removeSubtree(child.id);
      }
      const gone = children.filter((child) => child.kind !== 'dir' && child.held === 'here');
      state.transaction(() => {
        for (const child of gone) state.local.remove(child.id);
      });
      for (const child of gone) deps.dirty(child.id);
      await pace.breathe();
    }
    missingSince.delete(id);
    if (state.local.hasChildren(id)) {
      state.transaction(() => {
        state.local.setHeld(id, 'online');
        state.synced.setOnline(id, true);
      });
    } else state.local.remove(id);
    deps.dirty(id);
    deps.dirty(row.parent);
  }

  async function makeWay(id: NodeId): Promise<void> {
    await removeSubtree(id);
    const row = state.local.get(id);
    if (row === null || row.held === 'here' || row.held === 'freeing') return;
    state.local.set({ ...row, name: tempName(id), raw: null });
    deps.dirty(id);
  }

  /** What has been missing for long enough to be gone; the rest is looked at again later. */
  function due(pass: MissingPass): NodeId[] {
    const now = deps.now();
    const found: NodeId[] = [];
    let rest = false;
    for (const id of pass.missing.splice(0)) {
      const path = state.local.path(id);
      if (path === null) continue;
      const since = missingSince.get(id);
      if (since === undefined) missingSince.set(id, now);
      if (pass.full || (since !== undefined && now - since >= deleteDelay)) found.push(id);
      else deps.again(parentOf(path), deleteDelay);
    }
    if (!pass.full && found.length > 0) rest = now < nextSearch;
    if (!rest) return found;
    for (const id of found) {
      const path = state.local.path(id);
      if (path !== null) deps.again(parentOf(path), nextSearch - now);
    }
    return [];
  }

  async function conclude(pass: MissingPass, look: (dir: NodeId) => Promise<void>): Promise<void> {
    for (let round = 0; pass.missing.length > 0 && !pass.signal.aborted; round++) {
      const ids = due(pass);
      if (ids.length === 0) return;
      await deps.checkRoot();
      const started = deps.now();
      for await (const dir of listings.changed(pass.signal)) await look(dir);
      const ended = deps.now();
      nextSearch = ended + searchRest * (ended - started);
      for (const id of ids) {
        if (pass.signal.aborted) return;
        await deps.exclusive(() => remove(id));
        await pace.breathe();
      }
      if (round < searches) continue;
      for (const id of pass.missing.splice(0)) {
        const row = state.local.get(id);
        const path = row === null ? null : pathOf(row.parent);
        if (path !== null) deps.again(path, deleteDelay);
      }
    }
  }

  async function remove(id: NodeId): Promise<void> {
    const row = state.local.get(id);
    const path = state.local.path(id);
    if (row?.held !== 'here' || path === null) return;
    const stat = await fs.lstat(paths.at(path)).catch(unreadableStat);
    if (stat === null || (stat !== 'unreadable' && stat.type !== row.kind)) await removeSubtree(id);
  }

  return { seen: (id) => void missingSince.delete(id), makeWay, conclude };
}

function unreadableStat(): 'unreadable' {
  return 'unreadable';
}
