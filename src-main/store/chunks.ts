import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import * as digest from 'multiformats/hashes/digest';
import pLimit from 'p-limit';
import { AppError } from '../../src-shared/errors.ts';
import { hashChunk } from './hash-chunk.ts';

export interface ChunkStoreOptions {
  /** Made when missing; holds nothing else. */
  readonly dir: string;
  /** Bytes that unpinned and pinned chunks together may take; pinned ones stay even above it. */
  readonly budget: number;
  /** Told of a chunk whose file was damaged (torn by a crash, bit rot); it is gone then. */
  readonly onDamaged?: (id: Uint8Array) => void;
}

export interface Chunk {
  /** SHA-256 of `bytes`, 32 bytes. */
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/**
 * Ciphertext blocks on disk by the SHA-256 of their bytes, one file each. When the budget is used up, the chunks that were
 * longest neither put nor read go first (put only, across a restart), except pinned ones.
 */
export interface ChunkStore {
  /** Reads what is there; call once before anything else. */
  start(): Promise<void>;
  has(id: Uint8Array): boolean;
  /**
   * Stores chunks; known ones count as used now. With `durable` they survive a power failure once this resolves; without,
   * a torn one is found when read. The ids are believed. Throws `disk_full`, `permission_denied`; what was stored before stays.
   */
  put(chunks: readonly Chunk[], options?: { readonly durable?: boolean }): Promise<void>;
  /** The bytes, checked against the id; null when absent or damaged. */
  get(id: Uint8Array): Promise<Uint8Array | null>;
  delete(ids: readonly Uint8Array[]): Promise<void>;
  /** Looks for the file of every chunk; those without one, or with one of another length, are gone and returned. */
  recheck(): Promise<readonly Uint8Array[]>;
  /** Replaces the set of chunks that `owner` needs; an empty set unpins. Absent chunks may be pinned. */
  pin(owner: string, ids: Iterable<Uint8Array>): void;
  setBudget(bytes: number): Promise<void>;
  usage(): { readonly bytes: number; readonly count: number; readonly budget: number };
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

const rawCodec = 0x55;
const sha256Code = 0x12;
const tmpName = 'tmp';

const keyOf = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex');
const idOf = (key: string): Uint8Array => new Uint8Array(Buffer.from(key, 'hex'));

/** Makes the chunk store of one drive. */
export function createChunkStore(options: ChunkStoreOptions): ChunkStore {
  const { dir } = options;
  const tmp = path.join(dir, tmpName);
  const limit = pLimit(16);
  /** Size of each chunk by hex id; the longest unused first. */
  const sizes = new Map<string, number>();
  const pins = new Map<string, ReadonlySet<string>>();
  const made = new Set<string>();
  const underWay = new Set<Promise<unknown>>();
  let budget = options.budget;
  let bytes = 0;

  const folderOf = (key: string): string => path.join(dir, key.slice(0, 2));
  const fileOf = (key: string): string =>
    path.join(folderOf(key), CID.createV1(rawCodec, digest.create(sha256Code, idOf(key))).toString());

  function note(key: string, size: number): void {
    bytes += size - (sizes.get(key) ?? 0);
    sizes.delete(key);
    sizes.set(key, size);
  }
  function forget(key: string): void {
    bytes -= sizes.get(key) ?? 0;
    sizes.delete(key);
  }

  function tracked<T>(work: () => Promise<T>): Promise<T> {
    const running = work().catch((error: unknown) => {
      throw chunkError(error, dir);
    });
    underWay.add(running);
    const done = (): void => void underWay.delete(running);
    running.then(done, done);
    return running;
  }

  async function remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) forget(key);
    await Promise.all(keys.map((key) => limit(() => fs.rm(fileOf(key), { force: true }))));
  }

  async function evict(): Promise<void> {
    if (bytes <= budget) return;
    const sets = [...pins.values()];
    const victims: string[] = [];
    let left = bytes;
    for (const [key, size] of sizes) {
      if (left <= budget) break;
      if (sets.some((set) => set.has(key))) continue;
      victims.push(key);
      left -= size;
    }
    await remove(victims);
  }

  async function write(key: string, chunk: Uint8Array, durable: boolean): Promise<void> {
    const folder = folderOf(key);
    if (!made.has(folder)) {
      await fs.mkdir(folder, { recursive: true });
      made.add(folder);
    }
    const temp = path.join(tmp, randomBytes(12).toString('hex'));
    try {
      const file = await fs.open(temp, 'wx', 0o600);
      try {
        await file.writeFile(chunk);
        if (durable) await file.sync();
      } finally {
        await file.close();
      }
      await fs.rename(temp, fileOf(key));
    } catch (error) {
      await fs.rm(temp, { force: true });
      throw error;
    }
    note(key, chunk.length);
  }

  async function load(): Promise<void> {
    await fs.rm(tmp, { recursive: true, force: true });
    await fs.mkdir(tmp, { recursive: true });
    const found: { key: string; size: number; time: number }[] = [];
    const folders = (await fs.readdir(dir)).filter((name) => /^[0-9a-f]{2}$/.test(name));
    await Promise.all(
      folders.map(async (name) => {
        const folder = path.join(dir, name);
        made.add(folder);
        const names = await limit(() => fs.readdir(folder));
        await Promise.all(names.map((file) => limit(() => look(folder, file))));
      }),
    );
    async function look(folder: string, file: string): Promise<void> {
      const key = keyOfName(file);
      if (key === null || folderOf(key) !== folder) return;
      const stats = await fs.lstat(path.join(folder, file));
      if (stats.isFile()) found.push({ key, size: stats.size, time: stats.mtimeMs });
    }
    found.sort((a, b) => a.time - b.time);
    for (const { key, size } of found) note(key, size);
    await evict();
  }

  async function put(chunks: readonly Chunk[], durable: boolean): Promise<void> {
    const fresh = new Map<string, Uint8Array>();
    for (const { id, bytes: content } of chunks) {
      const key = keyOf(id);
      const size = sizes.get(key);
      // A file of another length is torn; write it again. A durable put can't trust one that may still be in the cache only.
      if (size === content.length && !durable) note(key, size);
      else fresh.set(key, content);
    }
    const writes = [...fresh].map(([key, content]) => limit(() => write(key, content, durable)));
    // All have ended before anything is reported, so that a failed put leaves no write behind it.
    for (const result of await Promise.allSettled(writes))
      if (result.status === 'rejected') throw result.reason;
    if (durable) await Promise.all([dir, ...new Set([...fresh.keys()].map(folderOf))].map(syncFolder));
    await evict();
  }

  async function get(id: Uint8Array): Promise<Uint8Array | null> {
    const key = keyOf(id);
    const size = sizes.get(key);
    if (size === undefined) return null;
    let content: Uint8Array;
    try {
      content = await limit(() => fs.readFile(fileOf(key)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      forget(key);
      return null;
    }
    if (keyOf(await hashChunk(content)) === key) {
      if (sizes.has(key)) note(key, size);
      return content;
    }
    await remove([key]);
    options.onDamaged?.(id);
    return null;
  }

  async function recheck(): Promise<readonly Uint8Array[]> {
    const lost: string[] = [];
    await Promise.all(
      [...sizes].map(([key, size]) =>
        limit(async () => {
          const stats = await fs.lstat(fileOf(key)).catch((error: NodeJS.ErrnoException) => {
            if (error.code === 'ENOENT') return null;
            throw error;
          });
          if (sizes.get(key) === size && stats?.size !== size) lost.push(key);
        }),
      ),
    );
    await remove(lost);
    return lost.map(idOf);
  }

  return {
    start: () => tracked(load),
    has: (id) => sizes.has(keyOf(id)),
    put: (chunks, { durable = false } = {}) => tracked(() => put(chunks, durable)),
    get: (id) => tracked(() => get(id)),
    recheck: () => tracked(recheck),
    delete: (ids) => tracked(() => remove(ids.map(keyOf).filter((key) => sizes.has(key)))),
    pin(owner, ids) {
      const set = new Set<string>();
      for (const id of ids) set.add(keyOf(id));
      if (set.size > 0) pins.set(owner, set);
      else pins.delete(owner);
    },
    setBudget(limitBytes) {
      budget = limitBytes;
      return tracked(evict);
    },
    usage: () => ({ bytes, count: sizes.size, budget }),
    async stop() {
      await Promise.allSettled([...underWay]);
    },
  };
}

/** Hex id of a chunk's file name; null for anything else that lies there. */
function keyOfName(name: string): string | null {
  try {
    const cid = CID.parse(name);
    const { code, digest: id } = cid.multihash;
    if (cid.code !== rawCodec || code !== sha256Code || id.length !== 32 || cid.toString() !== name)
      return null;
    return keyOf(id);
  } catch {
    return null;
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders, and needs no such flush.
  if (process.platform === 'win32') return;
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function chunkError(error: unknown, dir: string): AppError {
  if (error instanceof AppError) return error;
  const code = String((error as { code?: unknown } | null)?.code);
  const options = { cause: error, details: { dir, code } };
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AppError('disk_full', 'There is no room on the disk to keep old versions.', options);
  }
  if (['EACCES', 'EPERM', 'EROFS'].includes(code)) {
    return new AppError('permission_denied', 'The folder of kept versions may not be written.', options);
  }
  return new AppError('internal', 'The kept versions could not be read or written.', options);
}
