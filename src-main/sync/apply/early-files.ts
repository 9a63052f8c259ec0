import { createHash } from 'node:crypto';
import { isAppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { BlockRef, Drive } from '../../drive/index.ts';
import type { Exchange } from '../../exchange/index.ts';
import type { FolderFs } from '../fs/types.ts';
import type { SyncState } from '../state/index.ts';
import type { Placer } from './placer.ts';
import { hex, type Job, type PlacedBlock } from './staging-job.ts';

/** A block of a file that is still being indexed elsewhere. */
export interface EarlyBlock {
  readonly ref: BlockRef;
  readonly offset: number;
}

/** What becomes of a block: on its way, in place, or said to be in place by a run of the program before. */
type BlockState = 'asked' | 'placed' | 'claimed';

interface EarlyFile {
  readonly name: string;
  readonly path: string;
  /** By hex id. */
  readonly blocks: Map<string, EarlyBlock & { state: BlockState }>;
  readonly abort: AbortController;
  readonly running: Set<Promise<void>>;
  /** The job that took the file over. */
  job: Job | null;
  unsaved: number;
  touched: number;
}

/** A taken-over early file: what of the job is in place already, and what is on its way. */
export interface Adopted {
  readonly name: string;
  readonly path: string;
  readonly placed: readonly string[];
  /**
   * Waits until the rest of what was asked for has come, or failed. Returns the blocks that lie at one offset of the file and that
   * the job still misses: to be hashed again, and copied to wherever else they belong.
   */
  settled(): Promise<readonly { readonly key: string; readonly fromOffset: number }[]>;
}

/** Fetches blocks ahead of the entry that will name their file, each file into a temp file of its own. */
export interface EarlyFiles {
  /** Blocks announced under one token belong to one file. */
  announced(token: string, blocks: readonly EarlyBlock[]): void;
  /**
   * Hands the temp file over to a job whose content has all of its blocks in the same places. From then on blocks on their
   * way count for the job. Null when there is none.
   */
  adopt(job: Job): Adopted | null;
  /** The job no longer wants what is still on its way. */
  abandon(job: Job): void;
  /** Where a block was placed; to be checked by its hash when it is copied. */
  find(key: string, except: string): PlacedBlock | null;
  /** Gives up all files nobody took over: the disk is full. */
  clear(): void;
  /** What is there is remembered for the next start. */
  stop(): Promise<void>;
}

export interface EarlyFilesDeps {
  readonly drive: Drive;
  readonly exchange: Exchange;
  readonly fs: FolderFs;
  readonly state: SyncState;
  readonly clock: Clock;
  readonly placer: Placer;
  /** Folder of the temp files. */
  readonly tmp: string;
  /** A block of an adopted file was placed. */
  readonly placed: (job: Job, key: string) => void;
}

const mostFiles = 4;
const mostBlocks = 4096;
/** Placed blocks after which what is there is noted for a restart. */
const saveEvery = 64;
/** A file of which nothing came and which nobody named for so long is given up. ms. */
const forgetMs = 2 * 60_000;
/** Stands in place of the content in the rows of early files. */
const early = 'early';

export function createEarlyFiles(deps: EarlyFilesDeps): EarlyFiles {
  const { state, drive, clock } = deps;
  const files: EarlyFile[] = [];
  const byToken = new Map<string, EarlyFile>();
  const adopted = new Map<Job, EarlyFile>();
  const save = state.db.prepare(
    'INSERT OR REPLACE INTO sync_staging (name, node, content, have) VALUES (?, ?, ?, ?)',
  );
  const erase = state.db.prepare('DELETE FROM sync_staging WHERE name = ?');
  const saved = state.db.prepare<[string], { name: string; have: Buffer }>(
    'SELECT name, have FROM sync_staging WHERE content = ?',
  );
  let cancelTimer: (() => void) | null = null;
  let stopped = false;
  let made = 0;

  for (const { name, have } of saved.all(early)) {
    const file = createFile(name);
    for (const block of decodeRows(have)) file.blocks.set(hex(block.ref.id), { ...block, state: 'claimed' });
    files.push(file);
  }
  watch();

  function createFile(name: string): EarlyFile {
    return {
      name,
      path: `${deps.tmp}/${name}`,
      blocks: new Map(),
      abort: new AbortController(),
      running: new Set(),
      job: null,
      unsaved: 0,
      touched: clock.now(),
    };
  }

  function remember(file: EarlyFile): void {
    if (file.job !== null || file.unsaved === 0) return;
    file.unsaved = 0;
    const there = [...file.blocks.values()].filter((block) => block.state !== 'asked');
    save.run(file.name, '', early, encodeRows(there));
  }

  function unlist(file: EarlyFile): void {
    const index = files.indexOf(file);
    if (index >= 0) files.splice(index, 1);
  }

  function forgetTokens(file: EarlyFile): void {
    for (const [token, other] of byToken) if (other === file) byToken.delete(token);
  }

  function drop(file: EarlyFile): void {
    unlist(file);
    forgetTokens(file);
    file.abort.abort();
    erase.run(file.name);
    // What is being written would make the file anew.
    void deps.placer
      .settled()
      .then(() => deps.fs.unlink(file.path))
      .catch(() => {});
  }

  /** Announcements stop when the other side does; then nobody would ever come for these bytes. */
  function watch(): void {
    if (cancelTimer !== null || files.length === 0 || stopped) return;
    cancelTimer = clock.after(forgetMs, () => {
      cancelTimer = null;
      for (const file of [...files]) {
        if (file.running.size === 0 && file.touched + forgetMs <= clock.now()) drop(file);
      }
      watch();
    });
  }

  /** The file of a token; after a restart of the announcer the one that holds these very blocks already. */
  function fileOf(token: string, blocks: readonly EarlyBlock[]): EarlyFile {
    const known = byToken.get(token);
    if (known) return known;
    let file = files.find((candidate) =>
      blocks.some((block) => candidate.blocks.get(hex(block.ref.id))?.offset === block.offset),
    );
    if (!file) {
      if (files.length >= mostFiles) drop(files[0]!);
      // Never a name again that a file had which is just being removed.
      const unique = `${token} ${clock.now()} ${++made}`;
      file = createFile(`early-${createHash('sha256').update(unique).digest('hex').slice(0, 32)}`);
      files.push(file);
      watch();
    }
    byToken.set(token, file);
    return file;
  }

  async function place(file: EarlyFile, block: EarlyBlock, ciphertext: Uint8Array): Promise<void> {
    const { ref, offset } = block;
    const key = hex(ref.id);
    // An adopting job may need the block in more places than the announcement named.
    const offsets = file.job?.missing.get(key)?.offsets ?? [offset];
    await deps.placer.place({
      ref,
      key: drive.contentKey(ref.epoch),
      ciphertext,
      path: file.path,
      offsets,
    });
    const known = file.blocks.get(key);
    if (known) known.state = 'placed';
    file.touched = clock.now();
    const missing = file.job?.missing.get(key);
    if (file.job && missing && missing.offsets.every((at) => offsets.includes(at)))
      deps.placed(file.job, key);
    else if (file.job === null && ++file.unsaved >= saveEvery) remember(file);
  }

  return {
    announced(token, blocks) {
      if (stopped) return;
      const file = fileOf(token, blocks);
      // Once the file has its entry, the job fetches what the announcements left out.
      if (file.job !== null || file.blocks.size + blocks.length > mostBlocks) return;
      const news = blocks.filter(
        ({ ref }) => !file.blocks.has(hex(ref.id)) && state.blocks.find(ref.id, 1).length === 0,
      );
      if (news.length === 0) return;
      for (const block of news) file.blocks.set(hex(block.ref.id), { ...block, state: 'asked' });
      const requests = news.map((block) => ({
        ref: block.ref,
        accept: (ciphertext: Uint8Array) => place(file, block, ciphertext),
      }));
      const run = deps.exchange
        .fetch(drive.id, requests, file.abort.signal)
        .catch((error: unknown) => {
          if (isAppError(error, 'disk_full') && file.job === null) drop(file);
        })
        .finally(() => {
          file.running.delete(run);
          for (const { ref } of news) {
            const key = hex(ref.id);
            if (file.blocks.get(key)?.state === 'asked') file.blocks.delete(key);
          }
        });
      file.running.add(run);
    },
    adopt(job) {
      const file = files.find(
        (candidate) =>
          candidate.blocks.size > 0 &&
          [...candidate.blocks].every(([key, { offset }]) => job.missing.get(key)?.offsets.includes(offset)),
      );
      if (!file) return null;
      // Its tokens stay known while the job lasts: an announcement that comes behind the entry asks for nothing.
      unlist(file);
      file.job = job;
      adopted.set(job, file);
      const placed: string[] = [];
      for (const [key, { state: how }] of file.blocks) {
        if (how === 'placed' && job.missing.get(key)?.offsets.length === 1) placed.push(key);
      }
      return {
        name: file.name,
        path: file.path,
        placed,
        async settled() {
          while (file.running.size > 0) await Promise.all([...file.running]);
          const there: { key: string; fromOffset: number }[] = [];
          for (const [key, { state: how, offset }] of file.blocks) {
            // A block whose placing had begun before the job came went to the one place its announcement named.
            if (how !== 'asked' && job.missing.has(key)) there.push({ key, fromOffset: offset });
          }
          return there;
        },
      };
    },
    abandon(job) {
      const file = adopted.get(job);
      if (!file) return;
      file.abort.abort();
      forgetTokens(file);
      adopted.delete(job);
    },
    find(key, except) {
      for (const { path, blocks } of files) {
        const block = path === except ? undefined : blocks.get(key);
        if (block !== undefined && block.state !== 'asked') {
          return { from: path, fromOffset: block.offset, ref: block.ref };
        }
      }
      return null;
    },
    clear() {
      for (const file of [...files]) drop(file);
    },
    async stop() {
      stopped = true;
      cancelTimer?.();
      const all = [...files, ...adopted.values()];
      for (const file of all) file.abort.abort();
      await Promise.all(all.flatMap((file) => [...file.running]));
      await deps.placer.settled();
      for (const file of files) remember(file);
    },
  };
}

/** u8 length of the epoch, epoch, id, plain hash, then u32 length and weak sum and f64 offset, big-endian. */
function encodeRows(blocks: readonly EarlyBlock[]): Buffer {
  return Buffer.concat(
    blocks.flatMap(({ ref, offset }) => {
      const epoch = Buffer.from(ref.epoch, 'latin1');
      const numbers = Buffer.allocUnsafe(16);
      numbers.writeUInt32BE(ref.len, 0);
      numbers.writeUInt32BE(ref.weak, 4);
      numbers.writeDoubleBE(offset, 8);
      return [Buffer.from([epoch.length]), epoch, ref.id, ref.plainHash, numbers];
    }),
  );
}

/** Rows that are cut short or make no sense end the list: what they name is fetched again. */
function decodeRows(bytes: Buffer): EarlyBlock[] {
  const blocks: EarlyBlock[] = [];
  for (let at = 0; at < bytes.length;) {
    const head = at + 1 + bytes[at]!;
    if (head + 80 > bytes.length) break;
    const offset = bytes.readDoubleBE(head + 72);
    if (!Number.isSafeInteger(offset) || offset < 0) break;
    blocks.push({
      ref: {
        epoch: bytes.toString('latin1', at + 1, head),
        id: bytes.subarray(head, head + 32),
        plainHash: bytes.subarray(head + 32, head + 64),
        len: bytes.readUInt32BE(head + 64),
        weak: bytes.readUInt32BE(head + 68),
      },
      offset,
    });
    at = head + 80;
  }
  return blocks;
}
