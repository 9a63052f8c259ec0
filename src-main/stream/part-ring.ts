import { constants } from 'node:fs';
import { mkdir, open, readdir, rm, statfs, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '../../src-shared/runtime.ts';
import { maxHeaderBytes } from './codec/header.ts';
import { limits } from './types.ts';

/** Where a part lies in the ring. */
export interface RingPlace {
  readonly file: number;
  readonly offset: number;
  readonly header: number;
  readonly payload: number;
}

/** The bytes of one part, as they were written; what reads them checks them like those from the network. */
export interface RingRecord {
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

/**
 * Parts on disk: what the memory of a stream has no room for. Files are only appended to; the oldest goes when there are too many
 * bytes. A ring lasts as long as its stream.
 */
export interface PartRing {
  /**
   * Writes behind; the bytes must not change meanwhile.
   * @returns null when it is not kept: the disk is full, broken or too slow
   */
  write(seq: number, header: Uint8Array, chunks: readonly Uint8Array[]): Promise<RingPlace | null>;
  /** @returns null when it has gone or can't be read */
  read(place: RingPlace): Promise<RingRecord | null>;
  /** Is the file of this place still there? */
  holds(place: RingPlace): boolean;
  /** Calls back when the oldest file had to go, with the highest `seq` in it. */
  onDropped(told: (last: number) => void): void;
  /** Files of which all parts lie below this `seq` go. */
  forgetBelow(seq: number): void;
  bytes(): number;
  /** Ends writing; what is there stays for `openPartRing` of the next start. */
  close(): Promise<void>;
  /** Ends it and takes everything off the disk. */
  remove(): Promise<void>;
}

/** A file is closed and the next begun at so many bytes. */
const fileBytes = 8 * 1024 * 1024;
/** Bytes that may wait for a slow disk. */
const mostWaiting = 16 * 1024 * 1024;
/** Bytes that a ring leaves free on its disk. */
const leastFree = 512 * 1024 * 1024;
/** What is written at a time. */
const mostAtOnce = 1024 * 1024;
const lengths = 8;

interface RingFile {
  readonly number: number;
  size: number;
  /** Highest `seq` in it. */
  last: number;
}

interface Job {
  readonly seq: number;
  readonly header: Uint8Array;
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
  readonly done: (place: RingPlace | null) => void;
}

/**
 * Opens the ring of a stream in a folder of its own.
 * @param options.maxBytes what its files may take together
 * @param options.found told of every whole record that an earlier start left, in the order they were written; without it they are
 * taken off the disk
 */
export async function openPartRing(options: {
  readonly folder: string;
  readonly logger: Logger;
  readonly maxBytes?: number;
  readonly leastFree?: number;
  readonly found?: (header: Uint8Array, place: RingPlace) => number | null;
}): Promise<PartRing> {
  const { folder, logger, maxBytes = limits.ringBytes, found } = options;
  const least = options.leastFree ?? leastFree;
  if (!found) await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = new Map<number, RingFile>();
  const readers = new Map<number, Promise<FileHandle>>();
  const queue: Job[] = [];
  let bytes = 0;
  let waiting = 0;
  let current: { readonly file: RingFile; readonly handle: FileHandle } | null = null;
  let next = 0;
  let broken = false;
  let closed = false;
  let isWorking = false;
  let working: Promise<void> = Promise.resolve();
  let dropped = (_: number): void => {};

  const nameOf = (number: number): string => path.join(folder, `${number}.parts`);

  function forget(file: RingFile): void {
    files.delete(file.number);
    bytes -= file.size;
    const reader = readers.get(file.number);
    readers.delete(file.number);
    void (async () => {
      await (await reader)?.close();
      await unlink(nameOf(file.number));
    })().catch((error: unknown) => logger.debug({ err: error }, 'a file of a stream stays behind'));
  }

  async function nextFile(): Promise<{ readonly file: RingFile; readonly handle: FileHandle }> {
    if (current && current.file.size < fileBytes) return current;
    await current?.handle.close();
    current = null;
    const space = await statfs(folder);
    if (space.bavail * space.bsize < least) throw new Error('the disk has little room left');
    const file: RingFile = { number: next++, size: 0, last: -1 };
    const handle = await open(nameOf(file.number), 'wx', 0o600);
    files.set(file.number, file);
    current = { file, handle };
    return current;
  }

  async function work(): Promise<void> {
    for (;;) {
      if (queue.length === 0) {
        // Before anybody can write again: what comes from now on starts the next one.
        isWorking = false;
        return;
      }
      const batch: Job[] = [];
      let size = 0;
      while (queue[0] && (batch.length === 0 || size + queue[0].size <= mostAtOnce)) {
        const job = queue.shift()!;
        batch.push(job);
        size += job.size;
      }
      const places: (RingPlace | null)[] = [];
      try {
        if (broken) throw new Error('it was given up');
        const { file, handle } = await nextFile();
        const pieces: Uint8Array[] = [];
        let at = file.size;
        for (const { seq, header, chunks, size: length } of batch) {
          const head = Buffer.alloc(lengths);
          const payload = length - lengths - header.length;
          head.writeUInt32BE(header.length, 0);
          head.writeUInt32BE(payload, 4);
          pieces.push(head, header, ...chunks);
          places.push({ file: file.number, offset: at, header: header.length, payload });
          at += length;
          file.last = Math.max(file.last, seq);
        }
        await handle.write(Buffer.concat(pieces), 0, size, file.size);
        file.size += size;
        bytes += size;
        for (const oldest of files.values()) {
          if (bytes <= maxBytes || oldest === file) break;
          forget(oldest);
          dropped(oldest.last);
        }
      } catch (error) {
        // Without a disk the stream goes on; only how far back one may go gets less.
        if (!broken) logger.warn({ err: error }, 'parts of a stream are not kept on disk any more');
        broken = true;
        places.length = 0;
      }
      batch.forEach((job, n) => {
        waiting -= job.size;
        job.done(places[n] ?? null);
      });
    }
  }

  function reader(number: number): Promise<FileHandle> {
    let handle = readers.get(number);
    if (!handle) {
      handle = open(nameOf(number), constants.O_RDONLY);
      handle.catch(() => {});
      readers.set(number, handle);
      // A few are kept open: who goes back reads one file after another.
      const [oldest] = readers.keys();
      if (readers.size > 8 && oldest !== undefined) {
        void readers.get(oldest)?.then(
          (one) => one.close(),
          () => {},
        );
        readers.delete(oldest);
      }
    }
    return handle;
  }

  /** What an earlier start left: up to the first record of a file that is not whole. */
  async function scan(): Promise<void> {
    const numbers = (await readdir(folder))
      .flatMap((name) => /^(\d{1,12})\.parts$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
    for (const number of numbers) {
      next = Math.max(next, number + 1);
      const file: RingFile = { number, size: 0, last: -1 };
      const handle = await open(nameOf(number), 'r');
      try {
        const { size } = await handle.stat();
        const head = Buffer.alloc(lengths + maxHeaderBytes);
        for (let at = 0; at + lengths < size;) {
          const { bytesRead } = await handle.read(head, 0, head.length, at);
          if (bytesRead < lengths) break;
          const header = head.readUInt32BE(0);
          const payload = head.readUInt32BE(4);
          if (header > maxHeaderBytes || lengths + header > bytesRead || payload > limits.partBytes) break;
          if (at + lengths + header + payload > size) break;
          const bytesOf = new Uint8Array(head.subarray(lengths, lengths + header));
          const seq = found!(bytesOf, { file: number, offset: at, header, payload });
          if (seq === null) break;
          file.last = Math.max(file.last, seq);
          at += lengths + header + payload;
          file.size = at;
        }
      } finally {
        await handle.close();
      }
      files.set(number, file);
      bytes += file.size;
      if (file.size === 0) forget(file);
    }
  }
  if (found) await scan();

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    await working;
    await current?.handle.close();
    current = null;
    for (const one of readers.values())
      await one.then(
        (handle) => handle.close(),
        () => {},
      );
    readers.clear();
  }

  return {
    write(seq, header, chunks) {
      const size = chunks.reduce((sum, one) => sum + one.length, lengths + header.length);
      if (closed || broken || waiting + size > mostWaiting) return Promise.resolve(null);
      waiting += size;
      return new Promise((done) => {
        queue.push({ seq, header, chunks, size, done });
        if (isWorking) return;
        isWorking = true;
        working = work();
      });
    },
    async read(place) {
      if (closed || !files.has(place.file)) return null;
      try {
        const handle = await reader(place.file);
        const both = new Uint8Array(place.header + place.payload);
        const { bytesRead } = await handle.read(both, 0, both.length, place.offset + lengths);
        if (bytesRead !== both.length) return null;
        return { header: both.subarray(0, place.header), payload: both.subarray(place.header) };
      } catch (error) {
        logger.debug({ err: error }, 'a part of a stream could not be read back');
        return null;
      }
    },
    holds: (place) => !closed && files.has(place.file),
    onDropped(told) {
      dropped = told;
    },
    forgetBelow(seq) {
      for (const file of [...files.values()]) if (file.last < seq && file !== current?.file) forget(file);
    },
    bytes: () => bytes,
    close,
    async remove() {
      await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
