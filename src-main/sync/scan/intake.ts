import { isAppError } from '../../../src-shared/errors.ts';
import { isExecutable, type NodeId } from '../../drive/index.ts';
import type { FolderFs, FsStat } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { tempNameOwner } from '../plan/rows.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import type { Found } from './folder-reader.ts';
import type { ImportItem } from './importer.ts';
import { deleteDelay, type Missing } from './missing.ts';
import { joinPath, parentOf, type Places } from './places.ts';
import { layout } from './root.ts';

/** What a scan found in one folder: gathers what has to be done after the rows were changed. */
export interface Gathered {
  /** Files to be read. */
  readonly files: ImportItem[];
  /** Folders to go on with. */
  readonly folders: NodeId[];
}

/** Takes what a scan found into the rows. Everything here is done while nothing else changes rows. */
export interface Intake {
  /** Something without a row has this name: it is new, or was moved here. @param rawNames all names in its folder on disk */
  fresh(dir: NodeId, entry: Found, rawNames: ReadonlySet<string>, gathered: Gathered): Promise<void>;
  /** It is the row's, and looks different. */
  changed(row: LocalRow, entry: Found, gathered: Gathered): Promise<void>;
  /** Something else has taken the place of a row. @returns false when that was before the engine put things there */
  replaced(row: LocalRow, entry: Found): Promise<boolean>;
}

export function createIntake(deps: {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly places: Places;
  readonly missing: Pick<Missing, 'seen' | 'makeWay'>;
  readonly newId: () => NodeId;
  /** The drive has this node, or had it once. */
  readonly inDrive: (id: NodeId) => boolean;
  /** The local row of this node changed. */
  readonly dirty: (id: NodeId) => void;
  /** Look again at this folder after some ms. */
  readonly again: (dir: string, ms: number) => void;
  readonly newFolder: (path: string) => void;
  readonly movedFolder: (from: string, to: string) => void;
}): Intake {
  const { fs, state, missing } = deps;
  const { pathOf } = deps.places;
  const paths = layout(deps.folder);
  const pace = createPace();

  /**
   * The node a file is that was left under the name it had for a moment only, when the program ended and what was known of it got
   * lost; null for any other file. Never hidden: nobody would find it again.
   */
  function leftOver(raw: string): NodeId | null {
    const owner = tempNameOwner(raw);
    return owner !== null && state.local.get(owner) === null && deps.inDrive(owner) ? owner : null;
  }

  async function replaced(row: LocalRow, entry: Found): Promise<boolean> {
    const now = state.local.get(row.id);
    const path = state.local.path(row.id);
    if (now === null || path === null || now.parent !== row.parent || now.name !== row.name) return true;
    const stat = await fs.lstat(paths.at(path)).catch(() => null);
    if (stat === null || stat.type !== entry.stat.type) {
      const at = pathOf(row.parent);
      if (at !== null) deps.again(at, deleteDelay);
      return false;
    }
    await missing.makeWay(row.id);
    return true;
  }

  async function fresh(
    dir: NodeId,
    entry: Found,
    rawNames: ReadonlySet<string>,
    { files, folders }: Gathered,
  ): Promise<void> {
    await pace.breathe();
    const { stat } = entry;
    const at = pathOf(dir);
    if (at === null) return;
    const path = joinPath(at, entry.raw);
    const taken = state.local.child(dir, entry.name);
    if (taken !== null) return deps.again(at, 0);
    const moved = await movedFrom(dir, path, entry, rawNames);
    const raw = entry.raw === entry.name ? null : entry.raw;
    if (moved !== null) {
      missing.seen(moved.id);
      const from = moved.kind === 'dir' ? state.local.path(moved.id) : null;
      state.local.set({
        ...moved,
        parent: dir,
        name: entry.name,
        raw,
        // It may have been made executable on the way: the stamp taken over here hides that from every later scan.
        exec: moved.kind === 'file' ? isExecutable(stat) : moved.exec,
        stamp: stat,
        birthNs: stat.birthNs,
      });
      deps.dirty(moved.id);
      deps.dirty(moved.parent);
      if (moved.kind === 'dir') {
        folders.push(moved.id);
        if (from !== null) deps.movedFolder(from, path);
        deps.newFolder(path);
      }
      return;
    }
    const as = leftOver(entry.raw);
    if (stat.type === 'file') {
      files.push({
        id: null,
        as,
        parent: dir,
        name: entry.name,
        raw,
        path,
        birthNs: stat.birthNs,
        size: stat.size,
        held: null,
      });
      return;
    }
    // The engine may have moved it since the folder was listed.
    const still = await fs.lstat(paths.at(path)).catch(() => null);
    if (still?.type !== stat.type || still.ino !== stat.ino) return deps.again(at, deleteDelay);
    const content = stat.type === 'link' ? await linkContent(path) : '';
    if (content === null) return;
    const row: LocalRow = {
      id: as ?? deps.newId(),
      parent: dir,
      name: entry.name,
      raw,
      kind: stat.type === 'link' ? 'link' : 'dir',
      content,
      exec: false,
      version: '',
      stamp: stat,
      birthNs: stat.birthNs,
      held: 'here',
    };
    state.local.set(row);
    deps.dirty(row.id);
    if (row.kind === 'dir') {
      folders.push(row.id);
      deps.newFolder(path);
    }
  }

  async function changed(row: LocalRow, entry: Found, { files, folders }: Gathered): Promise<void> {
    const { stat } = entry;
    const at = pathOf(row.parent);
    if (at === null) return;
    const path = joinPath(at, entry.raw);
    if (row.held === 'freeing') return deps.again(at, deleteDelay);
    if (row.kind === 'file') {
      files.push({
        id: row.id,
        as: null,
        parent: row.parent,
        name: row.name,
        raw: row.raw,
        path,
        birthNs: stat.birthNs,
        size: stat.size,
        held: row.held,
      });
      return;
    }
    // A folder may have been freed since it was listed.
    if (row.held !== 'here' && (await fs.lstat(paths.at(path)))?.ino !== stat.ino) return deps.again(at, 0);
    const content = row.kind === 'link' ? await linkContent(path) : '';
    if (content === null) return;
    state.transaction(() => {
      state.local.set({ ...row, content, stamp: stat, birthNs: stat.birthNs, held: 'here' });
      if (content === row.content) state.synced.setOnline(row.id, false);
    });
    if (content !== row.content || row.held !== 'here') deps.dirty(row.id);
    if (row.kind === 'dir' && row.held !== 'here') {
      folders.push(row.id);
      deps.newFolder(path);
    }
  }

  async function linkContent(path: string): Promise<string | null> {
    try {
      return `link:${await fs.readlink(paths.at(path))}`;
    } catch (error) {
      if (!isAppError(error)) throw error;
      deps.again(parentOf(path), deleteDelay);
      return null;
    }
  }

  /** The row of a file or folder that is no longer where it was and has this inode: it was moved here. */
  async function movedFrom(
    dir: NodeId,
    here: string,
    entry: Found,
    rawNames: ReadonlySet<string>,
  ): Promise<LocalRow | null> {
    const { stat } = entry;
    for (const row of state.local.byInode(stat.ino)) {
      if (row.kind !== stat.type || row.stamp.dev !== stat.dev) continue;
      // Inodes are used again soon after a delete, so more than the number has to fit.
      if (row.kind === 'dir' ? row.birthNs !== stat.birthNs : !sameFile(row, stat)) continue;
      const path = state.local.path(row.id);
      if (path === null || path === here || here.startsWith(`${path}/`)) continue;
      const there = await fs.lstat(paths.at(path)).catch(() => null);
      const caseOnly = row.parent === dir && !rawNames.has(row.raw ?? row.name);
      if (there === null || there.ino !== stat.ino || there.dev !== stat.dev || caseOnly) return row;
    }
    return null;
  }

  return { fresh, changed, replaced };
}

function sameFile(row: LocalRow, stat: FsStat): boolean {
  return row.stamp.size === stat.size && row.stamp.mtimeNs === stat.mtimeNs;
}
