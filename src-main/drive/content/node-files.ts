import fs from 'node:fs';
import { promisify } from 'node:util';
import { AppError } from '../../../src-shared/errors.ts';
import type { FileContent } from '../types.ts';
import { openBlock, sameBytes, sealBlock, sha256 } from './block.ts';
import { fileError } from './file-error.ts';
import { indexSource, type OnNew } from './index-source.ts';
import type { MemoryPool } from './memory-pool.ts';
import type { OpenFiles } from './open-files.ts';
import { isExecutable, mtimeOf, sameStamp, stampOf, utimesSeconds } from './stamp.ts';
import type {
  CopyRequest,
  FileStamp,
  FinishRequest,
  Indexed,
  PlaceRequest,
  SealKey,
  SealRequest,
} from './types.ts';

const readAsync = promisify(fs.read);
const writeAsync = promisify(fs.write);
const fsyncAsync = promisify(fs.fsync);
/** Up to here a read is done at once; waiting for a thread costs more than the read. Bytes. */
const syncRead = 1024 * 1024;

/** The work of one content worker on real files. Each function does one item and throws; the batch maps errors. */
export interface NodeFiles {
  index(
    path: string,
    seal: SealKey,
    previous: Pick<FileContent, 'blocks'> | null,
    onNew: OnNew | undefined,
    aborted: () => boolean,
  ): Promise<Indexed>;
  /** @param into memory for the ciphertext of each request, of which the answers are views */
  seal(requests: readonly SealRequest[], into: readonly Uint8Array[]): Promise<(Uint8Array | null)[]>;
  place(request: PlaceRequest): void;
  copy(requests: readonly CopyRequest[]): Promise<(null | Error)[]>;
  finish(request: FinishRequest): Promise<FileStamp>;
}

/** Opens a regular file for reading, never through a symlink, and never waits for a pipe's other end. */
function openForReading(path: string): number {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  // Windows has no O_NOFOLLOW.
  if (O_NOFOLLOW === undefined && fs.lstatSync(path).isSymbolicLink()) {
    throw new AppError('unsupported', 'The path is a symbolic link, which is never followed.');
  }
  return fs.openSync(path, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0));
}

async function readAt(fd: number, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const left = target.length - done;
    const count =
      left <= syncRead
        ? fs.readSync(fd, target, done, left, position + done)
        : (await readAsync(fd, target, done, left, position + done)).bytesRead;
    if (count === 0) break;
    done += count;
  }
  return done;
}

function writeAllSync(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
}

async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    done += (await writeAsync(fd, bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** @param umask of the process, e.g. 0o022 */
export function createNodeFiles(memory: MemoryPool, openFiles: OpenFiles, umask: number): NodeFiles {
  async function index(
    ...[path, seal, previous, onNew, aborted]: Parameters<NodeFiles['index']>
  ): Promise<Indexed> {
    const fd = openForReading(path);
    let taken: Uint8Array | null = null;
    const giveBack = (): void => {
      if (taken) memory.give(taken);
      taken = null;
    };
    try {
      const stamp = stampOf(fs.fstatSync(fd, { bigint: true }));
      const bytes = await indexSource(
        { size: stamp.size, read: (target, position) => readAtOnce(fd, target, position) },
        {
          seal,
          previous,
          onNew,
          aborted,
          memory: (length) => {
            giveBack();
            return (taken = memory.take(length));
          },
        },
      );
      if (!sameStamp(stamp, stampOf(fs.fstatSync(fd, { bigint: true })))) {
        throw new AppError('changed_while_reading', 'The file was written to while it was being read.');
      }
      return { content: { kind: 'file', ...bytes, mtime: mtimeOf(stamp), exec: isExecutable(stamp) }, stamp };
    } finally {
      giveBack();
      fs.closeSync(fd);
    }
  }

  async function seal(...[requests, into]: Parameters<NodeFiles['seal']>): Promise<(Uint8Array | null)[]> {
    const results: (Uint8Array | null)[] = [];
    const open = new Map<string, { readonly fd: number; readonly stamp: FileStamp } | null>();
    try {
      for (const [i, request] of requests.entries()) results.push(await sealOne(request, open, into[i]!));
    } finally {
      for (const file of open.values()) if (file) fs.closeSync(file.fd);
    }
    return results;
  }

  async function sealOne(
    { path, offset, ref, key, stamp }: SealRequest,
    open: Map<string, { readonly fd: number; readonly stamp: FileStamp } | null>,
    into: Uint8Array,
  ): Promise<Uint8Array | null> {
    let file = open.get(path);
    if (file === undefined) open.set(path, (file = tryOpen(path)));
    if (!file || (stamp !== null && !sameStamp(file.stamp, stamp))) return null;
    const buffer = memory.take(ref.len);
    try {
      const plain = buffer.subarray(0, ref.len);
      if ((await readAt(file.fd, plain, offset)) < ref.len) return null;
      return sealBlock(key, plain, ref, into);
    } catch {
      // An unreadable sector: this file can't give the block, whatever the reason.
      return null;
    } finally {
      memory.give(buffer);
    }
  }

  function place({ ref, key, ciphertext, path, offsets }: PlaceRequest): void {
    let taken: Uint8Array | null = null;
    try {
      const plain = openBlock(key, ref, ciphertext, (bytes) =>
        (taken = memory.take(bytes)).subarray(0, bytes),
      );
      const fd = openFiles.get(path);
      for (const offset of offsets) writeAllSync(fd, plain, offset);
    } finally {
      if (taken) memory.give(taken);
    }
  }

  async function copy(requests: readonly CopyRequest[]): Promise<(null | Error)[]> {
    const fds = new Map<string, number>();
    const descriptor = (path: string, write: boolean): number => {
      const name = `${write ? 'w' : 'r'}${path}`;
      let fd = fds.get(name);
      if (fd === undefined) fds.set(name, (fd = write ? openForWriting(path) : openForReading(path)));
      return fd;
    };
    const results: (null | Error)[] = requests.map(() => null);
    // The write of one block goes on while the next is read and hashed.
    let writing: Promise<void> = Promise.resolve();
    try {
      for (const [i, { from, fromOffset, to, toOffset, ref }] of requests.entries()) {
        const buffer = memory.take(ref.len);
        try {
          const plain = buffer.subarray(0, ref.len);
          const count = await readAt(descriptor(from, false), plain, fromOffset);
          if (count < ref.len || !sameBytes(sha256(plain), ref.plainHash)) {
            throw new AppError('bad_hash', 'The file to copy from has changed.', { details: { path: from } });
          }
          const fd = descriptor(to, true);
          await writing;
          writing = writeAll(fd, plain, toOffset)
            .catch((error: unknown) => void (results[i] = fileError(error, to)))
            .finally(() => memory.give(buffer));
        } catch (error) {
          memory.give(buffer);
          results[i] = fileError(error, from);
        }
      }
    } finally {
      await writing;
      for (const fd of fds.values()) fs.closeSync(fd);
    }
    return results;
  }

  async function finish({ temp, content, fsync }: FinishRequest): Promise<FileStamp> {
    const fd = openFiles.take(temp);
    try {
      if (content.inline) writeAllSync(fd, content.inline, 0);
      fs.ftruncateSync(fd, content.size);
      fs.fchmodSync(fd, (content.exec ? 0o777 : 0o666) & ~umask);
      const seconds = utimesSeconds(content.mtime);
      fs.futimesSync(fd, seconds, seconds);
      if (fsync) await fsyncAsync(fd);
      const stamp = stampOf(fs.fstatSync(fd, { bigint: true }));
      if (fs.lstatSync(temp, { bigint: true }).ino !== stamp.ino) {
        throw new AppError(
          'not_found',
          'The temporary file was replaced by another while it was being written.',
        );
      }
      return stamp;
    } finally {
      fs.closeSync(fd);
    }
  }

  return { index, seal, place, copy, finish };
}

/** Small reads answer at once, without a promise. */
function readAtOnce(fd: number, target: Uint8Array, position: number): Promise<number> | number {
  if (target.length > syncRead) return readAt(fd, target, position);
  let done = 0;
  while (done < target.length) {
    const count = fs.readSync(fd, target, done, target.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function openForWriting(path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
  return fs.openSync(path, O_RDWR | O_CREAT | (O_NOFOLLOW ?? 0), 0o600);
}

function tryOpen(path: string): { readonly fd: number; readonly stamp: FileStamp } | null {
  let fd: number;
  try {
    fd = openForReading(path);
  } catch {
    return null;
  }
  try {
    return { fd, stamp: stampOf(fs.fstatSync(fd, { bigint: true })) };
  } catch {
    fs.closeSync(fd);
    return null;
  }
}
