import { isAppError, AppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import type { ContentIo, FileContent, Indexed, NodeId, SealedBlock, SealKey } from '../../drive/index.ts';
import { rootNode } from '../../drive/index.ts';
import { contentKey } from '../plan/rows.ts';
import type { Problems } from '../problems.ts';
import type { SyncState } from '../state/index.ts';
import { layout } from './root.ts';

/** A file to be read because it is new or its stamp differs. */
export interface ImportItem {
  /** null for a file without a row. */
  readonly id: NodeId | null;
  readonly parent: NodeId;
  readonly name: string;
  readonly raw: string | null;
  readonly path: string;
  readonly birthNs: bigint;
  readonly size: number;
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
const batchBytes = 16 * 1024 * 1024;
const queueLimit = 1024;
const earlySize = 4 * 1024 * 1024;
/** How often a file may change under our eyes before a person is told. */
const patience = 5;

export function createImporter(deps: ImporterDeps): Importer {
  const { state, problems } = deps;
  const at = layout(deps.folder).at;
  const queue = new Map<string, ImportItem>();
  const stopping = new AbortController();
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
      const seal = deps.sealKey();
      const ids = batch.map((item) => item.id ?? deps.newId());
      const inputs = batch.map((item, index) => {
        const id = ids[index] ?? '';
        const { early } = deps;
        const previous = item.id === null ? null : deps.previous(item.id);
        const input = { path: at(item.path), seal, previous };
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
    const parentHere = item.parent === rootNode || state.local.get(item.parent) !== null;
    const elsewhere = row !== null && (row.parent !== item.parent || row.name !== item.name);
    // Something moved meanwhile: the next scan sees it as it is then.
    if (
      (item.id !== null && row?.kind !== 'file') ||
      elsewhere ||
      (item.id === null && taken !== null) ||
      !parentHere
    ) {
      if (elsewhere) deps.again(parentOf(state.local.path(row.id) ?? item.path), 0);
      deps.again(parentOf(item.path), 0);
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
    };
    state.local.set(next);
    state.blocks.set(id, content);
    const synced = state.synced.get(id);
    if (synced?.content === next.content && synced.exec === next.exec) deps.pending.delete(id);
    else deps.pending.set(id, content);
    retries.delete(item.path);
    problems.clear(item.path);
    deps.dirty(id);
    deps.imported(content, item.path);
  }

  function failed(item: ImportItem, error: unknown): void {
    const dir = parentOf(item.path);
    if (isAppError(error, 'not_found') || isAppError(error, 'cancelled')) return deps.again(dir, 100);
    const failure = isAppError(error)
      ? error
      : new AppError('internal', 'It could not be read.', { cause: error });
    const times = (retries.get(item.path) ?? 0) + 1;
    retries.set(item.path, times);
    if (failure.code !== 'changed_while_reading') {
      problems.add(item.path, failure);
      deps.logger.warn({ code: failure.code, err: failure }, 'a file could not be read');
      deps.again(dir, 30_000);
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
    deps.again(dir, Math.min(30_000, 200 * 2 ** Math.min(times, 8)));
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

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
