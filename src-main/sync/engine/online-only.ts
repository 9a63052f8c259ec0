import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { rootNode, type Drive, type NodeId, type TreeNode } from '../../drive/index.ts';
import type { Exchange, HeldVersion } from '../../exchange/index.ts';
import { asKnown, sameBytesAs } from '../apply/as-known.ts';
import type { Trash } from '../apply/trash.ts';
import type { FolderFs } from '../fs/types.ts';
import { createMutex, createPace } from '../pace.ts';
import { contentKey, sameContent, sameLocation } from '../plan/rows.ts';
import { layout } from '../scan/root.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import type { FreeReport, OnlineFiles, SyncRow } from '../types.ts';

/** Takes files off the disk and brings them back; what is off it is a row of the database, a placeholder. */
export interface OnlineOnly extends OnlineFiles {
  /** Whether something new in the drive is brought here with its bytes. */
  keeps(row: SyncRow): boolean;
  /** Whether the bytes of each version are on this disk now, and are not about to leave it. */
  holds(items: readonly HeldVersion[]): Promise<readonly boolean[]>;
  /** Settles what was being freed when the program ended. Before anything else is done with the folder. */
  recover(): Promise<void>;
  /** Nodes that were asked for and are not here yet. */
  wanted(): Iterable<NodeId>;
}

/** Files freed together: they share one flush of the disk. */
const batchFiles = 200;
const pageSize = 200;
/** A file that changed so lately may not have reached the disk. ms; Linux writes back after 30 s. */
const youngMs = 600_000;
/** Files named in a report. */
const named = 20;

export function createOnlineOnly(deps: {
  readonly drive: Drive;
  readonly exchange: Pick<Exchange, 'holders'>;
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly trash: Trash;
  /** Tells the date, as the file system does. */
  readonly wallClock: Clock;
  readonly logger: Logger;
  /** Makes what was committed to the database survive a power cut. */
  readonly flush: () => Promise<void>;
  /** The same for the files of the folder. */
  readonly flushFiles: () => Promise<void>;
  /** How many others have to hold a file before it may leave this disk. */
  readonly copies: () => number;
  /** How many storage hosts hold everything of the drive and showed it lately. */
  readonly hosts: () => number;
  /** Runs alone: nothing else changes rows meanwhile. */
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  readonly look: (node: NodeId) => void;
  /** The retained copy of exactly these bytes is not needed for a version that others hold. */
  readonly release: (content: string) => Promise<void>;
  /** Nobody who can be reached has this node's bytes. */
  readonly absent: (node: NodeId) => boolean;
  readonly paused: () => boolean;
  /** Resolves when the condition holds. */
  readonly until: (condition: () => boolean, signal: AbortSignal) => Promise<void>;
}): OnlineOnly {
  const { drive, fs, state } = deps;
  const paths = layout(deps.folder);
  const pace = createPace();
  /**
   * Files somebody here tries to free. Of these others are told that we do not hold them, from before we ask others: so of two
   * computers that free the same file at once, each relying on the other, at most one gets the answer it needs.
   */
  const trying = new Set<NodeId>();
  const oneByOne = createMutex();
  let kept = new Map<NodeId, boolean>();
  let keptAt = -1;

  // ---- which folders are kept

  function keepsFolder(folder: NodeId): boolean {
    if (state.policy.all().size === 0) return true;
    const revision = drive.tree.revision();
    if (revision !== keptAt) kept = new Map();
    keptAt = revision;
    const chain: NodeId[] = [];
    let result = true;
    for (let at = folder; ;) {
      const known = kept.get(at) ?? state.policy.get(at);
      if (known !== null) result = known;
      if (known !== null || at === rootNode || chain.length > 10_000) break;
      chain.push(at);
      at = drive.tree.get(at)?.parent ?? rootNode;
    }
    for (const one of chain) kept.set(one, result);
    return result;
  }

  function isBelow(node: NodeId, folder: NodeId): boolean {
    if (folder === rootNode) return true;
    for (let at = node, depth = 0; at !== rootNode && depth < 10_000; depth++) {
      if (at === folder) return true;
      at = drive.tree.get(at)?.parent ?? rootNode;
    }
    return false;
  }

  function setPolicy(folder: NodeId, keep: boolean): void {
    for (const node of [...state.policy.all().keys()]) {
      if (isBelow(node, folder)) state.policy.set(node, null);
    }
    keptAt = -1;
    const above = folder === rootNode || keepsFolder(drive.tree.get(folder)?.parent ?? rootNode);
    if (above !== keep) state.policy.set(folder, keep);
    keptAt = -1;
  }

  // ---- walking

  /** The row of a node and those of all below it, children before their folder. */
  async function* walk(node: NodeId): AsyncIterable<LocalRow> {
    const row = node === rootNode ? null : state.local.get(node);
    if (node === rootNode || row?.kind === 'dir') {
      for (let after: string | null = null; ;) {
        const page: readonly LocalRow[] = state.local.page(node, after, pageSize);
        for (const child of page) {
          if (child.kind === 'dir') yield* walk(child.id);
          else yield child;
        }
        await pace.breathe();
        if (page.length < pageSize) break;
        after = page.at(-1)?.name ?? null;
      }
    }
    // As it is now: what is in it was dealt with meanwhile.
    const now = row === null ? null : state.local.get(node);
    if (now !== null) yield now;
  }

  function known(node: NodeId): void {
    if (node !== rootNode && state.local.get(node) === null) {
      throw new AppError('not_found', 'It is not known in this folder (yet).');
    }
  }

  const isFolder = (node: NodeId): boolean => node === rootNode || state.local.rows.get(node)?.kind === 'dir';

  // ---- freeing

  /** Folder, drive and last agreement say the same of it. @returns null when they don't */
  function inStep(id: NodeId): { readonly row: LocalRow; readonly node: TreeNode } | null {
    const row = state.local.get(id);
    const base = state.synced.get(id);
    const node = drive.tree.get(id);
    if (row?.held !== 'here' || base === null || base.held !== undefined || node === null) return null;
    if (!sameContent(row, base) || !sameLocation(row, base)) return null;
    if (row.parent !== node.parent || row.name !== node.name) return null;
    return row.content === contentKey(node.content) && base.version === node.version ? { row, node } : null;
  }

  async function onDisk(row: LocalRow): Promise<boolean> {
    const path = state.local.path(row.id);
    const stat = path === null ? null : await fs.lstat(paths.at(path)).catch(() => null);
    return stat !== null && asKnown(row, stat);
  }

  /** Its bytes ride in the history, so everybody who has that has them. */
  function carried({ content }: TreeNode): boolean {
    return content?.kind !== 'file' || content.blocks.length === 0;
  }

  function tooFew(path: string, devices: readonly string[]): AppError {
    const names = new Map(drive.writers().map(({ deviceId, device }) => [deviceId, device]));
    const shown = devices.map((device) => names.get(device) ?? device);
    const hosts = deps.hosts();
    const holders = [
      ...(shown.length > 0 ? [shown.join(', ')] : []),
      ...(hosts > 0 ? [`${hosts} storage ${hosts === 1 ? 'host' : 'hosts'}`] : []),
    ];
    const who =
      holders.length === 0
        ? 'no other computer that can be reached now holds it'
        : `besides this computer only ${holders.join(' and ')} can be seen to hold it`;
    return new AppError(
      'too_few_copies',
      `“${path}” stays here: ${who}, and ${deps.copies()} must. Connect a computer that has it, or have it hosted (drive replicate).`,
      { details: { path, holders: [...devices] } },
    );
  }

  function notInStep(path: string): AppError {
    return new AppError(
      'not_allowed',
      `“${path}” stays here: it is not in step with the drive yet. Wait until it is, and try again.`,
      { details: { path } },
    );
  }

  function inUse(path: string): AppError {
    return new AppError(
      'not_allowed',
      `“${path}” stays here: a program has it open for writing. Close it there, and try again.`,
      { details: { path } },
    );
  }

  interface Tally {
    files: number;
    bytes: number;
    kept: number;
    readonly reasons: { path: string; error: AppError }[];
  }
  const tally = (): Tally => ({ files: 0, bytes: 0, kept: 0, reasons: [] });

  function stays(into: Tally, path: string, error: AppError): void {
    into.kept += 1;
    if (into.reasons.length < named) into.reasons.push({ path, error });
  }

  async function freeFiles(ids: readonly NodeId[], into: Tally, signal: AbortSignal): Promise<void> {
    for (const id of ids) trying.add(id);
    try {
      const candidates = ids.flatMap((id) => {
        const found = inStep(id);
        if (found === null) stays(into, state.local.path(id) ?? '', notInStep(state.local.path(id) ?? ''));
        return found === null ? [] : [found];
      });
      const ask = candidates.filter(({ node }) => !carried(node));
      const answers =
        ask.length === 0
          ? []
          : await deps.exchange.holders(
              drive.id,
              ask.map(({ node }) => ({ node: node.id, version: node.version })),
              signal,
            );
      const holders = new Map(ask.map(({ node }, index) => [node.id, answers[index] ?? []]));
      const safe = candidates.filter(({ row, node }) => {
        const devices = holders.get(node.id);
        if (devices === undefined || devices.length + deps.hosts() >= deps.copies()) return true;
        const path = state.local.path(row.id) ?? row.name;
        stays(into, path, tooFew(path, devices));
        return false;
      });
      if (safe.length > 0) await deps.exclusive(() => takeOff(safe, into));
    } finally {
      for (const id of ids) trying.delete(id);
    }
  }

  const asideOf = (id: NodeId): string => `${paths.tmp}/free-${id}`;

  function mark(ids: readonly NodeId[]): Promise<void> {
    state.transaction(() => {
      for (const id of ids) {
        state.local.setHeld(id, 'freeing');
        state.synced.setOnline(id, true);
      }
    });
    // From here on, whatever happens, nothing that is missing among them counts as deleted. Only now anything is taken away.
    return deps.flush();
  }

  function unmark(id: NodeId): void {
    state.transaction(() => {
      state.local.setHeld(id, 'here');
      state.synced.setOnline(id, false);
    });
  }

  async function takeOff(
    files: readonly { readonly row: LocalRow; readonly node: TreeNode }[],
    into: Tally,
  ): Promise<void> {
    const unchanged: { readonly row: LocalRow; readonly path: string }[] = [];
    for (const { row, node } of files) {
      const now = inStep(row.id);
      const path = state.local.path(row.id);
      if (path !== null && now?.node.version === node.version && (await onDisk(now.row))) {
        unchanged.push({ row: now.row, path });
      } else stays(into, path ?? row.name, notInStep(path ?? row.name));
    }
    // What a program goes on to write to a file that has lost its name is nowhere.
    const open = await fs.openForWriting(new Set(unchanged.map(({ path }) => paths.at(path))));
    for (const { path } of unchanged.filter((one) => open.has(paths.at(one.path))))
      stays(into, path, inUse(path));
    const ready = unchanged.filter(({ path }) => !open.has(paths.at(path)));
    if (ready.length === 0) return;
    try {
      await mark(ready.map(({ row }) => row.id));
    } catch (error) {
      for (const { row } of ready) unmark(row.id);
      throw error;
    }
    const gone: LocalRow[] = [];
    for (const { row, path } of ready) {
      try {
        await unlinkUnchanged(row, paths.at(path));
        gone.push(row);
      } catch (error) {
        stays(into, path, isAppError(error) ? error : notInStep(path));
        // It may be in its place, or aside. As long as that can't be settled it is `freeing`, and nothing follows from its absence.
        await settle(row).catch((failure: unknown) =>
          deps.logger.warn({ err: failure }, 'a file that could not be freed is settled at the next start'),
        );
      }
    }
    state.transaction(() => {
      for (const { id } of gone) state.local.setHeld(id, 'online');
    });
    for (const { id, kind, content, stamp } of gone) {
      into.files += 1;
      into.bytes += stamp.size;
      if (kind === 'file' && state.local.byContent(content, 1).length === 0) await deps.release(content);
      deps.look(id);
    }
  }

  /** Moved aside first: what is written to the path after that is another file, and what was written before shows. */
  async function unlinkUnchanged(row: LocalRow, path: string): Promise<void> {
    const aside = asideOf(row.id);
    await fs.rename(path, aside);
    const stat = await fs.lstat(aside);
    if (stat === null || !sameBytesAs(row.stamp, stat)) throw notInStep(path.slice(deps.folder.length + 1));
    await fs.unlink(aside);
  }

  /** Folders that hold nothing any more but placeholders go as well. */
  async function freeFolders(ids: readonly NodeId[]): Promise<void> {
    const ready: { readonly row: LocalRow; readonly path: string }[] = [];
    const going = new Set<NodeId>();
    for (const id of ids) {
      const found = inStep(id);
      const path = state.local.path(id);
      if (found === null || path === null || !(await onDisk(found.row))) continue;
      let empty = true;
      for (const child of state.local.children(id)) {
        await pace.breathe();
        if (child.held === 'here' && !going.has(child.id)) empty = false;
        if (!empty) break;
      }
      if (!empty) continue;
      going.add(id);
      ready.push({ row: found.row, path });
    }
    if (ready.length === 0) return;
    await mark(ready.map(({ row }) => row.id));
    for (const { row, path } of ready) {
      try {
        await fs.rmdir(paths.at(path));
        state.local.setHeld(row.id, 'online');
      } catch {
        // Something lies in it that the drive does not know: ignored files, or one that has just come.
        unmark(row.id);
      }
    }
  }

  async function freeBelow(node: NodeId, signal: AbortSignal): Promise<FreeReport> {
    const into = tally();
    const folders: NodeId[] = [];
    let batch: NodeId[] = [];
    for await (const row of walk(node)) {
      signal.throwIfAborted();
      if (row.held === 'wanted') {
        state.local.setHeld(row.id, 'online');
        deps.look(row.id);
      }
      if (row.held !== 'here') continue;
      if (row.kind === 'dir') folders.push(row.id);
      else batch.push(row.id);
      if (batch.length < batchFiles) continue;
      await freeFiles(batch, into, signal);
      batch = [];
    }
    if (batch.length > 0) await freeFiles(batch, into, signal);
    for (let at = 0; at < folders.length; at += batchFiles) {
      await deps.exclusive(() => freeFolders(folders.slice(at, at + batchFiles)));
    }
    return into;
  }

  // ---- fetching

  async function markWanted(node: NodeId): Promise<NodeId[]> {
    const ids: NodeId[] = [];
    for await (const row of walk(node)) {
      if (row.held === 'online') {
        await deps.exclusive(async () => {
          if (state.local.get(row.id)?.held === 'online') state.local.setHeld(row.id, 'wanted');
        });
      }
      if (state.local.get(row.id)?.held !== 'wanted') continue;
      ids.push(row.id);
      deps.look(row.id);
    }
    return ids;
  }

  /** Settles one row that is half freed: back to its place with what is left of it, or freed for good. */
  async function settle(row: LocalRow): Promise<void> {
    const path = state.local.path(row.id);
    const place = path === null ? null : paths.at(path);
    const aside = asideOf(row.id);
    let there = place === null ? null : await fs.lstat(place);
    const left = row.kind === 'dir' ? null : await fs.lstat(aside);
    if (left !== null && there === null && place !== null) {
      await fs.rename(aside, place);
      there = await fs.lstat(place);
    } else if (left !== null && sameBytesAs(row.stamp, left)) await fs.unlink(aside);
    else if (left !== null) await deps.trash.put(aside, path ?? row.name, '', left.size, 'replaced');
    // It is still the very file: nothing was freed. Anything else in its place is for the scan to look at.
    if (there?.type === row.kind && there.ino === row.stamp.ino && there.dev === row.stamp.dev)
      unmark(row.id);
    else state.local.setHeld(row.id, 'online');
  }

  return {
    keeps: (row) => (row.kind === 'dir' ? state.policy.get(row.id) : null) ?? keepsFolder(row.parent),
    held: (node) => state.local.rows.get(node)?.held ?? (state.local.rows.get(node) === null ? null : 'here'),
    policies: () => state.policy.all(),
    setPolicy,
    async holds(items) {
      const answers: boolean[] = [];
      const young = BigInt(Math.floor(deps.wallClock.now() - youngMs)) * 1_000_000n;
      let unflushed = false;
      for (const { node, version } of items) {
        await pace.breathe();
        const found = trying.has(node) ? null : inStep(node);
        const fits = found !== null && found.node.version === version && (await onDisk(found.row));
        answers.push(fits);
        if (fits && found.row.stamp.ctimeNs > young) unflushed = true;
      }
      // Somebody gives up his copy on our word: it has to survive a power cut here, whoever wrote it.
      if (unflushed) await deps.flushFiles();
      // It may have begun to leave while we looked.
      return items.map(
        ({ node }, index) =>
          answers[index] === true && !trying.has(node) && state.local.rows.get(node)?.held === undefined,
      );
    },
    async free(node, signal) {
      known(node);
      const report = await oneByOne(() => {
        if (isFolder(node)) setPolicy(node, false);
        return freeBelow(node, signal);
      });
      const [first] = report.reasons;
      if (report.files === 0 && first !== undefined) {
        if (report.kept === 1) throw first.error;
        throw new AppError(
          first.error.code,
          `Nothing could be freed; ${report.kept} files stay here. The first: ${first.error.message}`,
          { cause: first.error },
        );
      }
      return report;
    },
    async fetch(node, signal) {
      known(node);
      if (deps.paused()) throw new AppError('not_allowed', 'The drive is paused; resume it first.');
      // Of two orders that contradict each other the later one counts, however long the first one takes.
      const rest = await oneByOne(() => {
        if (isFolder(node)) setPolicy(node, true);
        return markWanted(node);
      });
      const here = (): boolean => {
        for (let id = rest.at(-1); id !== undefined; id = rest.at(-1)) {
          if (state.local.get(id)?.held === 'wanted') return false;
          rest.pop();
        }
        return true;
      };
      const nobody = (): NodeId | undefined =>
        (rest.length > 1000 ? rest.slice(-1000) : rest).find(deps.absent);
      await deps.until(() => here() || nobody() !== undefined, signal);
      const missing = nobody();
      if (here() || missing === undefined) return;
      const path = state.local.path(missing) ?? '';
      throw new AppError(
        state.lost.has(state.local.get(missing)?.content ?? '') ? 'content_lost' : 'unreachable',
        `Nobody who can be reached now has “${path}”. It stays wanted and comes as soon as somebody has it.`,
        { details: { path } },
      );
    },
    async freeSpace(bytes, signal) {
      const files: { id: NodeId; size: number; since: bigint; unkept: boolean }[] = [];
      for await (const row of walk(rootNode)) {
        if (row.kind !== 'file' || row.held !== 'here' || row.stamp.size === 0) continue;
        const { id, stamp } = row;
        files.push({ id, size: stamp.size, since: stamp.ctimeNs, unkept: !keepsFolder(row.parent) });
      }
      // First what need not be here at all, then what came or changed longest ago.
      files.sort(
        (a, b) => Number(b.unkept) - Number(a.unkept) || (a.since < b.since ? -1 : a.since > b.since ? 1 : 0),
      );
      const into = tally();
      for (let at = 0; at < files.length && into.bytes < bytes;) {
        signal.throwIfAborted();
        const batch: NodeId[] = [];
        let sum = into.bytes;
        for (let file = files[at]; file && batch.length < batchFiles && sum < bytes; file = files[++at]) {
          batch.push(file.id);
          sum += file.size;
        }
        await oneByOne(() => freeFiles(batch, into, signal));
      }
      return into;
    },
    async recover() {
      for (let after = ''; ;) {
        const ids = state.local.heldIds('freeing', after, pageSize);
        for (const id of ids) {
          const row = state.local.get(id);
          if (row?.held !== 'freeing') continue;
          await settle(row).catch((error: unknown) =>
            deps.logger.warn(
              { err: error },
              'a half freed file could not be settled; it is tried at the next start',
            ),
          );
        }
        if (ids.length < pageSize) break;
        after = ids.at(-1) ?? '';
      }
    },
    *wanted() {
      for (let after = ''; ;) {
        const ids = state.local.heldIds('wanted', after, pageSize);
        yield* ids;
        if (ids.length < pageSize) return;
        after = ids.at(-1) ?? '';
      }
    },
  };
}
