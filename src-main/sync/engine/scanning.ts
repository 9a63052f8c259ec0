import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { FileContent, NodeId, SealedBlock } from '../../drive/index.ts';
import type { FolderFs } from '../fs/types.ts';
import type { Problems } from '../problems.ts';
import { createImporter, type Importer } from '../scan/importer.ts';
import { checkRoot } from '../scan/root.ts';
import { createScanLoop, type ScanLoop } from '../scan/scan-loop.ts';
import { createScanner, type Scanner } from '../scan/scanner.ts';
import { createWatcherFactory } from '../scan/watcher.ts';
import type { SyncState } from '../state/index.ts';
import type { FolderEntry } from './folder-entry.ts';
import type { FolderSyncDeps } from './folder-sync-deps.ts';
import type { Outgoing } from './outgoing.ts';
import type { RunState } from './run-state.ts';

/** What finds out what is in the folder: watcher and scans, and the reading of files they find. */
export interface Scanning {
  readonly importer: Importer;
  readonly scanner: Scanner;
  readonly scans: ScanLoop;
}

const lengthOf = (blocks: readonly SealedBlock[]): number =>
  blocks.reduce((sum, { ref }) => sum + ref.len, 0);

/**
 * Puts the parts together that find changes in the folder.
 * @param engine the other parts of the folder's engine
 */
export function createScanning(
  deps: Omit<FolderSyncDeps, 'fs'>,
  engine: {
    readonly run: RunState;
    readonly fs: FolderFs;
    readonly entry: FolderEntry;
    readonly state: SyncState;
    readonly problems: Problems;
    /** Steady: see `createSteadyClock`. */
    readonly clock: Clock;
    readonly outgoing: Outgoing;
    /** Files read here that are not in the history yet. */
    readonly pending: Map<NodeId, FileContent>;
    readonly newId: () => NodeId;
    readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
    /** The local row of a node changed (or is gone). */
    readonly dirty: (id: NodeId) => void;
    readonly imported: (content: FileContent, path: string) => void;
    /** Another drive has its place in this folder. */
    readonly endsAt: (id: NodeId) => boolean;
    readonly forgetBeneath: (id: NodeId) => Promise<void>;
    /** The folder can't be scanned (missing, unmarked); null when it can again. */
    readonly halted: (error: AppError | null) => void;
    /** A scan brought something to the agenda, or ended. */
    readonly scanned: () => void;
  },
): Scanning {
  const { drive, exchange, content, folder, random, logger } = deps;
  const { run, fs, entry, state, problems, clock, outgoing, pending, newId, exclusive, dirty } = engine;
  const again = (dir: string, ms: number): void => scans.hint(dir, ms);

  const importer = createImporter({
    content,
    folder,
    state,
    problems,
    newId,
    sealKey: () => {
      const epoch = drive.currentEpoch();
      return { epoch, key: drive.contentKey(epoch) };
    },
    previous(id) {
      const synced = state.synced.get(id);
      const agreed = synced === null ? null : drive.contentOf(synced.version);
      return pending.get(id) ?? (agreed?.kind === 'file' ? agreed : null);
    },
    pending,
    dirty,
    again,
    async early(token, id, blocks) {
      await exchange.announceEarly(drive.id, token, id, blocks);
      outgoing.sent(id, lengthOf(blocks));
    },
    wanted: () => exchange.wantsSealed(drive.id),
    keep(id, blocks) {
      exchange.keepSealed(drive.id, blocks);
      outgoing.sent(id, lengthOf(blocks));
    },
    room: () => exchange.sealedRoom(),
    imported: engine.imported,
    logger,
  });

  const scanner = createScanner({
    fs,
    folder,
    state,
    problems,
    newId,
    inDrive: (id) => drive.tree.get(id) !== null || drive.tree.past(id, 1).length > 0,
    rules: () => entry.rules(),
    import: (item) => importer.add(item),
    dirty,
    again,
    exclusive,
    newFolder: (path) => scans.newFolder(path),
    movedFolder: (from, to) => scans.movedFolder(from, to),
    checkRoot: () => checkRoot(fs, folder, drive.id),
    endsAt: engine.endsAt,
    forgetBeneath: engine.forgetBeneath,
    now: () => clock.now(),
    wallNow: () => deps.clock.now(),
  });

  const scans: ScanLoop = createScanLoop({
    scanner,
    watcher: deps.watcher ?? createWatcherFactory({ logger, clock }),
    folder,
    clock,
    random,
    logger,
    // What is on its way counts: the watcher that comes later would have to look at all of it again.
    entries() {
      const { files, dirs } = drive.tree.count();
      return Math.max(state.local.count().entries, files + dirs);
    },
    async prepare() {
      await entry.enter();
      return entry.readRules();
    },
    drained: () => importer.idle(),
    paused: () => run.paused || run.stopping,
    halted: engine.halted,
    watchFailed(error) {
      if (error === null) problems.whole('watch', null);
      else {
        problems.whole(
          'watch',
          new AppError(
            'unsupported',
            'Changes can’t be watched here (the system’s limit of watches may be reached: fs.inotify.max_user_watches); the folder is scanned every half minute instead.',
            { cause: error },
          ),
        );
      }
    },
    changed: engine.scanned,
  });

  return { importer, scanner, scans };
}
