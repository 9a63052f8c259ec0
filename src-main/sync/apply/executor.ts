import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { RandomBytes } from '../../../src-shared/runtime.ts';
import {
  rootNode,
  type ContentIo,
  type FileContent,
  type FileStamp,
  type NodeId,
} from '../../drive/index.ts';
import type { FolderFs, FsStat } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { contentKey, sameContent } from '../plan/rows.ts';
import { foldName, localName, type FsTraits } from '../scan/names.ts';
import { ownFolder } from '../scan/ignore-rules.ts';
import { layout } from '../scan/root.ts';
import { noStamp, type LocalRow, type SyncState } from '../state/index.ts';
import type { PlanOp, SyncRow, TrashItem } from '../types.ts';
import { asKnown, sameBytesAs, stillThat } from './as-known.ts';
import type { StagedFile } from './staging.ts';
import type { Trash } from './trash.ts';
import { parentOf } from '../scan/places.ts';

export type FolderOp = Exclude<PlanOp, { t: 'make' | 'move' | 'put' | 'del' | 'write' }>;

/** A file of the drive whose bytes are ready, or a link. */
export interface Landing {
  readonly node: SyncRow;
  readonly staged: StagedFile | null;
}

export interface ExecutorDeps {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly content: ContentIo;
  readonly trash: Trash;
  readonly traits: () => FsTraits;
  readonly random: RandomBytes;
  readonly remote: (id: NodeId) => SyncRow | null;
  /** Bytes of what the drive says the node holds. */
  readonly size: (id: NodeId) => number;
  /** Look at this folder again: it is not what it was thought to be. */
  readonly again: (dir: string, ms: number) => void;
  /** A folder was made or moved here. */
  readonly newFolder: (path: string) => void;
  /** A folder was moved; told in one breath with its row. */
  readonly movedFolder: (id: NodeId, from: string, to: string) => void;
  readonly landed: (node: NodeId) => void;
  readonly ignored: (path: string, dir: boolean) => boolean;
}

export interface Executor {
  /**
   * One step on the folder. @throws AppError when it can't be done now: `changed_while_reading` when the folder is not what
   * was planned on (it is being looked at again), `disk_full`, `permission_denied`, ...
   */
  run(op: FolderOp): Promise<void>;
  /** Makes a file executable or not, its bytes being those of `node` already. Throws as `run`. */
  setExec(node: SyncRow): Promise<void>;
  /** Puts finished files into place. @returns what became of each: null or why not (as for `run`) */
  land(landings: readonly Landing[]): Promise<readonly (AppError | null)[]>;
}

/** From so many files on, one flush of the whole file system is cheaper than one for each. */
const batchSync = 32;

export function createExecutor(deps: ExecutorDeps): Executor {
  const { fs, state, trash } = deps;
  const paths = layout(deps.folder);
  const pace = createPace();

  const join = (dir: string, name: string): string => (dir === '' ? name : `${dir}/${name}`);

  /** The folder changed behind our back: never act on it, look again. */
  function surprised(path: string): AppError {
    deps.again(parentOf(path), 0);
    return new AppError(
      'changed_while_reading',
      'It was changed on this computer meanwhile and is looked at again.',
      {
        details: { path },
      },
    );
  }

  function pathOf(id: NodeId): string {
    const path = id === rootNode ? '' : state.local.path(id);
    if (path === null) throw new AppError('changed_while_reading', 'Its folder is not there (any more).');
    return path;
  }

  /**
   * Every folder from `dir` up is the one we know: had one been replaced by a symbolic link, we would write to wherever that
   * points. `trusted` keeps what was looked at in one batch.
   */
  async function expectFolders(dir: NodeId, trusted: Set<NodeId>): Promise<void> {
    for (let at = dir; at !== rootNode && !trusted.has(at);) {
      const row = state.local.get(at);
      const path = pathOf(at);
      const stat = await fs.lstat(paths.at(path));
      if (row === null || stat === null || !asKnown(row, stat)) throw surprised(path);
      trusted.add(at);
      at = row.parent;
    }
  }

  /** The name on disk for a new entry, and its path; throws when one of our rows has it. */
  function placeFor(
    parent: NodeId,
    name: string,
    dir = pathOf(parent),
  ): { path: string; raw: string | null } {
    refuseOwnName(name);
    let raw = name;
    const traits = deps.traits();
    if (traits.caseInsensitive || traits.windows) {
      const taken = new Set<string>();
      for (const row of state.local.children(parent)) taken.add(foldName(row.raw ?? row.name));
      raw = localName(name, traits, (candidate) => taken.has(foldName(candidate)));
    }
    const path = join(dir, raw);
    if (state.local.rows.child(parent, name) !== null) throw surprised(path);
    return { path, raw: raw === name ? null : raw };
  }

  /** As `placeFor`, and nothing unknown is there. */
  async function freePlace(parent: NodeId, name: string): Promise<{ path: string; raw: string | null }> {
    const found = placeFor(parent, name);
    if ((await fs.lstat(paths.at(found.path))) !== null) throw surprised(found.path);
    return found;
  }

  async function expectAsKnown(row: LocalRow, path: string): Promise<void> {
    const stat = await fs.lstat(paths.at(path));
    if (stat === null || !asKnown(row, stat)) throw surprised(path);
  }

  /** The engine's own folder, at whatever depth, is never written for others. */
  function refuseOwnName(name: string): void {
    if (name !== ownFolder) return;
    throw new AppError(
      'name_unsupported',
      `“${ownFolder}” is a name of this program; it is not written here.`,
    );
  }

  /** Placeholders of folders, from `dir` up, become folders: something comes into them. */
  async function makeFolders(dir: NodeId): Promise<void> {
    const missing: LocalRow[] = [];
    for (let at = dir; at !== rootNode;) {
      const row = state.local.get(at);
      if (row === null) throw new AppError('changed_while_reading', 'Its folder is not there (any more).');
      if (row.held !== 'here') missing.push(row);
      at = row.parent;
    }
    for (const row of missing.reverse()) {
      const path = pathOf(row.id);
      await expectFolders(row.parent, new Set());
      const there = await fs.lstat(paths.at(path));
      if (there !== null && there.type !== 'dir') throw surprised(path);
      if (there === null) await fs.mkdir(paths.at(path));
      const stat = await fs.lstat(paths.at(path));
      if (stat === null) throw surprised(path);
      state.transaction(() => {
        state.local.set({ ...row, held: 'here', stamp: stat, birthNs: stat.birthNs });
        state.synced.setOnline(row.id, false);
      });
      if (there !== null) deps.again(path, 0);
      deps.newFolder(path);
    }
  }

  /** Notes what the drive has and this folder does not, by choice. */
  function placeholder(node: SyncRow): void {
    const old = state.local.get(node.id);
    const base = state.synced.get(node.id);
    // Bytes that are here are never given up by a note.
    if (old?.held === 'here') throw surprised(pathOf(node.id));
    const { raw } = old ?? placeFor(node.parent, node.name);
    state.transaction(() => {
      state.local.set({
        ...node,
        parent: old?.parent ?? node.parent,
        name: old?.name ?? node.name,
        version: '',
        raw,
        stamp: noStamp(deps.size(node.id)),
        birthNs: 0n,
        held: old?.held ?? 'online',
      });
      state.synced.set(
        base === null ? node : { ...base, content: node.content, exec: node.exec, version: node.version },
      );
      state.synced.setOnline(node.id, true);
    });
  }

  async function mkdir(node: SyncRow): Promise<void> {
    refuseOwnName(node.name);
    if (state.local.get(node.id) !== null) return makeFolders(node.id);
    await makeFolders(node.parent);
    const dir = pathOf(node.parent);
    await expectFolders(node.parent, new Set());
    // A folder that is there already (a crash, or made here as well) is the one we want.
    const there =
      state.local.child(node.parent, node.name) === null
        ? await fs.lstat(paths.at(join(dir, node.name)))
        : null;
    const { path, raw } =
      there?.type === 'dir'
        ? { path: join(dir, node.name), raw: null }
        : await freePlace(node.parent, node.name);
    if (there?.type !== 'dir') await fs.mkdir(paths.at(path));
    const stat = await fs.lstat(paths.at(path));
    if (stat === null) throw surprised(path);
    state.transaction(() => {
      state.local.set({ ...node, version: '', raw, stamp: stat, birthNs: stat.birthNs, held: 'here' });
      state.synced.set(node);
      state.synced.setOnline(node.id, false);
    });
    if (there?.type === 'dir') deps.again(path, 0);
    deps.newFolder(path);
  }

  async function rename(id: NodeId, parent: NodeId, name: string): Promise<void> {
    const row = state.local.get(id);
    if (row === null) throw new AppError('changed_while_reading', 'It is not there any more.');
    if (row.held !== 'here') {
      const { raw } = placeFor(parent, name);
      return state.transaction(() => renamed(id, { ...row, parent, name, raw }));
    }
    await makeFolders(parent);
    const from = pathOf(id);
    const trusted = new Set<NodeId>();
    await expectFolders(row.parent, trusted);
    await expectFolders(parent, trusted);
    await expectAsKnown(row, from);
    const fold =
      deps.traits().caseInsensitive &&
      row.parent === parent &&
      foldName(row.raw ?? row.name) === foldName(name);
    // Only the case changes: to such a disk the new name "exists", and a rename does what is meant.
    const { path, raw } = fold
      ? { path: join(parentOf(from), name), raw: null }
      : await freePlace(parent, name);
    await fs.rename(paths.at(from), paths.at(path));
    const stat = await fs.lstat(paths.at(path));
    state.transaction(() => {
      const stamp = stat !== null && stillThat(row, stat) ? stat : row.stamp;
      renamed(id, { ...row, parent, name, raw, stamp });
    });
    if (row.kind !== 'dir') return;
    deps.movedFolder(id, from, path);
    deps.newFolder(path);
  }

  function renamed(id: NodeId, row: LocalRow): void {
    const { parent, name } = row;
    state.local.set(row);
    const base = state.synced.get(id);
    const theirs = deps.remote(id);
    if (base !== null && theirs?.parent === parent && theirs.name === name) {
      state.synced.set({ ...base, parent, name });
    }
  }

  /** What was written between the last look and the move is no longer what was agreed on: it goes back, and is looked at again. */
  async function toTrash(row: LocalRow, path: string, reason: TrashItem['reason']): Promise<void> {
    const item = { content: row.content, size: row.stamp.size, reason };
    const put = await trash.putExpected(paths.at(path), path, item, (stat) => stillThat(row, stat));
    if (!put) throw surprised(path);
  }

  async function remove(id: NodeId): Promise<void> {
    const row = state.local.get(id);
    if (row === null) return;
    if (state.local.hasChildren(id))
      throw new AppError('changed_while_reading', 'The folder still holds something.');
    if (row.held !== 'here') {
      return state.transaction(() => {
        state.local.remove(id);
        state.synced.remove(id);
      });
    }
    const path = pathOf(id);
    const base = state.synced.get(id);
    // It may have been edited, and the edit read, since this was planned.
    if (base === null || !sameContent(row, base)) throw surprised(path);
    await expectFolders(row.parent, new Set());
    await expectAsKnown(row, path);
    if (row.kind === 'dir') await removeDir(path);
    else await toTrash(row, path, 'deleted');
    state.transaction(() => {
      state.local.remove(id);
      state.synced.remove(id);
    });
  }

  async function removeDir(path: string): Promise<void> {
    try {
      await fs.rmdir(paths.at(path));
    } catch (error) {
      if (!isAppError(error, 'not_allowed') && !isAppError(error, 'already_exists')) throw error;
      // What is left is ignored (then it goes to the trash with its folder, from where it can come back) or unknown yet.
      for (const entry of await fs.list(paths.at(path))) {
        const inner = join(path, entry.raw ?? entry.shown);
        if (entry.raw === null || !deps.ignored(inner, entry.stat?.type === 'dir')) {
          deps.again(path, 0);
          throw surprised(path);
        }
      }
      await trash.put(paths.at(path), path, '', 0, 'deleted');
    }
  }

  async function setExec(node: SyncRow): Promise<void> {
    const row = state.local.get(node.id);
    const base = state.synced.get(node.id);
    const path = pathOf(node.id);
    if (row?.held !== 'here' || base === null || !sameContent(row, base) || row.content !== node.content) {
      throw surprised(path);
    }
    await expectFolders(row.parent, new Set());
    await expectAsKnown(row, path);
    const { mode } = row.stamp;
    // Whoever may read it may run it.
    const next = node.exec ? mode | ((mode & 0o444) >> 2) : mode & ~0o111;
    await fs.chmod(paths.at(path), next & 0o7777);
    const stat = await fs.lstat(paths.at(path));
    // Somebody's own chmod right after ours must be seen by the next scan.
    if (stat === null || !sameBytesAs(row.stamp, stat) || (stat.mode & 0o7777) !== (next & 0o7777)) {
      throw surprised(path);
    }
    state.transaction(() => {
      state.local.set({ ...row, exec: node.exec, stamp: stat });
      state.synced.set({ ...base, exec: node.exec, version: node.version });
    });
  }

  function relabel(from: NodeId, to: NodeId, base: SyncRow | null): void {
    state.transaction(() => {
      const row = state.local.get(from);
      if (state.local.get(to) !== null || row === null) {
        throw new AppError('changed_while_reading', 'It is not there any more.');
      }
      state.local.relabel(from, to);
      state.synced.relabelChildren(from, to);
      state.synced.remove(from);
      if (base === null) state.synced.remove(to);
      else state.synced.set(base);
      state.synced.setOnline(to, row.held !== 'here' || base?.held !== undefined);
      state.policy.relabel(from, to);
    });
  }

  function recall(id: NodeId, base: SyncRow): void {
    if (state.local.get(id) === null || state.synced.get(id) !== null) {
      throw new AppError('changed_while_reading', 'It is not what it was.');
    }
    state.synced.set(base);
  }

  function agree(id: NodeId): void {
    const theirs = deps.remote(id);
    const mine = state.local.get(id);
    if (theirs === null && mine === null) state.synced.remove(id);
    else if (theirs !== null && mine !== null && sameContent(theirs, mine)) {
      if (theirs.parent === mine.parent && theirs.name === mine.name) {
        state.transaction(() => {
          state.synced.set(theirs);
          if (mine.held !== 'here') state.synced.setOnline(id, true);
        });
      }
    }
  }

  // ---- landing

  interface Target {
    readonly landing: Landing;
    readonly old: LocalRow | null;
    readonly path: string;
    readonly raw: string | null;
    readonly temp: string;
    readonly stamp: FileStamp | null;
  }

  /** What was found out about folders, for the time of one batch. */
  interface Known {
    readonly trusted: Set<NodeId>;
    readonly paths: Map<NodeId, string>;
  }

  async function prepare(landing: Landing, stamp: FileStamp | null, known: Known): Promise<Target> {
    const { node, staged } = landing;
    const old = state.local.get(node.id);
    const base = state.synced.get(node.id);
    await makeFolders(old?.parent ?? node.parent);
    await expectFolders(old?.parent ?? node.parent, known.trusted);
    let place: { path: string; raw: string | null };
    if (old === null) {
      const dir = known.paths.get(node.parent) ?? pathOf(node.parent);
      known.paths.set(node.parent, dir);
      // Whether the place is free is looked at right before the file is put there.
      place = placeFor(node.parent, node.name, dir);
    } else {
      place = { path: pathOf(node.id), raw: old.raw };
      // An edit the drive does not hold is never replaced.
      if (old.held === 'here') {
        if (base === null || !sameContent(old, base)) throw surprised(place.path);
        await expectAsKnown(old, place.path);
      }
    }
    const temp =
      staged?.temp ?? `${paths.tmp}/link-${node.id}-${Buffer.from(deps.random(4)).toString('hex')}`;
    if (staged === null) await fs.symlink(node.content.slice('link:'.length), temp);
    return { landing, old, ...place, temp, stamp };
  }

  /** Notes that the file is in place, where `stat` was seen. */
  function noteLanded({ landing, old, raw, stamp }: Target, stat: FsStat): void {
    const { node, staged } = landing;
    // Renaming changes ctime only; when more differs (the mode, too), someone had it in hand already, and the next scan shall
    // see that.
    const now = stamp === null || (sameBytesAs(stamp, stat) && stamp.mode === stat.mode) ? stat : stamp;
    state.local.set({
      ...node,
      parent: old?.parent ?? node.parent,
      name: old?.name ?? node.name,
      version: '',
      raw,
      stamp: now,
      birthNs: stat.birthNs,
      held: 'here',
    });
    const base = old === null ? null : state.synced.get(node.id);
    state.synced.set(
      base === null ? node : { ...base, content: node.content, exec: node.exec, version: node.version },
    );
    state.synced.setOnline(node.id, false);
    if (staged) state.blocks.set(node.id, staged.content);
  }

  async function finishAll(landings: readonly Landing[]): Promise<(FileStamp | null | AppError)[]> {
    const files = landings.flatMap(({ staged }) => (staged ? [staged] : []));
    const fsync = files.length < batchSync;
    const stamps = await deps.content.finish(
      files.map(({ temp, content }: { temp: string; content: FileContent }) => ({ temp, content, fsync })),
    );
    if (!fsync) await deps.content.syncFileSystem(paths.tmp);
    let at = 0;
    return landings.map(({ staged }) => {
      if (staged === null) return null;
      const stamp = stamps[at++];
      if (stamp === undefined) return new AppError('internal', 'The file could not be finished.');
      return stamp instanceof Error ? toAppError(stamp) : stamp;
    });
  }

  return {
    async run(op) {
      await pace.breathe();
      if (op.t === 'mkdir') await mkdir(op.node);
      else if (op.t === 'rename') await rename(op.id, op.parent, op.name);
      else if (op.t === 'trash') await remove(op.id);
      else if (op.t === 'placeholder') placeholder(op.node);
      else if (op.t === 'relabel') relabel(op.from, op.to, op.base);
      else if (op.t === 'recall') recall(op.id, op.base);
      else agree(op.id);
    },
    setExec,
    async land(landings) {
      const stamps = await finishAll(landings);
      const results: (AppError | null)[] = landings.map(() => null);
      const targets: { readonly index: number; readonly target: Target }[] = [];
      const known: Known = { trusted: new Set(), paths: new Map() };
      for (let i = 0; i < landings.length; i++) {
        const landing = landings[i];
        const stamp = stamps[i];
        if (landing === undefined || stamp === undefined) continue;
        await pace.breathe();
        try {
          if (stamp instanceof AppError) throw stamp;
          if (landing.staged && contentKey(landing.staged.content) !== landing.node.content) {
            throw new AppError('changed_while_reading', 'A newer version is on its way.');
          }
          const target = await prepare(landing, stamp, known);
          const { old, path } = target;
          if (old?.held === 'here') await toTrash(old, path, 'replaced');
          targets.push({ index: i, target });
        } catch (error) {
          results[i] = toAppError(error);
        }
      }
      const placed = await fs.place(
        targets.map(({ target }) => ({ from: target.temp, to: paths.at(target.path) })),
      );
      const landed: { readonly target: Target; readonly stat: FsStat }[] = [];
      const dirs = new Set<string>();
      targets.forEach(({ index, target }, at) => {
        const stat = placed[at];
        if (stat === undefined || stat instanceof Error) {
          results[index] = isAppError(stat, 'already_exists') ? surprised(target.path) : toAppError(stat);
          return;
        }
        landed.push({ target, stat });
        dirs.add(parentOf(target.path));
      });
      for (const dir of dirs) await fs.fsyncDir(paths.at(dir)).catch(() => {});
      await state.inSlices(landed, ({ target, stat }) => noteLanded(target, stat));
      for (const { target } of landed) deps.landed(target.landing.node.id);
      return results;
    },
  };
}

function toAppError(error: unknown): AppError {
  return isAppError(error)
    ? error
    : new AppError('internal', 'The disk answered with an error.', { cause: error });
}
