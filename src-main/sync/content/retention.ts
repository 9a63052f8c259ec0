import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { releaseShared } from '../../../src-shared/shared-memory.ts';
import type { ContentIo, Drive, FileContent, SealRequest } from '../../drive/index.ts';
import type { Exchange } from '../../exchange/index.ts';
import type { Chunk, ChunkStore } from '../../store/index.ts';
import type { FolderFs } from '../fs/types.ts';
import { contentKey } from '../plan/rows.ts';
import { layout } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';

/**
 * Keeps the bytes of versions made on this computer, since an editor that overwrites a file leaves nothing to restore:
 * shared on disk (reflink) where the file system can, as ciphertext where not, within a budget.
 */
export interface Retention {
  add(content: FileContent, path: string): void;
  block(id: Uint8Array): Promise<Uint8Array | null>;
  has(content: string): boolean;
  /** Lets go of a version, as its bytes are to take no space here. */
  release(content: string): Promise<void>;
  /** The plain file, when it is retained as one. */
  file(content: string): string | null;
  /** Nothing waits to be retained. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** What is sealed and kept in one go. */
const batchBytes = 4 * 1024 * 1024;
const batchFiles = 64;
const queueLimit = 20_000;
/** How long no block moved before the line counts as quiet. ms. */
const quietMs = 700;

/** A version that is to be kept as ciphertext. */
interface Version {
  readonly key: string;
  readonly content: FileContent;
  readonly path: string;
  readonly stamp: SealRequest['stamp'];
}

export function createRetention(deps: {
  readonly drive: Drive;
  /** While blocks of the drive go out or come in, retaining waits: both want the same processor and disk. */
  readonly exchange: Pick<Exchange, 'on'>;
  readonly fs: FolderFs;
  readonly content: ContentIo;
  readonly chunks: ChunkStore;
  readonly folder: string;
  readonly state: SyncState;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes all retained versions of this drive may take. */
  readonly budget: () => number;
  /** True while there is more urgent work: what is retained can wait a moment. */
  readonly busy: () => boolean;
}): Retention {
  const { fs, state, chunks } = deps;
  const { db } = state;
  const paths = layout(deps.folder);
  const queue = new Map<string, { readonly content: FileContent; readonly path: string }>();
  const one = db.prepare<[string], { how: string; bytes: number }>(
    'SELECT how, bytes FROM sync_retained WHERE content = ?',
  );
  const note = db.prepare('INSERT OR REPLACE INTO sync_retained VALUES (?, ?, ?, ?)');
  const noteBlock = db.prepare('INSERT OR IGNORE INTO sync_retained_blocks VALUES (?, ?)');
  const oldest = db.prepare<[], { content: string; how: string; bytes: number }>(
    'SELECT content, how, bytes FROM sync_retained ORDER BY at LIMIT 1',
  );
  const erase = db.prepare('DELETE FROM sync_retained WHERE content = ?');
  const onlyIn = db.prepare<[string, string], { block: Buffer }>(
    `SELECT block FROM sync_retained_blocks AS mine WHERE content = ? AND NOT EXISTS
       (SELECT 1 FROM sync_retained_blocks AS other WHERE other.block = mine.block AND other.content <> ?)`,
  );
  const blocksOf = db.prepare<[string], { block: Buffer }>(
    'SELECT block FROM sync_retained_blocks WHERE content = ?',
  );
  const eraseBlocks = db.prepare('DELETE FROM sync_retained_blocks WHERE content = ?');
  let total = db.prepare<[], { n: number | null }>('SELECT sum(bytes) AS n FROM sync_retained').get()?.n ?? 0;
  let canReflink: boolean | null = null;
  let running: Promise<void> | null = null;
  let stopped = false;
  let movedAt = -Infinity;
  const unlisten = deps.exchange.on('progress', ({ driveId }) => {
    if (driveId === deps.drive.id) movedAt = deps.clock.now();
  });

  const fileOf = (content: string): string => `${paths.versions}/${content}`;

  async function asReflink(key: string, path: string): Promise<boolean> {
    if (canReflink === false) return false;
    await fs.mkdir(paths.versions);
    if ((await fs.lstat(fileOf(key))) === null && !(await fs.reflink(paths.at(path), fileOf(key)))) {
      canReflink = false;
      return false;
    }
    canReflink = true;
    return true;
  }

  /** Keeps the blocks of these versions as ciphertext, many small ones in one go; the keys of those that could not be kept whole. */
  async function asCiphertext(versions: readonly Version[]): Promise<ReadonlySet<string>> {
    const failed = new Set<string>();
    let batch: SealRequest[] = [];
    let owners: string[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      const sealed = batch.length === 0 ? [] : await deps.content.seal(batch);
      try {
        const made: Chunk[] = [];
        for (const [i, ciphertext] of sealed.entries()) {
          const request = batch[i];
          if (ciphertext && request) made.push({ id: request.ref.id, bytes: ciphertext });
          else failed.add(owners[i] ?? '');
        }
        await chunks.put(made);
      } finally {
        for (const ciphertext of sealed) if (ciphertext) releaseShared(ciphertext);
      }
      batch = [];
      owners = [];
      bytes = 0;
    };
    for (const { key, content, path, stamp } of versions) {
      let offset = 0;
      for (const ref of content.blocks) {
        if (batch.length === 0) await quiet();
        if (stopped) return new Set(versions.map((version) => version.key));
        if (failed.has(key)) break;
        if (!chunks.has(ref.id)) {
          batch.push({ path: paths.at(path), offset, ref, key: deps.drive.contentKey(ref.epoch), stamp });
          owners.push(key);
          bytes += ref.len;
          if (bytes >= batchBytes) await flush();
        }
        offset += ref.len;
      }
    }
    await flush();
    return failed;
  }

  /** Shares the bytes of a file with the version where the file system can; else says what is to be kept as ciphertext. */
  async function retainOrTell(content: FileContent, path: string): Promise<Version | null> {
    const key = contentKey(content);
    if (one.get(key) !== undefined || content.size > deps.budget()) return null;
    const row = state.local.byContent(key, 8).find((candidate) => state.local.path(candidate.id) === path);
    if (row === undefined) return null;
    if (!(await asReflink(key, path))) return { key, content, path, stamp: row.stamp };
    // What was shared is this version only when the file was not written to meanwhile.
    const stat = await fs.lstat(paths.at(path));
    if (stat === null || stat.mtimeNs !== row.stamp.mtimeNs || stat.size !== row.stamp.size)
      await fs.unlink(fileOf(key));
    else noteAll('reflink', [{ key, content }]);
    return null;
  }

  function noteAll(how: 'reflink' | 'chunks', kept: readonly Pick<Version, 'key' | 'content'>[]): void {
    state.transaction(() => {
      for (const { key, content } of kept) note.run(key, how, content.size, deps.clock.now());
    });
    total += kept.reduce((sum, { content }) => sum + content.size, 0);
  }

  async function retain(batch: readonly { content: FileContent; path: string }[]): Promise<void> {
    const versions: Version[] = [];
    for (const { content, path } of batch) {
      const version = await retainOrTell(content, path);
      if (version) versions.push(version);
    }
    if (versions.length > 0) {
      // Noted before the first byte, so that a crash leaves nothing that eviction would not find.
      state.transaction(() => {
        for (const { key, content } of versions) for (const { id } of content.blocks) noteBlock.run(id, key);
      });
      let failed: ReadonlySet<string> = new Set(versions.map(({ key }) => key));
      try {
        failed = await asCiphertext(versions);
      } finally {
        noteAll(
          'chunks',
          versions.filter(({ key }) => !failed.has(key)),
        );
        for (const key of failed) await drop(key, 'chunks');
      }
    }
    await evict();
  }

  async function drop(key: string, how: string): Promise<void> {
    if (how === 'reflink') await fs.unlink(fileOf(key));
    else {
      await chunks.delete(onlyIn.all(key, key).map(({ block }) => block));
      eraseBlocks.run(key);
    }
    erase.run(key);
  }

  async function evict(): Promise<void> {
    while (total > deps.budget()) {
      const victim = oldest.get();
      if (victim === undefined) return;
      await drop(victim.content, victim.how);
      total -= victim.bytes;
    }
  }

  /** Resolves when there is nothing more urgent to do. */
  async function quiet(): Promise<void> {
    while (!stopped && (deps.busy() || deps.clock.now() < movedAt + quietMs)) {
      await new Promise<void>((done) => void deps.clock.after(100, done));
    }
  }

  async function work(): Promise<void> {
    while (queue.size > 0 && !stopped) {
      await quiet();
      try {
        await retain(nextBatch());
      } catch (error) {
        deps.logger.warn({ err: error }, 'a version could not be retained');
      }
    }
  }
  function nextBatch(): { content: FileContent; path: string }[] {
    const batch: { content: FileContent; path: string }[] = [];
    let bytes = 0;
    for (const [key, next] of queue) {
      if (batch.length > 0 && (bytes + next.content.size > batchBytes || batch.length >= batchFiles)) break;
      queue.delete(key);
      batch.push(next);
      bytes += next.content.size;
    }
    return batch;
  }

  return {
    add(content, path) {
      // Small files ride in the history and empty ones have nothing to keep.
      if (content.blocks.length === 0 || queue.size >= queueLimit || stopped) return;
      queue.set(contentKey(content), { content, path });
      running ??= work().finally(() => {
        running = null;
      });
    },
    block: (id) => chunks.get(id),
    has(content) {
      const kept = one.get(content);
      if (kept?.how !== 'chunks') return kept !== undefined;
      // The store may have dropped chunks within its own budget.
      return blocksOf.all(content).every(({ block }) => chunks.has(block));
    },
    async release(content) {
      queue.delete(content);
      const kept = one.get(content);
      if (kept === undefined) return;
      await drop(content, kept.how);
      total -= kept.bytes;
    },
    file: (content) => (one.get(content)?.how === 'reflink' ? fileOf(content) : null),
    async idle() {
      while (running !== null) await running;
    },
    async stop() {
      stopped = true;
      unlisten();
      queue.clear();
      await running;
    },
  };
}
