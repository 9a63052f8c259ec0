import { rootNode, type NodeId } from '../../drive/index.ts';
import type { FolderFs } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import type { Problems } from '../problems.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import { createFolderReader, type Found } from './folder-reader.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import type { ImportItem } from './importer.ts';
import { createIntake, type Gathered } from './intake.ts';
import { createListings } from './listings.ts';
import { createMissing, type MissingPass } from './missing.ts';
import { compareUtf8 } from './names.ts';
import { createPlaces } from './places.ts';
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

interface Pass extends MissingPass {
  /** Folders to look at besides those found on the way. */
  readonly more: NodeId[];
}

const pageSize = 200;

/** Compares a folder with what is known of it. */
export function createScanner(deps: ScannerDeps): Scanner {
  const { fs, state } = deps;
  const paths = layout(deps.folder);
  const pace = createPace();
  const places = createPlaces(deps);
  const { pathOf } = places;
  const listings = createListings({
    async stat(id) {
      const path = pathOf(id);
      return path === null ? null : fs.lstat(paths.at(path)).catch(() => null);
    },
    known: (id) => id === rootNode || (state.local.get(id) !== null && !deps.endsAt(id)),
    wallNow: deps.wallNow,
  });
  const read = createFolderReader({ ...deps, places, listings });
  const missing = createMissing({ ...deps, places, listings });
  const intake = createIntake({ ...deps, places, missing });
  let running: Pass | null = null;

  /** Compares one folder with its rows, both sorted by name, page by page. @returns folders in it to go on with */
  async function scanDir(dir: NodeId, pass: Pass): Promise<NodeId[]> {
    if (deps.endsAt(dir)) return [];
    const listing = await read(dir);
    if (listing === null) return [];
    const { found, blind, rawNames } = listing;
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
          missing.seen(row.id);
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
        const gathered: Gathered = { files: [], folders: next };
        await deps.exclusive(async () => {
          // In one go with taking what is there now: the engine would put what stepped aside back into its place.
          for (const [row, entry] of replaced) if (await intake.replaced(row, entry)) fresh.push(entry);
          for (const entry of fresh) await intake.fresh(dir, entry, rawNames, gathered);
          for (const [row, entry] of changed) {
            // It was just found under its new name (`mv a b`, then a new `a`): what is here now is another file.
            const now = state.local.get(row.id);
            if (now?.parent === row.parent && now.name === row.name)
              await intake.changed(now, entry, gathered);
            else await intake.fresh(dir, entry, rawNames, gathered);
          }
        });
        for (const file of gathered.files) await deps.import(file);
      }
      if (last === null) return next;
      after = last;
    }
  }

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
    await missing.conclude(pass, (dir) => look([dir], pass));
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
        const dir = places.nearestKnown(path);
        if (dir !== null) wanted.add(dir);
      }
      await deps.checkRoot();
      const starts = new Set<NodeId>();
      for (const dir of wanted) starts.add(await places.nearestStanding(dir));
      // One that is not where it was may be found somewhere else by then.
      for (const dir of wanted) starts.add(dir);
      await walk([...starts], { full: false, missing: [], more: [], signal });
    },
    folderMoved(id) {
      running?.more.push(id);
    },
  };
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
