import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type { BlockRef, ContentIo, Drive, FileContent, NodeId } from '../../drive/index.ts';
import type { Exchange, FetchRequest } from '../../exchange/index.ts';
import type { FolderFs } from '../fs/types.ts';
import { contentKey } from '../plan/rows.ts';
import { layout } from '../scan/root.ts';
import type { SyncState } from '../state/index.ts';
import type { FileFlow } from '../types.ts';
import { createEarlyFiles, type EarlyBlock } from './early-files.ts';
import { createPlacer } from './placer.ts';
import { createJob, hex, markPlaced, placeOf, sameBlocks, saysPlaced } from './staging-job.ts';
import type { Job, JobCopy, MissingBlock, PlacedBlock, StagedFile } from './staging-job.ts';

export type { StagedFile } from './staging-job.ts';

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
  readonly ready: (node: NodeId, content: FileContent) => void;
  /** Nobody reachable has all of some file. */
  readonly absent: () => void;
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
  /** A block of a large file that is still coming, where it is here already: who has a part of a file serves it. */
  placed(id: Uint8Array): PlacedBlock | null;
  /** No longer wanted. */
  drop(node: NodeId): void;
  /** After landing: forgets the temp file, which is no longer there. */
  landed(node: NodeId): void;
  /** Blocks to fetch ahead of their entry; the file they make is taken over when its content is asked for. */
  prefetch(token: string, blocks: readonly EarlyBlock[]): void;
  count(): number;
  missingBytes(): number;
  /** Files asked for, at most `limit`, in the order they were asked for. */
  moving(limit: number): readonly FileFlow[];
  /** Files of which nobody reachable has everything. */
  unreachable(): number;
  isAbsent(node: NodeId): boolean;
  absent(): Iterable<{ readonly node: NodeId; readonly content: FileContent }>;
  /** Nobody is being asked for anything. */
  resting(): boolean;
  retry(): void;
  setPaused(paused: boolean): void;
  stop(): Promise<void>;
}

/** A block that is looked for on this computer; `whole` is a file that holds all of its job's content. */
interface Missing extends MissingBlock {
  readonly job: Job;
  readonly key: string;
  readonly whole: string | undefined;
}

const activeBytes = 96 * 1024 * 1024;
const activeFiles = 768;
/** From here on a file is fetched by itself, so that small ones don't wait for it. Bytes. */
const largeFile = 1024 * 1024;
/** Placed blocks after which what is there is noted for a restart. */
const saveEvery = 64;
const retryDelay = 3000;
/** Mostly a file in motion where it lies. ms. */
const firstRetry = 400;
/** What nobody has for so long is no file in motion any more. ms. */
const inMotion = 2000;
/** Bytes left free on the disk. */
const floorBytes = 1024 * 1024;

export function createStaging(deps: StagingDeps): Staging {
  const { state, drive } = deps;
  const paths = layout(deps.folder);
  const jobs = new Map<NodeId, Job>();
  /** Large ones that have begun: others may want what is there of them. */
  const coming = new Set<Job>();
  const active = new Set<Promise<void>>();
  const stopping = new AbortController();
  const placer = createPlacer(deps.content, full);
  const early = createEarlyFiles({ ...deps, placer, tmp: paths.tmp, placed });
  let bytesActive = 0;
  let filesActive = 0;
  let paused = false;
  let retryTimer: (() => void) | null = null;

  const load = state.db.prepare<[string, string], { name: string; have: Buffer }>(
    'SELECT name, have FROM sync_staging WHERE name = ? AND content = ?',
  );
  const loadAdopted = state.db.prepare<[string, string], { name: string; have: Buffer }>(
    'SELECT name, have FROM sync_staging WHERE node = ? AND content = ?',
  );
  const save = state.db.prepare(
    'INSERT OR REPLACE INTO sync_staging (name, node, content, have) VALUES (?, ?, ?, ?)',
  );
  const forget = state.db.prepare('DELETE FROM sync_staging WHERE name = ?');

  function placed(job: Job, key: string): void {
    markPlaced(job, key);
    if (job.unsaved >= saveEvery) saveJob(job);
  }

  function saveJob(job: Job): void {
    if (job.unsaved === 0 || job.state === 'ready') return;
    job.unsaved = 0;
    job.noted = true;
    save.run(job.name, job.node, contentKey(job.content), job.have);
  }

  /** Most files are small and never noted. */
  function forgetJob(job: Job): void {
    if (!job.noted) return;
    job.noted = false;
    forget.run(job.name);
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
    bytesActive += job.missingBytes;
    filesActive += 1;
    if (job.content.size >= largeFile) {
      coming.add(job);
      return launch([job]);
    }
    // Small files asked for in one breath go to the network in one request.
    if (starting.push(job) === 1) queueMicrotask(() => launch(starting.splice(0)));
  }

  function launch(batch: readonly Job[]): void {
    const cost = batch.reduce((sum, one) => sum + one.missingBytes, 0);
    const run = runBatch(batch).finally(() => {
      active.delete(run);
      bytesActive -= cost;
      filesActive -= batch.length;
      pump();
    });
    active.add(run);
  }

  async function runBatch(batch: readonly Job[]): Promise<void> {
    try {
      for (const job of batch) await begin(job);
      const need = batch.reduce((sum, job) => sum + job.missingBytes, 0);
      if (need > 0 && (await deps.fs.freeBytes(paths.tmp)) < need + floorBytes) {
        throw new AppError('disk_full', 'The disk is full.');
      }
      await copyLocal(batch);
      await fetchRest(batch);
    } catch (error) {
      if (isAppError(error, 'disk_full')) {
        for (const job of batch) if (job.state === 'active') job.state = 'full';
        full();
      } else if (!isAppError(error, 'cancelled') && !isAppError(error, 'gone')) {
        deps.logger.warn({ err: error }, 'content could not be brought in; it is tried again');
      }
    }
    let absent = false;
    for (const job of batch) {
      if (jobs.get(job.node) !== job) continue;
      if (job.missing.size === 0) {
        job.state = 'ready';
        early.abandon(job);
        forgetJob(job);
        deps.ready(job.node, job.content);
      } else {
        saveJob(job);
        if (job.state === 'active') {
          missed(job);
          absent ||= job.absent;
        }
      }
    }
    if (absent) deps.absent();
  }

  function missed(job: Job): void {
    const now = deps.clock.now();
    const first = job.missedAt === null;
    job.state = 'gone';
    job.missedAt ??= now;
    if (Math.abs(now - job.missedAt) >= inMotion) job.absent = true;
    scheduleRetry(first ? firstRetry : retryDelay);
  }

  function full(): void {
    // What nobody asked for yet must not keep others from being finished.
    early.clear();
    deps.diskFull();
  }

  /** Goes on with what is there of the file: fetched ahead, or placed by an earlier run of the program. */
  async function begin(job: Job): Promise<void> {
    if (job.content.blocks.length === 0) return;
    const copies: JobCopy[] = [];
    const copyWithin = (key: string, from: number | null): void => {
      const block = job.missing.get(key);
      if (!block) return;
      // What an earlier run has placed counts only after its bytes were hashed again: a power cut may have lost them.
      for (const toOffset of block.offsets) {
        const request = {
          from: job.temp,
          fromOffset: from ?? toOffset,
          to: job.temp,
          toOffset,
          ref: block.ref,
        };
        copies.push({ job, key, request });
      }
    };
    const key = contentKey(job.content);
    // Only large files are fetched ahead and keep the name they had then.
    const saved =
      load.get(job.name, key) ?? (job.content.size < largeFile ? undefined : loadAdopted.get(job.node, key));
    if (saved !== undefined) {
      rename(job, saved.name);
      job.noted = true;
      for (const [key, block] of job.missing) if (saysPlaced(saved.have, block)) copyWithin(key, null);
    } else {
      const ahead = job.content.size < largeFile ? null : early.adopt(job);
      if (ahead === null) return;
      rename(job, ahead.name);
      ahead.placed.forEach((key) => markPlaced(job, key));
      job.unsaved += 1;
      saveJob(job);
      for (const { key, fromOffset } of await ahead.settled()) copyWithin(key, fromOffset);
    }
    await copyAll(copies);
  }

  function rename(job: Job, name: string): void {
    job.name = name;
    job.temp = `${paths.tmp}/${name}`;
  }

  async function copyAll(copies: readonly JobCopy[]): Promise<void> {
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
    const copies: JobCopy[] = [];
    const kept: { readonly job: Job; readonly key: string }[] = [];
    await state.inSlices(missingOf(batch), ({ job, key, ref, offsets, whole }) => {
      const source =
        sourceOf(job, key, ref) ??
        (whole === undefined ? null : { from: whole, fromOffset: offsets[0] ?? 0 });
      if (source === null) kept.push({ job, key });
      else {
        for (const toOffset of offsets) {
          copies.push({ job, key, request: { ...source, to: job.temp, toOffset, ref } });
        }
      }
    });
    await copyAll(copies);
    for (const { job, key } of kept) {
      const block = job.missing.get(key);
      if (block === undefined) continue;
      const ciphertext = await deps.retained(block.ref.id);
      if (ciphertext !== null) await place(job, key, ciphertext).catch(ignoreBadBlock);
    }
  }

  function* missingOf(batch: readonly Job[]): Iterable<Missing> {
    for (const job of batch) {
      const whole = job.missing.size === 0 ? undefined : deps.wholeFiles(contentKey(job.content))[0];
      for (const [key, block] of job.missing) yield { ...block, job, key, whole };
    }
  }

  function sourceOf(job: Job, key: string, ref: BlockRef): { from: string; fromOffset: number } | null {
    for (const { node, offset, ref: other } of state.blocks.find(ref.id, 4)) {
      const path = other.len === ref.len ? state.local.path(node) : null;
      if (path !== null) return { from: paths.at(path), fromOffset: offset };
    }
    return early.find(key, job.temp);
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

  async function place(job: Job, key: string, ciphertext: Uint8Array): Promise<void> {
    const block = job.missing.get(key);
    if (block === undefined) return;
    await placer.place({
      ref: block.ref,
      key: drive.contentKey(block.ref.epoch),
      ciphertext,
      path: job.temp,
      offsets: block.offsets,
    });
    placed(job, key);
  }

  function scheduleRetry(ms: number): void {
    retryTimer ??= deps.clock.after(ms, () => {
      retryTimer = null;
      staging.retry();
    });
  }

  function discard(job: Job): void {
    job.abort.abort(new AppError('cancelled', 'No longer wanted.'));
    early.abandon(job);
    jobs.delete(job.node);
    coming.delete(job);
    forget.run(job.name);
    // What is being written would make the file anew; and it may be wanted again by then.
    void placer
      .settled()
      .then(() =>
        [...jobs.values()].some(({ name }) => name === job.name) ? null : deps.fs.unlink(job.temp),
      )
      .catch(() => {});
  }

  const staging: Staging = {
    want(node, content) {
      const before = jobs.get(node);
      if (before && contentKey(before.content) === contentKey(content) && sameBlocks(before.content, content))
        return;
      // The same content for the same node resumes its temp file, whatever entry names it.
      const name = `${node}-${contentKey(content).slice(0, 32)}`;
      const job = createJob(node, content, name, `${paths.tmp}/${name}`);
      // Another version of the same bytes under the same temp name must not lose it.
      if (before && contentKey(before.content) !== contentKey(content)) discard(before);
      else if (before) {
        coming.delete(before);
        before.abort.abort(new AppError('cancelled', 'Asked for anew.'));
      }
      jobs.set(node, job);
      pump();
    },
    take(node, content) {
      const job = jobs.get(node);
      return job?.state === 'ready' && contentKey(job.content) === contentKey(content)
        ? { ...job, content }
        : null;
    },
    placed(id) {
      const key = hex(id);
      for (const job of coming) {
        const place = placeOf(job, key);
        if (place !== null) return place;
      }
      return early.find(key, '');
    },
    drop(node) {
      const job = jobs.get(node);
      if (job) discard(job);
    },
    landed(node) {
      const job = jobs.get(node);
      if (!job) return;
      jobs.delete(node);
      coming.delete(job);
      forgetJob(job);
    },
    prefetch(token, blocks) {
      if (paused || stopping.signal.aborted) return;
      early.announced(token, blocks);
    },
    count: () => jobs.size,
    missingBytes() {
      let sum = 0;
      for (const job of jobs.values()) sum += job.missingBytes;
      return sum;
    },
    unreachable() {
      let n = 0;
      for (const job of jobs.values()) if (job.absent) n += 1;
      return n;
    },
    isAbsent: (node) => jobs.get(node)?.absent ?? false,
    *absent() {
      for (const job of jobs.values()) if (job.absent) yield job;
    },
    resting() {
      for (const { state } of jobs.values()) if (state === 'queued' || state === 'active') return false;
      return true;
    },
    moving(limit) {
      const found: FileFlow[] = [];
      for (const { node, content, missingBytes, state: now } of jobs.values()) {
        if (found.length >= limit) break;
        const done = Math.max(0, content.size - missingBytes);
        found.push({ node, done, total: content.size, active: now === 'active' });
      }
      return found;
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
      await early.stop();
      await Promise.allSettled([...active]);
      for (const job of jobs.values()) if (job.missing.size > 0) saveJob(job);
    },
  };
  return staging;
}

function ignoreBadBlock(error: unknown): void {
  if (isAppError(error, 'disk_full')) throw error;
}
