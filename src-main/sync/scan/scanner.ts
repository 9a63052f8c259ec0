import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { isExecutable, rootNode, type NodeId } from '../../drive/index.ts';
import type { FolderFs, FsEntry, FsStat } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { tempName, tempNameOwner } from '../plan/rows.ts';
import type { Problems } from '../problems.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import type { ImportItem } from './importer.ts';
import { createListings } from './listings.ts';
import { compareUtf8, driveName } from './names.ts';
import { layout } from './root.ts';

export interface ScannerDeps {
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly problems: Problems;
  readonly newId: () => NodeId;
  /** The drive has this node, or had it once. */
  readonly inDrive: (id: NodeId) => boolean;
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
  /** A known folder was found at another path. */
  readonly movedFolder: (from: string, to: string) => void;
  readonly checkRoot: () => Promise<void>;
  /** Another drive has its place in this folder: nothing in it is looked at. */
  readonly endsAt: (id: NodeId) => boolean;
  /** Such a folder is gone from the disk: what is known of its files says nothing any more. */
  readonly forgetBeneath: (id: NodeId) => Promise<void>;
  readonly now: () => number;
  /** The time of day, as the file system writes it. */
  readonly wallNow: () => number;
}

export interface Scanner {
  /** Compares the whole folder with what is known. Deletes are believed only at the end, when no move explains them. */
  scanAll(signal: AbortSignal): Promise<void>;
  /** The same for single folders (relative paths), and for new folders found in them. */
  scanDirs(dirs: Iterable<string>, signal: AbortSignal): Promise<void>;
  /** The engine moved this folder: a pass under way may have been past its new place already, and not yet at the old one. */
  folderMoved(id: NodeId): void;
}

interface Found {
  readonly name: string;
  readonly raw: string;
  readonly stat: FsStat;
}
interface Pass {
  readonly full: boolean;
  readonly missing: NodeId[];
  /** Folders to look at besides those found on the way. */
  readonly more: NodeId[];
  readonly signal: AbortSignal;
}

const pageSize = 200;
/** ms for which something must be missing before a hint makes it deleted: editors remove and make files when they save. */
const deleteDelay = 150;
/** After looking for what was moved, so many times as long passes before it is done again: deletes wait meanwhile. */
const searchRest = 10;
/** What goes missing while it is being looked for is looked for in turn, so often in one pass. */
const searches = 5;

export function createScanner(deps: ScannerDeps): Scanner {
  const { fs, state, problems } = deps;
  const paths = layout(deps.folder);
  const pace = createPace();
  const missingSince = new Map<NodeId, number>();
  let nextSearch = 0;
  const listings = createListings({
    async stat(id) {
      const path = pathOf(id);
      return path === null ? null : fs.lstat(paths.at(path)).catch(() => null);
    },
    known: (id) => id === rootNode || (state.local.get(id) !== null && !deps.endsAt(id)),
    wallNow: deps.wallNow,
  });
  const join = (dir: string, name: string): string => (dir === '' ? name : `${dir}/${name}`);

  /** Folders are known by their ids: the engine may move one, or one above it, at any time that is not `exclusive`. */
  function pathOf(dir: NodeId): string | null {
    return dir === rootNode ? '' : state.local.path(dir);
  }

  function lookAgain(dir: NodeId, ms: number): void {
    const path = pathOf(dir);
    if (path !== null) deps.again(path, ms);
  }

  /** What a folder holds, and its path while it was listed. */
  async function listed(dir: NodeId): Promise<{ path: string; entries: readonly FsEntry[] } | null> {
    for (let path = pathOf(dir); path !== null;) {
      try {
        // A link in the place of a folder would be followed by listing it.
        const stat = await fs.lstat(paths.at(path));
        if (stat?.type !== 'dir') throw new AppError('not_found', 'The folder is no longer there.');
        const entries = await fs.list(paths.at(path));
        if (pathOf(dir) === path) {
          listings.note(dir, stat);
          problems.clearScanned(path);
          return { path, entries };
        }
      } catch (error) {
        if (pathOf(dir) === path) {
          if (isAppError(error, 'not_found')) {
            // It went away since we heard of it; its own folder will tell.
            if (path !== '') deps.again(parentOf(path), deleteDelay);
          } else if (isAppError(error)) problems.addScanned(path, error);
          else throw error;
          return null;
        }
      }
      path = pathOf(dir);
    }
    return null;
  }

  /** The entries that are files of the drive, sorted as the rows are; `blind` holds names that must not count as missing. */
  async function sift(
    dir: NodeId,
    at: string,
    entries: readonly FsEntry[],
    blind: Set<string>,
  ): Promise<Found[]> {
    const mapped = state.local.mapped(dir);
    const rules = deps.rules();
    const found = new Map<string, Found>();
    for (const { raw, shown, stat, error } of entries) {
      await pace.breathe();
      const path = join(at, raw ?? shown);
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
            problems.addScanned(join(at, loser.raw), twinProblem());
            if (raw !== name) continue;
          }
          found.set(name, { name, raw, stat });
        }
      } catch (failure) {
        if (!isAppError(failure)) throw failure;
        problems.addScanned(path, failure);
      }
    }
    return [...found.values()].sort((a, b) => compareUtf8(a.name, b.name));
  }

  /** Compares one folder with its rows, both sorted by name, page by page. @returns folders in it to go on with */
  async function scanDir(dir: NodeId, pass: Pass): Promise<NodeId[]> {
    if (deps.endsAt(dir)) return [];
    const listing = await listed(dir);
    if (listing === null) return [];
    const { entries } = listing;
    const blind = new Set<string>();
    const found = await sift(dir, listing.path, entries, blind);
    const rawNames = new Set(entries.flatMap((entry) => (entry.raw === null ? [] : [entry.raw])));
    const next: NodeId[] = [];
    let at = 0;
    let after: string | null = null;
    for (;;) {
      if (pass.signal.aborted) return [];
      await pace.breathe();
      const from = after;
      const rows: readonly LocalRow[] = state.local.page(dir, from, pageSize);
      const last = rows.length < pageSize ? null : (rows.at(-1)?.name ?? null);
      const fresh: Found[] = [];
      const changed: (readonly [LocalRow, Found])[] = [];
      const replaced: (readonly [LocalRow, Found])[] = [];
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
          // Of what is held online only nothing is here by choice.
          if (!blind.has(row.name) && row.held === 'here') pass.missing.push(row.id);
          r += 1;
        } else if (entry !== undefined && row !== undefined) {
          missingSince.delete(row.id);
          if (row.kind !== entry.stat.type) {
            replaced.push([row, entry]);
          } else {
            if (!unchanged(row, entry)) changed.push([row, entry]);
            if (pass.full && row.kind === 'dir' && row.held === 'here') next.push(row.id);
          }
          at += 1;
          r += 1;
        }
      }
      if (fresh.length + changed.length + replaced.length > 0) {
        const files: ImportItem[] = [];
        await deps.exclusive(async () => {
          // In one go with taking what is there now: the engine would put what stepped aside back into its place.
          for (const [row, entry] of replaced) if (await removeOther(row, entry)) fresh.push(entry);
          for (const entry of fresh) await takeFresh(dir, entry, rawNames, files, next);
          for (const [row, entry] of changed) {
            // It was just found under its new name (`mv a b`, then a new `a`): what is here now is another file.
            const now = state.local.get(row.id);
            if (now?.parent === row.parent && now.name === row.name)
              await takeChanged(now, entry, files, next);
            else await takeFresh(dir, entry, rawNames, files, next);
          }
        });
        for (const file of files) await deps.import(file);
      }
      if (last === null) return next;
      after = last;
    }
  }

  /**
   * The node a file is that was left under the name it had for a moment only, when the program ended and what was known of it got
   * lost; null for any other file. Never hidden: nobody would find it again.
   */
  function leftOver(raw: string): NodeId | null {
    const owner = tempNameOwner(raw);
    return owner !== null && state.local.get(owner) === null && deps.inDrive(owner) ? owner : null;
  }

  /** Something else has taken the place of a row. @returns false when that was before the engine put things there */
  async function removeOther(row: LocalRow, entry: Found): Promise<boolean> {
    const now = state.local.get(row.id);
    const path = state.local.path(row.id);
    if (now === null || path === null || now.parent !== row.parent || now.name !== row.name) return true;
    const stat = await fs.lstat(paths.at(path)).catch(() => null);
    if (stat === null || stat.type !== entry.stat.type) {
      lookAgain(row.parent, deleteDelay);
      return false;
    }
    await makeWay(row.id);
    return true;
  }

  async function takeFresh(
    dir: NodeId,
    entry: Found,
    rawNames: ReadonlySet<string>,
    files: ImportItem[],
    next: NodeId[],
  ): Promise<void> {
    await pace.breathe();
    const { stat } = entry;
    const at = pathOf(dir);
    if (at === null) return;
    const path = join(at, entry.raw);
    const taken = state.local.child(dir, entry.name);
    if (taken !== null) return deps.again(at, 0);
    const moved = await movedFrom(dir, path, entry, rawNames);
    const raw = entry.raw === entry.name ? null : entry.raw;
    if (moved !== null) {
      missingSince.delete(moved.id);
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
        next.push(moved.id);
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
      next.push(row.id);
      deps.newFolder(path);
    }
  }

  async function takeChanged(
    row: LocalRow,
    entry: Found,
    files: ImportItem[],
    next: NodeId[],
  ): Promise<void> {
    const { stat } = entry;
    const at = pathOf(row.parent);
    if (at === null) return;
    const path = join(at, entry.raw);
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
      next.push(row.id);
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

  /** Something of another kind has the name now; a placeholder that had it steps aside until the drive has heard of that. */
  async function makeWay(id: NodeId): Promise<void> {
    await removeSubtree(id);
    const row = state.local.get(id);
    if (row === null || row.held === 'here' || row.held === 'freeing') return;
    state.local.set({ ...row, name: tempName(id), raw: null });
    deps.dirty(id);
  }

  /** What has been missing for long enough to be gone; the rest is looked at again later. */
  function due(pass: Pass): NodeId[] {
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

  /**
   * Believes that what is missing was deleted, once it was looked for in all folders that have changed since they were listed. A file
   * that was moved must never be told as deleted before it is told where it is: this computer may be gone before it can.
   */
  async function concludeMissing(pass: Pass): Promise<void> {
    for (let round = 0; pass.missing.length > 0 && !pass.signal.aborted; round++) {
      const ids = due(pass);
      if (ids.length === 0) return;
      await deps.checkRoot();
      const started = deps.now();
      for await (const dir of listings.changed(pass.signal)) await look([dir], pass);
      const ended = deps.now();
      nextSearch = ended + searchRest * (ended - started);
      for (const id of ids) {
        if (pass.signal.aborted) return;
        await deps.exclusive(() => conclude(id));
        await pace.breathe();
      }
      if (round < searches) continue;
      for (const id of pass.missing.splice(0)) {
        const row = state.local.get(id);
        if (row !== null) lookAgain(row.parent, deleteDelay);
      }
    }
  }

  async function conclude(id: NodeId): Promise<void> {
    const row = state.local.get(id);
    const path = state.local.path(id);
    if (row?.held !== 'here' || path === null) return;
    const stat = await fs.lstat(paths.at(path)).catch(unreadableStat);
    if (stat === null || (stat !== 'unreadable' && stat.type !== row.kind)) await removeSubtree(id);
  }

  let running: Pass | null = null;

  async function look(starts: readonly NodeId[], pass: Pass): Promise<void> {
    running = pass;
    try {
      const stack = [...starts].reverse();
      for (;;) {
        const dir = stack.pop() ?? pass.more.pop();
        if (dir === undefined || pass.signal.aborted) break;
        stack.push(...(await scanDir(dir, pass)).reverse());
      }
    } finally {
      running = null;
    }
  }

  async function walk(starts: readonly NodeId[], pass: Pass): Promise<void> {
    await look(starts, pass);
    await concludeMissing(pass);
  }

  /** The row of the folder of that path, or of the nearest above it that is known; null when it is ignored. */
  function nearestKnown(path: string): NodeId | null {
    let dir: NodeId = rootNode;
    let at = '';
    if (path === '') return dir;
    for (const raw of path.split('/')) {
      at = join(at, raw);
      if (deps.rules().ignored(at, true)) return null;
      const name = state.local.mapped(dir).get(raw) ?? raw.normalize('NFC');
      const row = state.local.child(dir, name);
      // A folder where a placeholder of one was is looked at from above.
      if (row?.kind !== 'dir' || row.held !== 'here') return dir;
      if (deps.endsAt(row.id)) return null;
      dir = row.id;
    }
    return dir;
  }

  /** The folder, or the nearest above it that is where its row says. */
  async function nearestStanding(dir: NodeId): Promise<NodeId> {
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
  }

  return {
    async scanAll(signal) {
      await deps.checkRoot();
      await walk([rootNode], { full: true, missing: [], more: [], signal });
    },
    async scanDirs(dirs, signal) {
      const wanted = new Set<NodeId>();
      // Before anything is awaited, while paths and rows still fit each other.
      for (const path of dirs) {
        const dir = nearestKnown(path);
        if (dir !== null) wanted.add(dir);
      }
      await deps.checkRoot();
      const starts = new Set<NodeId>();
      for (const dir of wanted) starts.add(await nearestStanding(dir));
      // One that is not where it was may be found somewhere else by then.
      for (const dir of wanted) starts.add(dir);
      await walk([...starts], { full: false, missing: [], more: [], signal });
    },
    folderMoved(id) {
      running?.more.push(id);
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
