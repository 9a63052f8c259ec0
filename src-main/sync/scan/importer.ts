import { isAppError, AppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import type { ContentIo, FileContent, Indexed, NodeId, SealedBlock, SealKey } from '../../drive/index.ts';
import { rootNode } from '../../drive/index.ts';
import { contentKey } from '../plan/rows.ts';
import type { Problems } from '../problems.ts';
import type { SyncState } from '../state/index.ts';
import type { Held } from '../types.ts';
import { layout } from './root.ts';
import { parentOf } from './places.ts';

/** A file to be read because it is new or its stamp differs. */
export interface ImportItem {
  /** null for a file without a row. */
  readonly id: NodeId | null;
  /** Of a file without a row: the node it is, when that is known. */
  readonly as: NodeId | null;
  readonly parent: NodeId;
  readonly name: string;
  readonly raw: string | null;
  readonly path: string;
  readonly birthNs: bigint;
  readonly size: number;
  /** How its row was held when the file was found; null: it had none. */
  readonly held: Held | null;
}

export interface ImporterDeps {
  readonly content: ContentIo;
  readonly folder: string;
  readonly state: SyncState;
  readonly problems: Problems;
  readonly newId: () => NodeId;
  readonly sealKey: () => SealKey;
  /** The content the file had when it was last agreed on, for the rolling match. */
  readonly previous: (id: NodeId) => FileContent | null;
  /** Manifests that are not in the history yet; the committer takes them from here. */
  readonly pending: Map<NodeId, FileContent>;
  readonly dirty: (id: NodeId) => void;
  readonly again: (dir: string, ms: number) => void;
  /** Told of the blocks of a large file while it is still being read; awaited. */
  readonly early?: (token: string, id: NodeId, blocks: readonly SealedBlock[]) => Promise<void>;
  /** Whether somebody asks for what is new as soon as it is told of. */
  readonly wanted?: () => boolean;
  /** Blocks of a small file that is not told of yet, as they were sealed; the receiver's own. */
  readonly keep?: (id: NodeId, blocks: readonly SealedBlock[]) => void;
  /** Resolves when those who ask have caught up with what was kept. */
  readonly room?: () => Promise<void>;
  readonly imported: (content: FileContent, path: string) => void;
  readonly logger: Logger;
}

export interface Importer {
  /** Resolves when there is room for more. */
  add(item: ImportItem): Promise<void>;
  /** Resolves when everything added so far has been read. */
  idle(): Promise<void>;
  readonly busy: () => boolean;
  queued(): number;
  stop(): Promise<void>;
}

const batchFiles = 256;
/** Few megabytes, so that the first of many files are on their way while the next are read. */
const batchBytes = 4 * 1024 * 1024;
const queueLimit = 1024;
const earlySize = 4 * 1024 * 1024;
/** How often a file may change under our eyes before a person is told. */
const patience = 5;

export function createImporter(deps: ImporterDeps): Importer {
  const { state, problems } = deps;
  const at = layout(deps.folder).at;
  const queue = new Map<string, ImportItem>();
  const stopping = new AbortController();
  const ended = new Promise<void>((done) => {
    stopping.signal.addEventListener('abort', () => done(), { once: true });
  });
  const retries = new Map<string, number>();
  let running = 0;
  let tokens = 0;
  let waiters: (() => void)[] = [];

  function wake(): void {
    const woken = waiters;
    waiters = [];
    for (const done of woken) done();
  }
  const changed = (): Promise<void> => new Promise((done) => waiters.push(done));

  function nextBatch(): ImportItem[] {
    const batch: ImportItem[] = [];
    let bytes = 0;
    for (const [path, item] of queue) {
      if (batch.length > 0 && (batch.length >= batchFiles || bytes + item.size > batchBytes)) break;
      queue.delete(path);
      batch.push(item);
      bytes += item.size;
    }
    return batch;
  }

  function pump(): void {
    // One batch is read by the workers while the rows of the other are written.
    while (running < 2 && queue.size > 0 && !stopping.signal.aborted) {
      running += 1;
      void runBatch(nextBatch()).finally(() => {
        running -= 1;
        wake();
        pump();
      });
    }
  }

  async function runBatch(batch: readonly ImportItem[]): Promise<void> {
    try {
      const wanted = deps.wanted?.() ?? false;
      if (wanted) await Promise.race([deps.room?.(), ended]);
      if (stopping.signal.aborted) return;
      const seal = deps.sealKey();
      const ids = batch.map((item) => item.id ?? item.as ?? deps.newId());
      const inputs = batch.map((item, index) => {
        const id = ids[index] ?? '';
        const { early, keep } = deps;
        const previous = item.id === null ? null : deps.previous(item.id);
        const input = { path: at(item.path), seal, previous };
        if (item.size < earlySize && wanted && keep !== undefined) {
          return {
            ...input,
            onSealed: (blocks: readonly SealedBlock[]) => Promise.resolve(keep(id, blocks)),
          };
        }
        if (early === undefined || item.size < earlySize) return input;
        const token = `${id}-${++tokens}`;
        return { ...input, onSealed: (blocks: readonly SealedBlock[]) => early(token, id, blocks) };
      });
      const results = await deps.content.index(inputs, stopping.signal);
      if (stopping.signal.aborted) return;
      await state.inSlices(results.entries(), ([index, result]) => {
        const item = batch[index];
        if (item === undefined || stopping.signal.aborted) return;
        if (result instanceof Error) failed(item, result);
        else take(item, ids[index] ?? deps.newId(), result);
      });
    } catch (error) {
      if (stopping.signal.aborted) return;
      for (const item of batch) failed(item, error);
    }
  }

  function take(item: ImportItem, newId: NodeId, { content, stamp }: Indexed): void {
    const row = item.id === null ? null : state.local.get(item.id);
    const taken = state.local.child(item.parent, item.name);
    // Its folder may have been moved while it was read, and something else may stand at the old path.
    const dir = item.parent === rootNode ? '' : state.local.path(item.parent);
    const elsewhere = row !== null && (row.parent !== item.parent || row.name !== item.name);
    // Something moved meanwhile: the next scan sees it as it is then.
    if (
      (item.id !== null && row?.kind !== 'file') ||
      (item.as !== null && state.local.get(item.as) !== null) ||
      // Freed meanwhile (so that it is not there any more), or brought here.
      (row !== null && (row.held === 'here') !== (item.held === 'here')) ||
      row?.held === 'freeing' ||
      elsewhere ||
      (item.id === null && taken !== null) ||
      dir === null ||
      dir !== parentOf(item.path)
    ) {
      lookAgain(item, 0);
      return;
    }
    const id = row?.id ?? newId;
    const next = {
      id,
      parent: row?.parent ?? item.parent,
      name: row?.name ?? item.name,
      raw: row === null ? item.raw : row.raw,
      kind: 'file' as const,
      content: contentKey(content),
      exec: content.exec,
      version: '',
      stamp,
      birthNs: item.birthNs,
      held: 'here' as const,
    };
    state.local.set(next);
    state.blocks.set(id, content);
    const synced = state.synced.get(id);
    if (synced?.content === next.content && synced.exec === next.exec) {
      deps.pending.delete(id);
      // In the place of a placeholder, and what it stood for.
      state.synced.setOnline(id, false);
    } else deps.pending.set(id, content);
    retries.delete(item.path);
    problems.clear(item.path);
    deps.dirty(id);
    deps.imported(content, item.path);
  }

  /** Where it was seen and where it is now: its folder, or the file itself, may have been moved while it was read. */
  function lookAgain(item: ImportItem, ms: number): void {
    const dirs = new Set([item.parent]);
    const row = item.id === null ? null : state.local.get(item.id);
    if (row !== null) dirs.add(row.parent);
    for (const dir of dirs) {
      const path = dir === rootNode ? '' : state.local.path(dir);
      if (path !== null) deps.again(path, ms);
    }
  }

  function failed(item: ImportItem, error: unknown): void {
    if (isAppError(error, 'not_found') || isAppError(error, 'cancelled')) return lookAgain(item, 100);
    const failure = isAppError(error)
      ? error
      : new AppError('internal', 'It could not be read.', { cause: error });
    const times = (retries.get(item.path) ?? 0) + 1;
    retries.set(item.path, times);
    if (failure.code !== 'changed_while_reading') {
      problems.add(item.path, failure);
      deps.logger.warn({ code: failure.code, err: failure }, 'a file could not be read');
      lookAgain(item, 30_000);
      return;
    }
    if (times >= patience) {
      problems.add(
        item.path,
        new AppError(
          'changed_while_reading',
          'It is being written to all the time; it will be synced when it rests.',
        ),
      );
    }
    lookAgain(item, Math.min(30_000, 200 * 2 ** Math.min(times, 8)));
  }

  return {
    async add(item) {
      queue.set(item.path, item);
      pump();
      while (queue.size > queueLimit && !stopping.signal.aborted) await changed();
    },
    async idle() {
      while ((queue.size > 0 || running > 0) && !stopping.signal.aborted) await changed();
    },
    busy: () => queue.size > 0 || running > 0,
    queued: () => queue.size,
    async stop() {
      stopping.abort();
      queue.clear();
      wake();
      while (running > 0) await changed();
    },
  };
}
