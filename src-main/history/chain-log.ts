import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { AppError } from '../../src-shared/errors.ts';
import { storeError } from '../store/index.ts';
import { maxEntryBytes } from './codec.ts';

/*
 * The append-only file of a chain. A record is: magic "EXE1", u32 payload length, u32 CRC-32 over the length field and the
 * payload (both big-endian), payload. Records lie one behind the other; nothing else is in the file.
 */

const magic = Buffer.from('EXE1', 'latin1');
/** Bytes before a record's payload. */
export const headBytes = 12;
/** The longest record that may exist. */
export const maxRecordBytes = headBytes + maxEntryBytes;
/** What a scan reads at once. */
const windowBytes = 1024 * 1024;

const writev = promisify(fs.writev);
const fdatasync = promisify(fs.fdatasync);
const ftruncate = promisify(fs.ftruncate);
const readAsync = promisify(fs.read);

/** Where a record lies, in bytes; `length` counts its head too. */
export interface RecordPlace {
  readonly offset: number;
  readonly length: number;
}

export type ScanItem =
  | (RecordPlace & { readonly kind: 'record'; readonly payload: Uint8Array })
  /** Bytes that are no record, up to the next good record or the end; `tail` when nothing good follows. */
  | (RecordPlace & {
      readonly kind: 'damaged';
      readonly reason: string;
      readonly tail: boolean;
      /** A tail that looks like a write cut short, not like one finished and changed later. */
      readonly torn: boolean;
    });

export interface ChainLog {
  /** Where the next record will lie. */
  size(): number;
  /**
   * Writes records and waits until they are on the disk. Not to be called again before it is done.
   * @throws AppError `disk_full`, `permission_denied`, ...: nothing was stored, unless the disk itself failed
   */
  append(payloads: readonly Uint8Array[]): Promise<readonly RecordPlace[]>;
  /** Payload of the record at that place. @throws AppError `corrupt` when no good record of that length lies there */
  read(place: RecordPlace): Uint8Array;
  /** What lies there, good or bad. */
  bytes(offset: number, length: number): Promise<Uint8Array>;
  /** Everything in [from, to). Damage never ends a scan: it goes on at the next good record. */
  scan(from: number, to: number): AsyncGenerator<ScanItem>;
  /** Cuts the file; `aside`, if given, is a file that first receives the bytes cut off. */
  truncate(size: number, aside?: string): Promise<void>;
  close(): void;
}

/**
 * Opens (and makes) the log at `path`.
 * @throws AppError as `storeError` makes them
 */
export function openChainLog(path: string): ChainLog {
  let fd: number;
  try {
    fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const isNew = !fs.existsSync(path);
    fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    if (isNew) syncFolder(dirname(path));
  } catch (error) {
    throw storeError(error, path);
  }
  let end = fs.fstatSync(fd).size;
  /** Set when the file's state on disk is unknown: an fsync that failed can't be repeated ("fsyncgate", 2018). */
  let broken: AppError | null = null;
  let closed = false;
  let working = 0;

  const checkOpen = (): void => {
    if (closed) throw new AppError('shutting_down', 'The history of this drive is closed.');
  };

  async function append(payloads: readonly Uint8Array[]): Promise<readonly RecordPlace[]> {
    if (broken !== null) throw broken;
    const places: RecordPlace[] = [];
    const chunks: Uint8Array[] = [];
    let offset = end;
    for (const payload of payloads) {
      const length = headBytes + payload.length;
      if (length > maxRecordBytes) throw new AppError('too_large', 'A history entry is too large.');
      chunks.push(recordHead(payload), payload);
      places.push({ offset, length });
      offset += length;
    }
    try {
      await writeAll(fd, chunks, end);
    } catch (error) {
      await cutBack(error);
      throw storeError(error, path);
    }
    try {
      await fdatasync(fd);
    } catch (error) {
      broken = storeError(error, path);
      throw broken;
    }
    end = offset;
    return places;
  }

  /** A write that stopped half-way must not leave records behind that were reported as not stored. */
  async function cutBack(cause: unknown): Promise<void> {
    try {
      await ftruncate(fd, end);
    } catch {
      broken = storeError(cause, path);
    }
  }

  function read({ offset, length }: RecordPlace): Uint8Array {
    checkOpen();
    let record: Buffer | null;
    try {
      record = length > headBytes ? readExactly(fd, offset, length) : null;
    } catch (error) {
      throw storeError(error, path);
    }
    const payload = record?.subarray(headBytes);
    if (
      !record ||
      !payload ||
      payloadLength(record) !== payload.length ||
      checksum(payload) !== record.readUInt32BE(8)
    ) {
      throw new AppError('corrupt', 'A stored history entry is damaged.', { details: { path, offset } });
    }
    return new Uint8Array(payload.buffer, payload.byteOffset, payload.length);
  }

  async function* scan(from: number, to: number): AsyncGenerator<ScanItem> {
    const window = createWindow(readAt, Math.min(to, end));
    let offset = from;
    while (offset < window.end) {
      const payload = await recordAt(window, offset);
      if (payload instanceof Uint8Array) {
        const length = headBytes + payload.length;
        yield { kind: 'record', offset, length, payload };
        offset += length;
        continue;
      }
      const next = await nextRecord(window, offset + 1);
      const length = (next ?? window.end) - offset;
      const tail = next === null;
      yield { kind: 'damaged', offset, length, reason: payload.reason, tail, torn: tail && payload.torn };
      offset += length;
    }
  }

  /** Closing waits for the calls under way: their descriptor must not be handed to another file meanwhile. */
  async function busy<T>(work: () => Promise<T>): Promise<T> {
    checkOpen();
    working += 1;
    try {
      return await work();
    } finally {
      working -= 1;
      if (closed && working === 0) fs.closeSync(fd);
    }
  }

  async function readAt(offset: number, length: number): Promise<Buffer> {
    return busy(async () => {
      const bytes = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await readAsync(fd, bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    });
  }

  return {
    size: () => end,
    append: (payloads) => busy(() => append(payloads)),
    read,
    bytes: readAt,
    scan,
    truncate: (size, aside) =>
      busy(async () => {
        try {
          if (aside !== undefined && size < end) await copyRange(createWindow(readAt, end), size, aside);
          await ftruncate(fd, size);
          await fdatasync(fd);
          end = size;
        } catch (error) {
          throw storeError(error, path);
        }
      }),
    close() {
      if (closed) return;
      closed = true;
      if (working === 0) fs.closeSync(fd);
    },
  };
}

function recordHead(payload: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  magic.copy(head);
  head.writeUInt32BE(payload.length, 4);
  head.writeUInt32BE(checksum(payload), 8);
  return head;
}

function checksum(payload: Uint8Array): number {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return crc32(payload, crc32(length));
}

/** The payload length a head announces; null when it is no head. */
function payloadLength(head: Buffer): number | null {
  const length = head.readUInt32BE(4);
  return head.compare(magic, 0, 4, 0, 4) === 0 && length > 0 && length <= maxEntryBytes ? length : null;
}

interface Window {
  readonly end: number;
  /** Up to `length` bytes from `offset`; fewer at the end only. Valid until the next call. */
  at(offset: number, length: number): Promise<Buffer>;
}

/** Reads ahead in large pieces, so that a scan costs few system calls and bounded memory. */
function createWindow(read: (offset: number, length: number) => Promise<Buffer>, end: number): Window {
  let start = 0;
  let bytes: Buffer = Buffer.alloc(0);
  return {
    end,
    async at(offset, length) {
      const wanted = Math.max(0, Math.min(length, end - offset));
      if (offset < start || offset + wanted > start + bytes.length) {
        bytes = await read(offset, Math.min(Math.max(windowBytes, wanted), end - offset));
        start = offset;
      }
      return bytes.subarray(offset - start, offset - start + wanted);
    },
  };
}

async function recordAt(
  window: Window,
  offset: number,
): Promise<Uint8Array | { readonly reason: string; readonly torn: boolean }> {
  const head = await window.at(offset, headBytes);
  // After a power cut a file may have grown without its last bytes having been written: they read as zeros.
  if (head.length < headBytes || head.every((byte) => byte === 0)) {
    return { reason: 'The record is incomplete.', torn: true };
  }
  const length = payloadLength(head);
  if (length === null) return { reason: 'No record begins here.', torn: false };
  const crc = head.readUInt32BE(8);
  const payload = await window.at(offset + headBytes, length);
  if (payload.length < length) return { reason: 'The record is incomplete.', torn: true };
  // A copy: the window moves on.
  if (checksum(payload) === crc) return new Uint8Array(payload);
  return { reason: 'The checksum of the record is wrong.', torn: false };
}

/** The offset of the first good record at or after `from`; null when there is none. */
async function nextRecord(window: Window, from: number): Promise<number | null> {
  let offset = from;
  while (offset + headBytes < window.end) {
    const bytes = await window.at(offset, windowBytes);
    const found = bytes.indexOf(magic);
    if (found === -1) {
      // The magic may straddle two windows.
      offset += Math.max(1, bytes.length - magic.length + 1);
      continue;
    }
    offset += found;
    if ((await recordAt(window, offset)) instanceof Uint8Array) return offset;
    offset += 1;
  }
  return null;
}

async function writeAll(fd: number, chunks: readonly Uint8Array[], offset: number): Promise<void> {
  let rest = chunks.slice();
  let position = offset;
  while (rest.length > 0) {
    // The kernel takes at most 1024 pieces a call (IOV_MAX) and may take only part of them.
    let { bytesWritten } = await writev(fd, rest.slice(0, 1024), position);
    position += bytesWritten;
    let whole = 0;
    while (whole < rest.length && bytesWritten >= (rest[whole] as Uint8Array).length) {
      bytesWritten -= (rest[whole] as Uint8Array).length;
      whole += 1;
    }
    rest = rest.slice(whole);
    if (bytesWritten > 0) rest[0] = (rest[0] as Uint8Array).subarray(bytesWritten);
  }
}

/** Null when the file ends before. */
function readExactly(fd: number, offset: number, length: number): Buffer | null {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const read = fs.readSync(fd, bytes, filled, length - filled, offset + filled);
    if (read === 0) return null;
    filled += read;
  }
  return bytes;
}

async function copyRange(window: Window, from: number, target: string): Promise<void> {
  const out = fs.openSync(target, 'w', 0o600);
  try {
    for (let offset = from; offset < window.end;) {
      const bytes = await window.at(offset, windowBytes);
      if (bytes.length === 0) break;
      fs.writeSync(out, bytes);
      offset += bytes.length;
    }
    fs.fsyncSync(out);
  } finally {
    fs.closeSync(out);
  }
}

function syncFolder(path: string): void {
  // Windows can't open folders; NTFS journals the new name by itself.
  if (process.platform === 'win32') return;
  const fd = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
