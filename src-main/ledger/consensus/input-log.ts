import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { storeError } from '../../store/index.ts';
import { decodeLogEntry, encodeLogEntry, maxLogEntryBytes } from './event-codec.ts';
import type { LogEntry } from './event-codec.ts';

/**
 * The write-ahead log of one height's inputs. A crash may cut off its end; what is left is a prefix of what was written. It is
 * there for progress (votes and bodies need not be fetched again, and a body this validator is locked on must not be lost); that it
 * never contradicts itself rests on the sign-state.
 */
export interface InputLog {
  /** The entries found when it was opened, if they are of that height. */
  recover(height: number): readonly LogEntry[];
  /** Begins anew for a height. */
  reset(height: number): void;
  append(entry: LogEntry): void;
  /** What was appended is on the disk when this returns. */
  sync(): void;
  close(): void;
}

/** Length and CRC-32 of the payload, each u32 little-endian. */
const headBytes = 8;
/** Beyond it entries are no longer written until the next height: they can be fetched from others. Bytes. */
const maxBytes = 256 * 1024 * 1024;

/** The entries of a log up to the first that is cut off or damaged, and where that is. */
export function readInputLog(bytes: Uint8Array): {
  readonly entries: readonly LogEntry[];
  readonly end: number;
} {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: LogEntry[] = [];
  let at = 0;
  while (at + headBytes <= bytes.length) {
    const length = view.getUint32(at, true);
    if (length === 0 || length > maxLogEntryBytes || at + headBytes + length > bytes.length) break;
    const payload = bytes.subarray(at + headBytes, at + headBytes + length);
    if (crc32(payload) !== view.getUint32(at + 4, true)) break;
    try {
      entries.push(decodeLogEntry(payload));
    } catch {
      break;
    }
    at += headBytes + length;
  }
  return { entries, end: at };
}

/** @throws AppError `permission_denied`, `disk_full` */
export function openInputLog(path: string): InputLog {
  let file: number;
  let found: readonly LogEntry[];
  let end: number;
  try {
    file = openSync(path, 'a+', 0o600);
    ({ entries: found, end } = readInputLog(readFileSync(path)));
    ftruncateSync(file, end);
  } catch (error) {
    throw storeError(error, path);
  }
  let dirty = false;

  function append(entry: LogEntry): void {
    if (end > maxBytes) return;
    const payload = encodeLogEntry(entry);
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(payload.length, 0);
    head.writeUInt32LE(crc32(payload), 4);
    try {
      const bytes = Buffer.concat([head, payload]);
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
      end += bytes.length;
    } catch (error) {
      throw storeError(error, path);
    }
    dirty = true;
  }

  return {
    recover(height) {
      const [first, ...rest] = found;
      found = [];
      return first?.kind === 'height' && first.height === height ? rest : [];
    },
    reset(height) {
      ftruncateSync(file, 0);
      end = 0;
      append({ kind: 'height', height });
    },
    append,
    sync() {
      if (!dirty) return;
      try {
        fdatasyncSync(file);
      } catch (error) {
        throw storeError(error, path);
      }
      dirty = false;
    },
    close: () => closeSync(file),
  };
}
