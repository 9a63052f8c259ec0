import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../../src-shared/errors.ts';
import { fsError } from './fs-error.ts';
import { columns, type ListAnswer, type ListRequest } from './list-worker.ts';
import type { EntryType, FolderFs, FsEntry, FsStat } from './types.ts';

const types: readonly EntryType[] = ['file', 'dir', 'link', 'other'];

/** The real file system. Listing runs in a thread of its own that starts when first needed. */
export function createRealFs(options: { readonly workerUrl?: URL } = {}): FolderFs {
  let worker: Worker | null = null;
  let nextId = 0;
  const waiting = new Map<
    number,
    { path: string; done(entries: FsEntry[]): void; fail(error: Error): void }
  >();

  function failAll(error: Error): void {
    worker = null;
    for (const { fail } of waiting.values()) fail(error);
    waiting.clear();
  }

  function startWorker(): Worker {
    const made = new Worker(options.workerUrl ?? new URL('./list-worker.ts', import.meta.url));
    made.unref();
    made.on('message', (answer: ListAnswer) => {
      const request = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (waiting.size === 0) made.unref();
      if (answer.ok) request?.done(entriesOf(answer));
      else
        request?.fail(fsError(Object.assign(new Error(answer.message), { code: answer.code }), request.path));
    });
    made.on('error', (error) =>
      failAll(new AppError('internal', 'Listing a folder failed.', { cause: error })),
    );
    made.on('exit', () => failAll(new AppError('shutting_down', 'The program is stopping.')));
    return made;
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
    list: (path) =>
      new Promise((done, fail) => {
        worker ??= startWorker();
        worker.ref();
        const id = nextId++;
        waiting.set(id, { path, done, fail });
        worker.postMessage({ id, path } satisfies ListRequest);
      }),
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
      await worker?.terminate();
      worker = null;
    },
  };
}

function entriesOf(answer: Extract<ListAnswer, { ok: true }>): FsEntry[] {
  return answer.names.map((name, index) => {
    const type = answer.types[index] ?? 5;
    const kind = types[type];
    if (type === 4) return { raw: null, shown: name, stat: null, error: null };
    if (kind === undefined)
      return { raw: name, shown: name, stat: null, error: answer.errors[index] ?? 'EIO' };
    const at = index * columns;
    const n = (column: number): bigint => answer.stats[at + column] ?? 0n;
    const stat: FsStat = {
      type: kind,
      size: Number(n(0)),
      mtimeNs: n(1),
      ctimeNs: n(2),
      birthNs: n(3),
      ino: n(4),
      dev: n(5),
      mode: Number(n(6)),
    };
    return { raw: name, shown: name, stat, error: null };
  });
}
