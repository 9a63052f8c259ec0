import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { rootNode, type Drive, type FileContent, type NodeId } from '../../drive/index.ts';
import { asKnown } from '../apply/as-known.ts';
import type { Trash } from '../apply/trash.ts';
import type { FolderFs } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { sameContent, sameLocation } from '../plan/rows.ts';
import { layout } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';
import type { Difference, DriveMode, PlanOp, SyncRow } from '../types.ts';
import type { Agenda } from './agenda.ts';
import type { RemoteView } from './remote-view.ts';
import { everything } from './start-up.ts';

/**
 * Devices that only receive or only send. What a plan would sign, or would do to the folder, is left undone and stays noted as a
 * difference; as the planner compares states and not events, it is found again as long as it is one.
 */
export interface Modes {
  mode(): DriveMode;
  /** Whether this step of a plan is one this device does not take. */
  refuses(op: PlanOp): boolean;
  /**
   * No change of mode deletes anything for anybody: what was deleted here while the device only received comes back. @throws AppError
   * `not_allowed` while the drive is paused; that of the scan
   */
  set(mode: DriveMode): Promise<void>;
  /** Of a device that only receives: brings the folder back to the drive's state. What was changed here goes to the trash. */
  revert(): Promise<void>;
  /** Of a device that only sends: makes the folder's state the drive's, deleting what others added. */
  override(): Promise<void>;
  differences(limit: number): readonly Difference[];
}

const key = 'mode';
const modes: readonly DriveMode[] = ['send-receive', 'send-only', 'receive-only'];
/** Folders that others were moved out of are dealt with after those: so many levels at once. */
const rounds = 32;
const pageSize = 500;

export function createModes(deps: {
  readonly drive: Drive;
  readonly remote: RemoteView;
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly trash: Trash;
  readonly agenda: Agenda;
  readonly pending: Map<NodeId, FileContent>;
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  /** The local or agreed row of the node changed. */
  readonly dirty: (node: NodeId) => void;
  /** Everything in the folder has been looked at. Throws when it can't be. */
  readonly scanned: () => Promise<void>;
  /** Everything known of has been planned and done. */
  readonly planned: () => Promise<void>;
  readonly paused: () => boolean;
}): Modes {
  const { drive, remote, fs, state, agenda } = deps;
  const paths = layout(deps.folder);
  const pace = createPace();
  let mode = modes.find((one) => one === state.meta(key)) ?? 'send-receive';

  function release(): void {
    agenda.release('mode');
    agenda.release('blocked');
  }

  async function look(wanted: DriveMode, act: string): Promise<void> {
    if (mode !== wanted) throw new AppError('not_allowed', `Only a device that is ${wanted} can ${act}.`);
    await fresh();
  }

  async function fresh(): Promise<void> {
    if (deps.paused()) throw new AppError('not_allowed', 'The drive is paused; resume it first.');
    await deps.scanned();
  }

  // ---- back to what the drive says

  async function revertOne(id: NodeId): Promise<void> {
    const row = state.local.get(id);
    const base = state.synced.get(id);
    if (row === null) {
      if (base !== null && base.held === undefined) state.synced.remove(id);
      return;
    }
    if (row.held !== 'here') return;
    const path = state.local.path(id);
    if (path === null) return;
    if (base !== null && sameContent(row, base)) {
      if (!sameLocation(row, base)) state.synced.set({ ...base, parent: row.parent, name: row.name });
      return;
    }
    if (base !== null && row.kind === 'file' && base.kind === 'file' && row.content === base.content) {
      // Only the executable bit.
      return state.synced.set({ ...base, exec: row.exec });
    }
    if (row.kind === 'dir') {
      if (base !== null || state.local.hasChildren(id)) return;
      try {
        await fs.rmdir(paths.at(path));
      } catch (error) {
        if (!isAppError(error, 'not_allowed') && !isAppError(error, 'already_exists')) throw error;
        // What is left in it is ignored; it can come back from the trash with its folder.
        await deps.trash.put(paths.at(path), path, '', 0, 'deleted');
      }
    } else {
      const stat = await fs.lstat(paths.at(path));
      // Somebody is at work on it: the next scan sees it as it is then.
      if (stat === null || !asKnown(row, stat)) return;
      const reason = base === null ? 'deleted' : 'replaced';
      await deps.trash.put(paths.at(path), path, row.content, row.stamp.size, reason);
    }
    state.transaction(() => {
      state.local.remove(id);
      // Of a placeholder nothing is to be fetched: it is one again.
      if (base?.held === undefined) state.synced.remove(id);
    });
    deps.pending.delete(id);
  }

  // ---- what is here is what shall be

  /** Makes what others did count as agreed on, so that what is here is a change of it. */
  function overrideOne(id: NodeId): void {
    const mine = state.local.rows.get(id);
    const theirs = remote.get(id);
    const base = state.synced.get(id);
    if (mine === null && theirs !== null) return state.synced.set(theirs);
    if (mine === null || mine.held !== undefined) return;
    if (theirs === null) {
      if (base === null) return;
      // As if it had been edited after they deleted it: an edit beats a delete. A folder comes back with what is in it.
      if (mine.kind !== 'dir') return state.synced.set({ ...base, content: '' });
      if (!state.local.hasChildren(id)) state.synced.remove(id);
      return;
    }
    const { parent, name } = base !== null && !sameLocation(mine, theirs) ? theirs : (base ?? theirs);
    const next: SyncRow = sameContent(mine, theirs) ? { ...(base ?? theirs) } : theirs;
    state.synced.set({ ...next, parent, name });
  }

  /** Deletes nobody has heard of are forgotten: the files come back. */
  async function forgetDeletes(): Promise<void> {
    for (let after = ''; ;) {
      const ids = state.synced.ids(after, pageSize);
      for (const id of ids) {
        await pace.breathe();
        if (state.local.rows.get(id) !== null || state.synced.get(id)?.held !== undefined) continue;
        state.synced.remove(id);
        deps.dirty(id);
      }
      if (ids.length < pageSize) return;
      after = ids.at(-1) ?? '';
    }
  }

  function whatOf(id: NodeId): Difference['what'] {
    const mine = state.local.rows.get(id);
    const other = mode === 'receive-only' ? state.synced.get(id) : remote.get(id);
    if (mine === null) return mode === 'receive-only' ? 'deleted' : 'added';
    if (other === null) return mode === 'receive-only' ? 'added' : 'deleted';
    return sameContent(mine, other) ? 'moved' : 'changed';
  }

  return {
    mode: () => mode,
    refuses(op) {
      if (mode === 'receive-only')
        return op.t === 'make' || op.t === 'move' || op.t === 'put' || op.t === 'del';
      if (mode === 'send-receive') return false;
      if (op.t === 'rename' || op.t === 'trash') return state.local.rows.get(op.id)?.held === undefined;
      // What a person asked to have here is brought here.
      return (op.t === 'mkdir' || op.t === 'write') && state.local.rows.get(op.node.id)?.held !== 'wanted';
    },
    async set(next) {
      if (next === mode) return;
      await fresh();
      await deps.exclusive(async () => {
        if (mode === 'receive-only') await forgetDeletes();
        mode = next;
        state.setMeta(key, next);
      });
      release();
    },
    async revert() {
      await look('receive-only', 'go back to what the drive says');
      for (let round = 0; round < rounds && agenda.parked('mode') > 0; round++) {
        const ids = [...agenda.parkedIds('mode')];
        await deps.exclusive(async () => {
          for (const id of ids) {
            await revertOne(id);
            await pace.breathe();
          }
        });
        release();
        await deps.planned();
      }
    },
    async override() {
      await look('send-only', 'make its own state the drive’s');
      await deps.exclusive(async () => {
        for await (const id of everything(drive.wholeTree, state)) {
          if (id === rootNode) continue;
          const mine = state.local.rows.get(id);
          const theirs = remote.get(id);
          const same =
            mine !== null && theirs !== null && sameContent(mine, theirs) && sameLocation(mine, theirs);
          if (same) continue;
          state.transaction(() => overrideOne(id));
          deps.dirty(id);
        }
      });
      release();
      await deps.planned();
    },
    differences(limit) {
      const found: Difference[] = [];
      for (const id of agenda.parkedIds('mode')) {
        if (found.length >= limit) break;
        const path = state.local.path(id) ?? drive.tree.path(id) ?? pathBefore(id);
        found.push({ path, what: whatOf(id) });
      }
      return found.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
  };

  /** Of something that is gone from the folder and the drive alike. */
  function pathBefore(id: NodeId): string {
    const parts: string[] = [];
    for (let at = id; at !== rootNode && parts.length < 1000;) {
      const row = state.synced.get(at);
      if (row === null) break;
      parts.push(row.name);
      at = row.parent;
    }
    return parts.reverse().join('/');
  }
}
