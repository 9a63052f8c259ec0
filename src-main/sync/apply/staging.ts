import { createHash } from 'node:crypto';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type {
  BlockRef,
  ContentIo,
  CopyRequest,
  Drive,
  FileContent,
  NodeId,
  PlaceRequest,
} from '../../drive/index.ts';
import type { Exchange, FetchRequest } from '../../exchange/index.ts';
import type { FolderFs } from '../fs/types.ts';
import { createPace } from '../pace.ts';
import { contentKey } from '../plan/rows.ts';
import { layout } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';

/** One file on its way into the folder. */
export interface StagedFile {
  readonly node: NodeId;
  readonly content: FileContent;
  /** Name and path of the temp file. */
  readonly name: string;
  readonly temp: string;
}

export interface StagingDeps {
  readonly drive: Drive;
  readonly exchange: Exchange;
  readonly content: ContentIo;
  readonly fs: FolderFs;
  readonly folder: string;
  readonly state: SyncState;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Everything of this file is in its temp file. */
  readonly ready: (node: NodeId) => void;
  readonly diskFull: () => void;
  /** Ciphertext this computer holds elsewhere (retained versions); null when it does not. */
  readonly retained: (id: Uint8Array) => Promise<Uint8Array | null>;
  /** Files outside the folder's tree (trash, retained versions) that hold exactly this content. */
  readonly wholeFiles: (content: string) => readonly string[];
}

/** Brings content into temp files: from other local files, from what is retained, else from the members. */
export interface Staging {
  /** Asks for a file (again); what was asked for that node before and differs is given up. */
  want(node: NodeId, content: FileContent): void;
  /** The file, when all of it is there. */
  take(node: NodeId, content: FileContent): StagedFile | null;
  /** No longer wanted. */
  drop(node: NodeId): void;
  /** After landing: forgets the temp file, which is no longer there. */
  landed(node: NodeId): void;
  /** Blocks fetched ahead of their entry; used when content with them is asked for. */
  prefetch(token: string, blocks: readonly { readonly ref: BlockRef; readonly offset: number }[]): void;
  count(): number;
  missingBytes(): number;
  /** Nobody reachable has some of it. */
  unreachable(): number;
  retry(): void;
  setPaused(paused: boolean): void;
  stop(): Promise<void>;
}

interface Job extends StagedFile {
  /** Distinct blocks still missing, by hex id, with the places they belong to. */
  readonly missing: Map<
    string,
    { readonly ref: BlockRef; readonly offsets: number[]; readonly indexes: number[] }
  >;
  readonly have: Uint8Array;
  missingBytes: number;
  state: 'queued' | 'active' | 'ready' | 'gone' | 'full';
  unsaved: number;
  readonly abort: AbortController;
}

const activeBytes = 96 * 1024 * 1024;
const activeFiles = 768;
/** Placed blocks after which what is there is noted for a restart. */
const saveEvery = 64;
const retryDelay = 3000;
/** Bytes left free on the disk. */
const floorBytes = 1024 * 1024;

export function createStaging(deps: StagingDeps): Staging {
  const { state, drive } = deps;
  const paths = layout(deps.folder);
  const jobs = new Map<NodeId, Job>();
  const active = new Set<Promise<void>>();
  const pace = createPace();
  const stopping = new AbortController();
  const early = new Map<
    string,
    { readonly path: string; readonly blocks: Map<string, { ref: BlockRef; offset: number }> }
  >();
  let bytesActive = 0;
  let filesActive = 0;
  let paused = false;
  let retryTimer: (() => void) | null = null;

  const load = state.db.prepare<[string], { have: Buffer; content: string }>(
    'SELECT have, content FROM sync_staging WHERE name = ?',
  );
  const save = state.db.prepare(
    'INSERT OR REPLACE INTO sync_staging (name, node, content, have) VALUES (?, ?, ?, ?)',
  );
  const forget = state.db.prepare('DELETE FROM sync_staging WHERE name = ?');

  function makeJob(node: NodeId, content: FileContent): Job {
    // The same content for the same node resumes its temp file, whatever entry names it.
    const name = `${node}-${contentKey(content).slice(0, 32)}`;
    const job: Job = {
      node,
      content,
      name,
      temp: `${paths.tmp}/${name}`,
      missing: new Map(),
      have: new Uint8Array(Math.ceil(content.blocks.length / 8)),
      missingBytes: 0,
      state: 'queued',
      unsaved: 0,
      abort: new AbortController(),
    };
    let offset = 0;
    content.blocks.forEach((ref, index) => {
      const key = hex(ref.id);
      const known = job.missing.get(key);
      if (known) {
        known.offsets.push(offset);
        known.indexes.push(index);
      } else {
        job.missing.set(key, { ref, offsets: [offset], indexes: [index] });
        job.missingBytes += ref.len;
      }
      offset += ref.len;
    });
    return job;
  }

  function placed(job: Job, key: string): void {
    const block = job.missing.get(key);
    if (!block) return;
    job.missing.delete(key);
    job.missingBytes -= block.ref.len;
    for (const index of block.indexes)
      job.have[index >> 3] = (job.have[index >> 3] ?? 0) | (1 << (index & 7));
    job.unsaved += 1;
    if (job.unsaved >= saveEvery) saveJob(job);
  }

  function saveJob(job: Job): void {
    if (job.unsaved === 0 || job.state === 'ready') return;
    job.unsaved = 0;
    save.run(job.name, job.node, contentKey(job.content), job.have);
  }

  function pump(): void {
    if (paused || stopping.signal.aborted) return;
    for (const job of jobs.values()) {
      if (filesActive >= activeFiles || (filesActive > 0 && bytesActive >= activeBytes)) return;
      if (job.state === 'queued') start(job);
    }
  }

  const starting: Job[] = [];
  function start(job: Job): void {
    job.state = 'active';
    const bytes = job.missingBytes;
    bytesActive += bytes;
    filesActive += 1;
    starting.push(job);
    // Files asked for in one breath go to the network in one request.
    if (starting.length === 1) {
      queueMicrotask(() => {
        const batch = starting.splice(0);
        const cost = batch.reduce((sum, one) => sum + one.missingBytes, 0);
        const run = runBatch(batch).finally(() => {
          active.delete(run);
          bytesActive -= cost;
          filesActive -= batch.length;
          pump();
        });
        active.add(run);
      });
    }
  }

  async function runBatch(batch: readonly Job[]): Promise<void> {
    try {
      const need = batch.reduce((sum, job) => sum + job.missingBytes, 0);
      if (need > 0 && (await deps.fs.freeBytes(paths.tmp)) < need + floorBytes) {
        throw new AppError('disk_full', 'The disk is full.');
      }
      await resume(batch);
      await copyLocal(batch);
      await fetchRest(batch);
    } catch (error) {
      if (isAppError(error, 'disk_full')) full(batch);
      else if (!isAppError(error, 'cancelled') && !isAppError(error, 'gone')) {
        deps.logger.warn({ err: error }, 'content could not be brought in; it is tried again');
      }
    }
    for (const job of batch) {
      if (jobs.get(job.node) !== job) continue;
      if (job.missing.size === 0) {
        job.state = 'ready';
        if (job.unsaved > 0) forget.run(job.name);
        deps.ready(job.node);
      } else {
        saveJob(job);
        if (job.state === 'active') {
          job.state = 'gone';
          scheduleRetry();
        }
      }
    }
  }

  function full(batch: readonly Job[]): void {
    for (const job of batch) if (job.state === 'active') job.state = 'full';
    deps.diskFull();
  }

  /** What an earlier run has placed counts only after its bytes were hashed again: a power cut may have lost them. */
  async function resume(batch: readonly Job[]): Promise<void> {
    const copies: { readonly job: Job; readonly key: string; readonly request: CopyRequest }[] = [];
    for (const job of batch) {
      const saved = job.content.blocks.length === 0 ? undefined : load.get(job.name);
      if (saved === undefined || saved.content !== contentKey(job.content)) continue;
      for (const [key, { ref, offsets, indexes }] of job.missing) {
        if (!indexes.every((index) => ((saved.have[index >> 3] ?? 0) >> (index & 7)) & 1)) continue;
        for (const offset of offsets) {
          const request = { from: job.temp, fromOffset: offset, to: job.temp, toOffset: offset, ref };
          copies.push({ job, key, request });
        }
      }
    }
    await copyAll(copies);
  }

  async function copyAll(
    copies: readonly { readonly job: Job; readonly key: string; readonly request: CopyRequest }[],
  ): Promise<void> {
    if (copies.length === 0) return;
    const results = await deps.content.copy(copies.map(({ request }) => request));
    const failed = new Set<string>();
    results.forEach((result, index) => {
      const copy = copies[index];
      if (result instanceof Error && copy) failed.add(`${copy.job.name}/${copy.key}`);
      if (isAppError(result, 'disk_full')) throw result;
    });
    for (const { job, key } of copies) if (!failed.has(`${job.name}/${key}`)) placed(job, key);
  }

  /** Where blocks lie in files of the folder (the old version, other files), in early temp files, or in retained versions. */
  async function copyLocal(batch: readonly Job[]): Promise<void> {
    const copies: { readonly job: Job; readonly key: string; readonly request: CopyRequest }[] = [];
    const kept: { readonly job: Job; readonly key: string }[] = [];
    for (const job of batch) {
      const whole = job.missing.size === 0 ? undefined : deps.wholeFiles(contentKey(job.content))[0];
      for (const [key, { ref, offsets }] of job.missing) {
        await pace.breathe();
        const source =
          sourceOf(job, key, ref) ??
          (whole === undefined ? null : { from: whole, fromOffset: offsets[0] ?? 0 });
        if (source === null) kept.push({ job, key });
        else {
          for (const toOffset of offsets) {
            copies.push({ job, key, request: { ...source, to: job.temp, toOffset, ref } });
          }
        }
      }
    }
    await copyAll(copies);
    for (const { job, key } of kept) {
      const block = job.missing.get(key);
      if (block === undefined) continue;
      const ciphertext = await deps.retained(block.ref.id);
      if (ciphertext !== null) await place(job, key, ciphertext).catch(ignoreBadBlock);
    }
  }

  function sourceOf(job: Job, key: string, ref: BlockRef): { from: string; fromOffset: number } | null {
    for (const { node, offset, ref: other } of state.blocks.find(ref.id, 4)) {
      const path = other.len === ref.len ? state.local.path(node) : null;
      if (path !== null) return { from: paths.at(path), fromOffset: offset };
    }
    for (const staged of early.values()) {
      const found = staged.blocks.get(key);
      if (found !== undefined && staged.path !== job.temp)
        return { from: staged.path, fromOffset: found.offset };
    }
    return null;
  }

  async function fetchRest(batch: readonly Job[]): Promise<void> {
    const requests: FetchRequest[] = [];
    const asked = new Map<string, Job[]>();
    for (const job of batch) {
      for (const [key, { ref }] of job.missing) {
        const sharers = asked.get(key);
        if (sharers) {
          sharers.push(job);
          continue;
        }
        const jobsOfBlock = [job];
        asked.set(key, jobsOfBlock);
        requests.push({
          ref,
          accept: async (ciphertext) => {
            await Promise.all(
              jobsOfBlock.map(async (one) => {
                if (jobs.get(one.node) === one) await place(one, key, ciphertext);
              }),
            );
          },
        });
      }
    }
    if (requests.length === 0) return;
    const signal = batch.length === 1 && batch[0] ? batch[0].abort.signal : stopping.signal;
    await deps.exchange.fetch(drive.id, requests, AbortSignal.any([signal, stopping.signal]));
  }

  // Blocks come one by one; those that come while a batch is being written make up the next.
  let placing = false;
  const toPlace: { readonly request: PlaceRequest; done(): void; fail(error: Error): void }[] = [];
  async function place(job: Job, key: string, ciphertext: Uint8Array): Promise<void> {
    const block = job.missing.get(key);
    if (block === undefined) return;
    await enqueue({
      ref: block.ref,
      key: drive.contentKey(block.ref.epoch),
      ciphertext,
      path: job.temp,
      offsets: block.offsets,
    });
    placed(job, key);
  }
  function enqueue(request: PlaceRequest): Promise<void> {
    return new Promise((done, fail) => {
      toPlace.push({ request, done, fail });
      if (!placing) {
        placing = true;
        queueMicrotask(() => void placeAll());
      }
    });
  }
  async function placeAll(): Promise<void> {
    while (toPlace.length > 0) {
      const batch = toPlace.splice(0, 256);
      try {
        const results = await deps.content.place(batch.map(({ request }) => request));
        batch.forEach((one, index) => {
          const result = results[index];
          if (result instanceof Error) one.fail(result);
          else one.done();
          if (isAppError(result, 'disk_full')) deps.diskFull();
        });
      } catch (error) {
        for (const one of batch) one.fail(error instanceof Error ? error : new Error(String(error)));
      }
    }
    placing = false;
  }

  function scheduleRetry(): void {
    retryTimer ??= deps.clock.after(retryDelay, () => {
      retryTimer = null;
      staging.retry();
    });
  }

  function discard(job: Job): void {
    job.abort.abort(new AppError('cancelled', 'No longer wanted.'));
    jobs.delete(job.node);
    forget.run(job.name);
    void deps.fs.unlink(job.temp).catch(() => {});
  }

  const staging: Staging = {
    want(node, content) {
      const before = jobs.get(node);
      if (before && contentKey(before.content) === contentKey(content) && sameBlocks(before.content, content))
        return;
      const job = makeJob(node, content);
      // Another version of the same bytes under the same temp name must not lose it.
      if (before && before.name !== job.name) discard(before);
      else before?.abort.abort(new AppError('cancelled', 'Asked for anew.'));
      jobs.set(node, job);
      pump();
    },
    take(node, content) {
      const job = jobs.get(node);
      return job?.state === 'ready' && contentKey(job.content) === contentKey(content)
        ? { ...job, content }
        : null;
    },
    drop(node) {
      const job = jobs.get(node);
      if (job) discard(job);
    },
    landed(node) {
      const job = jobs.get(node);
      if (!job) return;
      jobs.delete(node);
      forget.run(job.name);
    },
    prefetch(token, blocks) {
      if (paused || stopping.signal.aborted) return;
      let staged = early.get(token);
      if (!staged) {
        if (early.size >= 8) {
          const [oldest, file] = early.entries().next().value ?? [];
          if (oldest !== undefined) early.delete(oldest);
          if (file) void deps.fs.unlink(file.path).catch(() => {});
        }
        const name = createHash('sha256').update(token).digest('hex').slice(0, 32);
        early.set(token, (staged = { path: `${paths.tmp}/early-${name}`, blocks: new Map() }));
      }
      const into = staged;
      const requests = blocks
        .filter(({ ref }) => !into.blocks.has(hex(ref.id)) && state.blocks.find(ref.id, 1).length === 0)
        .map(({ ref, offset }) => ({
          ref,
          accept: async (ciphertext: Uint8Array) => {
            const key = drive.contentKey(ref.epoch);
            await enqueue({ ref, key, ciphertext, path: into.path, offsets: [offset] });
            into.blocks.set(hex(ref.id), { ref, offset });
          },
        }));
      if (requests.length === 0) return;
      const run = deps.exchange
        .fetch(drive.id, requests, stopping.signal)
        .catch(() => {})
        .finally(() => active.delete(run));
      active.add(run);
    },
    count: () => jobs.size,
    missingBytes() {
      let sum = 0;
      for (const job of jobs.values()) sum += job.missingBytes;
      return sum;
    },
    unreachable() {
      let n = 0;
      for (const job of jobs.values()) if (job.state === 'gone') n += 1;
      return n;
    },
    retry() {
      for (const job of jobs.values()) if (job.state === 'gone' || job.state === 'full') job.state = 'queued';
      pump();
    },
    setPaused(next) {
      paused = next;
      pump();
    },
    async stop() {
      stopping.abort(new AppError('cancelled', 'Syncing was stopped.'));
      retryTimer?.();
      await Promise.allSettled([...active]);
      for (const job of jobs.values()) if (job.missing.size > 0) saveJob(job);
    },
  };
  return staging;
}

function ignoreBadBlock(error: unknown): void {
  if (isAppError(error, 'disk_full')) throw error;
}

function sameBlocks(a: FileContent, b: FileContent): boolean {
  return (
    a.blocks.length === b.blocks.length &&
    a.blocks.every((ref, i) => Buffer.compare(ref.id, b.blocks[i]?.id ?? ref.plainHash) === 0)
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
