import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { isExecutable, rootNode, type NodeId } from '../../drive/index.ts';
import type { FolderFs, FsEntry, FsStat } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { tempNameOwner } from '../plan/rows.ts';
import type { Problems } from '../problems.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import type { ImportItem } from './importer.ts';
import { compareUtf8, driveName } from './names.ts';
import { layout } from './root.ts';

export interface ScannerDeps {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly problems: Problems;
  readonly newId: () => NodeId;
  readonly rules: () => IgnoreRules;
  /** Takes new and changed files; resolves when it has room for more. */
  readonly import: (item: ImportItem) => Promise<void>;
  /** The local row of this node changed. */
  readonly dirty: (id: NodeId) => void;
  /** Look again at this folder after some ms: something was in motion. */
  readonly again: (dir: string, ms: number) => void;
  /** Held while rows are changed, so that nothing is applied in between. */
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  /** A folder came to be at this path. */
  readonly newFolder: (path: string) => void;
  readonly checkRoot: () => Promise<void>;
  readonly now: () => number;
}

export interface Scanner {
  /** Compares the whole folder with what is known. Deletes are believed only at the end, when no move explains them. */
  scanAll(signal: AbortSignal): Promise<void>;
  /** The same for single folders (relative paths), and for new folders found in them. */
  scanDirs(dirs: Iterable<string>, signal: AbortSignal): Promise<void>;
}

interface Dir {
  readonly id: NodeId;
  readonly path: string;
}
interface Found {
  readonly name: string;
  readonly raw: string;
  readonly stat: FsStat;
  readonly path: string;
}
interface Pass {
  readonly full: boolean;
  readonly missing: NodeId[];
  readonly signal: AbortSignal;
}

const pageSize = 200;
/** ms for which something must be missing before a hint makes it deleted: editors remove and make files when they save. */
const deleteDelay = 150;

export function createScanner(deps: ScannerDeps): Scanner {
  const { fs, state, problems } = deps;
  const paths = layout(deps.folder);
  const pace = createPace();
  const missingSince = new Map<NodeId, number>();
  const join = (dir: string, name: string): string => (dir === '' ? name : `${dir}/${name}`);

  async function listed(dir: Dir): Promise<readonly FsEntry[] | null> {
    try {
      // A link in the place of a folder would be followed by listing it.
      if (dir.path !== '' && (await fs.lstat(paths.at(dir.path)))?.type !== 'dir') {
        throw new AppError('not_found', 'The folder is no longer there.');
      }
      const entries = await fs.list(paths.at(dir.path));
      problems.clearScanned(dir.path);
      return entries;
    } catch (error) {
      if (isAppError(error, 'not_found')) {
        // It went away since we heard of it; its own folder will tell.
        if (dir.path !== '') deps.again(parentOf(dir.path), deleteDelay);
      } else if (isAppError(error)) problems.addScanned(dir.path, error);
      else throw error;
      return null;
    }
  }

  /** The entries that are files of the drive, sorted as the rows are; `blind` holds names that must not count as missing. */
  async function sift(dir: Dir, entries: readonly FsEntry[], blind: Set<string>): Promise<Found[]> {
    const mapped = state.local.mapped(dir.id);
    const rules = deps.rules();
    const found = new Map<string, Found>();
    for (const { raw, shown, stat, error } of entries) {
      await pace.breathe();
      const path = join(dir.path, raw ?? shown);
      if (raw === null) {
        problems.addScanned(
          path,
          new AppError(
            'name_unsupported',
            'Its name is not valid UTF-8 and so can’t be synced; please rename it.',
          ),
        );
        continue;
      }
      const owner = tempNameOwner(raw);
      if (owner !== null && state.local.get(owner)?.name !== raw) continue;
      try {
        const name = mapped.get(raw) ?? driveName(raw);
        if (rules.ignored(path, stat?.type === 'dir')) {
          blind.add(name);
        } else if (stat === null) {
          blind.add(name);
          problems.addScanned(path, unreadable(error));
        } else if (stat.type === 'other') {
          problems.addScanned(
            path,
            new AppError(
              'unsupported',
              'It is a pipe, socket or device; only files, folders and links are synced.',
            ),
          );
        } else {
          const twin = found.get(name);
          if (twin !== undefined) {
            const loser = raw === name ? twin : { raw };
            problems.addScanned(join(dir.path, loser.raw), twinProblem());
            if (raw !== name) continue;
          }
          found.set(name, { name, raw, stat, path });
        }
      } catch (failure) {
        if (!isAppError(failure)) throw failure;
        problems.addScanned(path, failure);
      }
    }
    return [...found.values()].sort((a, b) => compareUtf8(a.name, b.name));
  }

  /** Compares one folder with its rows, both sorted by name, page by page. @returns folders in it to go on with */
  async function scanDir(dir: Dir, pass: Pass): Promise<Dir[]> {
    const entries = await listed(dir);
    if (entries === null) return [];
    const blind = new Set<string>();
    const found = await sift(dir, entries, blind);
    const rawNames = new Set(entries.flatMap((entry) => (entry.raw === null ? [] : [entry.raw])));
    const next: Dir[] = [];
    let at = 0;
    let after: string | null = null;
    for (;;) {
      if (pass.signal.aborted) return [];
      await pace.breathe();
      const from = after;
      const rows: readonly LocalRow[] = state.local.page(dir.id, from, pageSize);
      const last = rows.length < pageSize ? null : (rows.at(-1)?.name ?? null);
      const fresh: Found[] = [];
      const changed: (readonly [LocalRow, Found])[] = [];
      let r = 0;
      while (at < found.length || r < rows.length) {
        const entry = found[at];
        const row = rows[r];
        if (row === undefined && last !== null) break;
        const order = entry === undefined ? 1 : row === undefined ? -1 : compareUtf8(entry.name, row.name);
        if (order < 0 && entry !== undefined) {
          fresh.push(entry);
          at += 1;
        } else if (order > 0 && row !== undefined) {
          if (!blind.has(row.name)) pass.missing.push(row.id);
          r += 1;
        } else if (entry !== undefined && row !== undefined) {
          missingSince.delete(row.id);
          if (row.kind !== entry.stat.type) {
            await deps.exclusive(() => removeSubtree(row.id));
            fresh.push(entry);
          } else {
            if (!unchanged(row, entry)) changed.push([row, entry]);
            if (pass.full && row.kind === 'dir') next.push({ id: row.id, path: entry.path });
          }
          at += 1;
          r += 1;
        }
      }
      if (fresh.length > 0 || changed.length > 0) {
        const files: ImportItem[] = [];
        await deps.exclusive(async () => {
          for (const entry of fresh) await takeFresh(dir, entry, rawNames, files, next);
          for (const [row, entry] of changed) {
            // It was just found under its new name (`mv a b`, then a new `a`): what is here now is another file.
            const now = state.local.get(row.id);
            if (now?.parent === row.parent && now.name === row.name) await takeChanged(row, entry, files);
            else await takeFresh(dir, entry, rawNames, files, next);
          }
        });
        for (const file of files) await deps.import(file);
      }
      if (last === null) return next;
      after = last;
    }
  }

  async function takeFresh(
    dir: Dir,
    entry: Found,
    rawNames: ReadonlySet<string>,
    files: ImportItem[],
    next: Dir[],
  ): Promise<void> {
    await pace.breathe();
    const { stat } = entry;
    if (dir.id !== rootNode && state.local.get(dir.id) === null) return;
    const taken = state.local.child(dir.id, entry.name);
    if (taken !== null) return deps.again(dir.path, 0);
    const moved = await movedFrom(dir, entry, rawNames);
    const raw = entry.raw === entry.name ? null : entry.raw;
    if (moved !== null) {
      missingSince.delete(moved.id);
      state.local.set({
        ...moved,
        parent: dir.id,
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
        next.push({ id: moved.id, path: entry.path });
        deps.newFolder(entry.path);
      }
      return;
    }
    if (stat.type === 'file') {
      files.push({
        id: null,
        parent: dir.id,
        name: entry.name,
        raw,
        path: entry.path,
        birthNs: stat.birthNs,
        size: stat.size,
      });
      return;
    }
    const content = stat.type === 'link' ? await linkContent(entry.path) : '';
    if (content === null) return;
    const row: LocalRow = {
      id: deps.newId(),
      parent: dir.id,
      name: entry.name,
      raw,
      kind: stat.type === 'link' ? 'link' : 'dir',
      content,
      exec: false,
      version: '',
      stamp: stat,
      birthNs: stat.birthNs,
    };
    state.local.set(row);
    deps.dirty(row.id);
    if (row.kind === 'dir') {
      next.push({ id: row.id, path: entry.path });
      deps.newFolder(entry.path);
    }
  }

  async function takeChanged(row: LocalRow, entry: Found, files: ImportItem[]): Promise<void> {
    const { stat } = entry;
    if (row.kind === 'file') {
      files.push({
        id: row.id,
        parent: row.parent,
        name: row.name,
        raw: row.raw,
        path: entry.path,
        birthNs: stat.birthNs,
        size: stat.size,
      });
      return;
    }
    const content = row.kind === 'link' ? await linkContent(entry.path) : '';
    if (content === null) return;
    state.local.set({ ...row, content, stamp: stat, birthNs: stat.birthNs });
    if (content !== row.content) deps.dirty(row.id);
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
  async function movedFrom(dir: Dir, entry: Found, rawNames: ReadonlySet<string>): Promise<LocalRow | null> {
    const { stat } = entry;
    for (const row of state.local.byInode(stat.ino)) {
      if (row.kind !== stat.type || row.stamp.dev !== stat.dev) continue;
      // Inodes are used again soon after a delete, so more than the number has to fit.
      if (row.kind === 'dir' ? row.birthNs !== stat.birthNs : !sameFile(row, stat)) continue;
      const path = state.local.path(row.id);
      if (path === null || path === entry.path || entry.path.startsWith(`${path}/`)) continue;
      const there = await fs.lstat(paths.at(path)).catch(() => null);
      const caseOnly = row.parent === dir.id && !rawNames.has(row.raw ?? row.name);
      if (there === null || there.ino !== stat.ino || there.dev !== stat.dev || caseOnly) return row;
    }
    return null;
  }

  /** Forgets rows of what is gone, children before parents, so that the drive hears of them in that order. */
  async function removeSubtree(id: NodeId): Promise<void> {
    const row = state.local.get(id);
    if (row === null) return;
    while (row.kind === 'dir') {
      const children = state.local.page(id, null, pageSize);
      if (children.length === 0) break;
      for (const child of children) {
        if (child.kind === 'dir') await removeSubtree(child.id);
      }
      state.transaction(() => {
        for (const child of children) {
          if (child.kind !== 'dir') state.local.remove(child.id);
        }
      });
      for (const child of children) if (child.kind !== 'dir') deps.dirty(child.id);
      await pace.breathe();
    }
    state.local.remove(id);
    missingSince.delete(id);
    deps.dirty(id);
    deps.dirty(row.parent);
  }

  async function concludeMissing(pass: Pass): Promise<void> {
    if (pass.missing.length === 0 || pass.signal.aborted) return;
    await deps.checkRoot();
    const now = deps.now();
    for (const id of pass.missing) {
      if (pass.signal.aborted) return;
      const path = state.local.path(id);
      if (path === null) continue;
      const since = missingSince.get(id);
      if (!pass.full && (since === undefined || now - since < deleteDelay)) {
        if (since === undefined) missingSince.set(id, now);
        deps.again(parentOf(path), deleteDelay);
        continue;
      }
      await deps.exclusive(async () => {
        const row = state.local.get(id);
        const stat = row === null ? null : await fs.lstat(paths.at(path)).catch(unreadableStat);
        if (row === null || state.local.path(id) !== path) return;
        if (stat === null || (stat !== 'unreadable' && stat.type !== row.kind)) await removeSubtree(id);
      });
      await pace.breathe();
    }
  }

  async function walk(starts: readonly Dir[], pass: Pass): Promise<void> {
    const stack = [...starts].reverse();
    for (let dir = stack.pop(); dir !== undefined && !pass.signal.aborted; dir = stack.pop()) {
      stack.push(...(await scanDir(dir, pass)).reverse());
    }
    await concludeMissing(pass);
  }

  /** The folder of that path, or the nearest above it that is known; null when it is ignored. */
  async function nearestKnown(path: string): Promise<Dir | null> {
    let dir: Dir = { id: rootNode, path: '' };
    if (path === '') return dir;
    for (const raw of path.split('/')) {
      const here = join(dir.path, raw);
      if (deps.rules().ignored(here, true)) return null;
      const name = state.local.mapped(dir.id).get(raw) ?? raw.normalize('NFC');
      const row = state.local.child(dir.id, name);
      if (row?.kind !== 'dir' || (await fs.lstat(paths.at(here)))?.type !== 'dir') return dir;
      dir = { id: row.id, path: here };
    }
    return dir;
  }

  return {
    async scanAll(signal) {
      await deps.checkRoot();
      await walk([{ id: rootNode, path: '' }], { full: true, missing: [], signal });
    },
    async scanDirs(dirs, signal) {
      await deps.checkRoot();
      const known = new Map<NodeId, Dir>();
      for (const path of dirs) {
        const dir = await nearestKnown(path);
        if (dir !== null) known.set(dir.id, dir);
      }
      await walk([...known.values()], { full: false, missing: [], signal });
    },
  };
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function unreadableStat(): 'unreadable' {
  return 'unreadable';
}

function sameFile(row: LocalRow, stat: FsStat): boolean {
  return row.stamp.size === stat.size && row.stamp.mtimeNs === stat.mtimeNs;
}

function unchanged(row: LocalRow, { stat, raw, name }: Found): boolean {
  const { stamp } = row;
  if ((row.raw ?? row.name) !== raw && name !== raw) return false;
  if (stamp.ino !== stat.ino || stamp.dev !== stat.dev) return false;
  if (row.kind === 'dir') return row.birthNs === stat.birthNs;
  return (
    stamp.size === stat.size &&
    stamp.mtimeNs === stat.mtimeNs &&
    stamp.ctimeNs === stat.ctimeNs &&
    stamp.mode === stat.mode
  );
}

function unreadable(code: string | null): AppError {
  return new AppError(
    'permission_denied',
    `It can’t be looked at (${code ?? 'unknown error'}); its last synced state is kept. Please check its permissions.`,
  );
}

function twinProblem(): AppError {
  return new AppError(
    'name_unsupported',
    'Another file here has the same name in a different Unicode form; only that one is synced. Please rename one of them.',
  );
}
