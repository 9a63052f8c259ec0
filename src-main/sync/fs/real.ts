import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../../src-shared/errors.ts';
import { fsError } from './fs-error.ts';
import { openForWriting } from './open-files.ts';
import { columns, type FsAnswer, type FsRequest, type Listing } from './fs-worker.ts';
import type { EntryType, FolderFs, FsEntry, FsStat } from './types.ts';

const types: readonly EntryType[] = ['file', 'dir', 'link', 'other'];

/** ms without work after which the thread ends: it takes some 20 MB. */
const idleAfter = 20_000;

type Work = FsRequest extends infer R ? (R extends unknown ? Omit<R, 'id'> : never) : never;

/** The real file system. Work on many files runs in a thread of its own that starts when needed and ends when it is idle. */
export function createRealFs(options: { readonly workerUrl?: URL } = {}): FolderFs {
  let worker: Worker | null = null;
  let idle: NodeJS.Timeout | null = null;
  let nextId = 0;
  const waiting = new Map<number, { path: string; done(listing: Listing): void; fail(error: Error): void }>();

  function startWorker(): Worker {
    const made = new Worker(options.workerUrl ?? new URL('./fs-worker.ts', import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 },
    });
    const failAll = (error: Error): void => {
      if (worker !== made) return;
      worker = null;
      for (const { fail } of waiting.values()) fail(error);
      waiting.clear();
    };
    made.unref();
    made.on('message', (answer: FsAnswer) => {
      const request = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (waiting.size === 0) rest(made);
      if (answer.ok) request?.done(answer.listing);
      else
        request?.fail(fsError(Object.assign(new Error(answer.message), { code: answer.code }), request.path));
    });
    made.on('error', (error) =>
      failAll(new AppError('internal', 'Reading a folder failed.', { cause: error })),
    );
    made.on('exit', () => failAll(new AppError('shutting_down', 'The program is stopping.')));
    return made;
  }

  function rest(idler: Worker): void {
    idler.unref();
    if (idle) clearTimeout(idle);
    idle = setTimeout(() => {
      if (worker !== idler || waiting.size > 0) return;
      worker = null;
      void idler.terminate();
    }, idleAfter);
    idle.unref();
  }

  function ask(work: Work, path: string): Promise<Listing> {
    return new Promise((done, fail) => {
      worker ??= startWorker();
      worker.ref();
      const id = nextId++;
      waiting.set(id, { path, done, fail });
      worker.postMessage({ id, ...work } satisfies FsRequest);
    });
  }

  async function guard<T>(path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw fsError(error, path);
    }
  }

  async function syncDir(path: string): Promise<void> {
    // Windows has no handle to a folder that could be synced.
    if (process.platform === 'win32') return;
    const handle = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  return {
    list: async (path) => entriesOf(await ask({ list: path }, path)),
    async place(items) {
      if (items.length === 0) return [];
      const listing = await ask({ place: items }, items[0]?.from ?? '');
      return items.map(({ to }, index) => {
        const code = listing.errors[index];
        return code === undefined
          ? statAt(listing, index)
          : fsError(Object.assign(new Error(code), { code }), to);
      });
    },
    lstat: (path) =>
      guard(path, async () => {
        try {
          const stat = await fs.lstat(path, { bigint: true });
          const type = stat.isFile()
            ? 'file'
            : stat.isDirectory()
              ? 'dir'
              : stat.isSymbolicLink()
                ? 'link'
                : 'other';
          return {
            type,
            size: Number(stat.size),
            mtimeNs: stat.mtimeNs,
            ctimeNs: stat.ctimeNs,
            birthNs: stat.birthtimeNs,
            ino: BigInt.asIntN(64, stat.ino),
            dev: BigInt.asIntN(64, stat.dev),
            mode: Number(stat.mode),
          };
        } catch (error) {
          const code = (error as NodeJS.ErrnoException).code;
          if (code === 'ENOENT' || code === 'ENOTDIR') return null;
          throw error;
        }
      }),
    mkdir: (path, { parents = false } = {}) =>
      guard(path, async () => {
        try {
          await fs.mkdir(path, { recursive: parents });
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
          if (!(await fs.lstat(path)).isDirectory()) throw error;
        }
      }),
    rename: (from, to) => guard(from, () => fs.rename(from, to)),
    unlink: (path) => guard(path, () => fs.rm(path, { force: true })),
    rmdir: (path) => guard(path, () => fs.rmdir(path)),
    removeTree: (path) => guard(path, () => fs.rm(path, { recursive: true, force: true })),
    symlink: (target, path) => guard(path, () => fs.symlink(target, path)),
    readlink: (path) => guard(path, () => fs.readlink(path)),
    chmod: (path, mode) => guard(path, () => fs.chmod(path, mode)),
    fsyncDir: (path) => guard(path, () => syncDir(path)),
    readSmall: (path, limit) =>
      guard(path, async () => {
        const handle = await fs.open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
        try {
          const { size } = await handle.stat();
          if (size > limit)
            throw new AppError('too_large', 'The file is larger than it may be.', { details: { path } });
          return new Uint8Array(await handle.readFile());
        } finally {
          await handle.close();
        }
      }),
    writeSmall: (path, bytes) =>
      guard(path, async () => {
        const temp = `${path}.new`;
        const handle = await fs.open(temp, 'w', 0o600);
        try {
          await handle.writeFile(bytes);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await fs.rename(temp, path);
        await syncDir(dirname(path));
      }),
    read: (path, offset, length) =>
      guard(path, async () => {
        const handle = await fs.open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
        try {
          const buffer = new Uint8Array(length);
          let got = 0;
          while (got < length) {
            const { bytesRead } = await handle.read(buffer, got, length - got, offset + got);
            if (bytesRead === 0) break;
            got += bytesRead;
          }
          return buffer.subarray(0, got);
        } finally {
          await handle.close();
        }
      }),
    async reflink(from, to) {
      try {
        await fs.copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
        return true;
      } catch {
        await fs.rm(to, { force: true }).catch(() => {});
        return false;
      }
    },
    freeBytes: (path) =>
      guard(path, async () => {
        const { bavail, bsize } = await fs.statfs(path);
        return bavail * bsize;
      }),
    openForWriting,
    caseInsensitive: (folder) =>
      guard(folder, async () => {
        const name = `Case-Probe-${process.pid}`;
        await fs.writeFile(join(folder, name), '');
        try {
          return await fs.lstat(join(folder, name.toLowerCase())).then(
            () => true,
            () => false,
          );
        } finally {
          await fs.rm(join(folder, name), { force: true });
        }
      }),
    async stop() {
      if (idle) clearTimeout(idle);
      const ending = worker;
      await ending?.terminate();
      worker = null;
    },
  };
}

function statAt({ types: kinds, stats }: Listing, index: number): FsStat {
  const n = (column: number): bigint => stats[index * columns + column] ?? 0n;
  return {
    type: types[kinds[index] ?? 3] ?? 'other',
    size: Number(n(0)),
    mtimeNs: n(1),
    ctimeNs: n(2),
    birthNs: n(3),
    ino: n(4),
    dev: n(5),
    mode: Number(n(6)),
  };
}

function entriesOf(listing: Listing): FsEntry[] {
  return listing.names.map((name, index) => {
    const type = listing.types[index] ?? 5;
    if (type === 4) return { raw: null, shown: name, stat: null, error: null };
    if (type === 5) return { raw: name, shown: name, stat: null, error: listing.errors[index] ?? 'EIO' };
    return { raw: name, shown: name, stat: statAt(listing, index), error: null };
  });
}
