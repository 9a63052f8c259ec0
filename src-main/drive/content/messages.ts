import type { MessagePort } from 'node:worker_threads';
import { AppError, type ErrorCode } from '../../../src-shared/errors.ts';
import type { BlockRef, EpochId } from '../types.ts';
import type { FileStamp } from './types.ts';

/** What content workers and the main thread say to each other: few objects, large transferable buffers. */
export type Task =
  | {
      readonly op: 'index';
      readonly inputs: readonly IndexItem[];
      /** Blocks of all previous versions. */
      readonly previous: PackedRefs;
      /** For `SealedMessage`s out, `ControlMessage`s in. */
      readonly port: MessagePort;
    }
  | { readonly op: 'seal'; readonly items: readonly SealItem[]; readonly refs: PackedRefs }
  | { readonly op: 'place'; readonly items: readonly PlaceItem[]; readonly refs: PackedRefs }
  | { readonly op: 'copy'; readonly items: readonly CopyItem[]; readonly refs: PackedRefs }
  | { readonly op: 'finish'; readonly items: readonly FinishItem[] }
  | {
      readonly op: 'open';
      readonly key: Uint8Array;
      readonly ciphertext: Uint8Array;
      readonly refs: PackedRefs;
    };

export interface IndexItem {
  readonly path: string;
  readonly epoch: EpochId;
  readonly key: Uint8Array;
  readonly wantsSealed: boolean;
  /** Range in `previous`. */
  readonly start: number;
  readonly count: number;
}
export interface SealItem {
  readonly path: string;
  readonly offset: number;
  readonly key: Uint8Array;
  readonly stamp: FileStamp | null;
}
export interface PlaceItem {
  readonly path: string;
  readonly offsets: readonly number[];
  readonly key: Uint8Array;
  readonly ciphertext: Uint8Array;
}
export interface CopyItem {
  readonly from: string;
  readonly fromOffset: number;
  readonly to: string;
  readonly toOffset: number;
}
export interface FinishItem {
  readonly temp: string;
  readonly size: number;
  readonly mtime: number;
  readonly exec: boolean;
  readonly inline: Uint8Array | null;
  readonly fsync: boolean;
}

export type IndexAnswer =
  | { readonly error: PlainError }
  | {
      readonly error: null;
      readonly stamp: FileStamp;
      readonly size: number;
      readonly mtime: number;
      readonly exec: boolean;
      readonly hash: Uint8Array;
      readonly inline: Uint8Array | null;
      readonly blockSize: number;
      readonly start: number;
      readonly count: number;
    };
export interface IndexResult {
  readonly answers: readonly IndexAnswer[];
  readonly refs: PackedRefs;
}

/** New blocks of the files of one index task; each message wants one `credit` back. */
export interface SealedMessage {
  readonly items: readonly {
    readonly input: number;
    readonly offset: number;
    readonly ciphertext: Uint8Array;
  }[];
  readonly refs: PackedRefs;
}
export type ControlMessage = 'credit' | 'abort';

/** An `AppError` as plain data. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;
}
export const plainError = ({ code, message, details }: AppError): PlainError => ({ code, message, details });
export const revivedError = ({ code, message, details }: PlainError): AppError =>
  new AppError(code, message, details ? { details } : {});

/** Block references as columns in three buffers instead of thousands of small objects. */
export interface PackedRefs {
  /** 64 bytes each: id, plainHash. */
  readonly hashes: Uint8Array<ArrayBuffer>;
  /** Three each: len, weak, index into `epochs`. */
  readonly numbers: Uint32Array<ArrayBuffer>;
  readonly epochs: readonly EpochId[];
}

export function packRefs(refs: readonly BlockRef[]): PackedRefs {
  const hashes = new Uint8Array(64 * refs.length);
  const numbers = new Uint32Array(3 * refs.length);
  const epochs: EpochId[] = [];
  for (const [i, ref] of refs.entries()) {
    let epoch = epochs.indexOf(ref.epoch);
    if (epoch < 0) epoch = epochs.push(ref.epoch) - 1;
    hashes.set(ref.id, 64 * i);
    hashes.set(ref.plainHash, 64 * i + 32);
    numbers.set([ref.len, ref.weak, epoch], 3 * i);
  }
  return { hashes, numbers, epochs };
}

export function unpackRefs(packed: PackedRefs, start = 0, count = packed.numbers.length / 3): BlockRef[] {
  const refs: BlockRef[] = [];
  for (let i = start; i < start + count; i++) {
    refs.push({
      id: packed.hashes.subarray(64 * i, 64 * i + 32),
      epoch: packed.epochs[packed.numbers[3 * i + 2]!]!,
      plainHash: packed.hashes.subarray(64 * i + 32, 64 * i + 64),
      len: packed.numbers[3 * i]!,
      weak: packed.numbers[3 * i + 1]!,
    });
  }
  return refs;
}

export const refBuffers = (packed: PackedRefs): ArrayBuffer[] => [
  packed.hashes.buffer,
  packed.numbers.buffer,
];

/**
 * Makes many byte strings fit to be handed over: those that fill their ArrayBuffer are handed over as they are, the others
 * are copied together into one buffer (their memory is shared with something else).
 */
export function packBytes(list: readonly Uint8Array[]): { views: Uint8Array[]; transfer: ArrayBuffer[] } {
  const alone = (bytes: Uint8Array): boolean =>
    bytes.length >= 64 * 1024 &&
    bytes.buffer instanceof ArrayBuffer &&
    bytes.byteLength === bytes.buffer.byteLength;
  const seen = new Set<ArrayBuffer>();
  const owned = list.map((bytes) => {
    if (!alone(bytes) || seen.has(bytes.buffer as ArrayBuffer)) return false;
    seen.add(bytes.buffer as ArrayBuffer);
    return true;
  });
  // Threads see shared memory where it lies; whoever owns it waits for the answer before using it again.
  const shared = list.map((bytes) => bytes.buffer instanceof SharedArrayBuffer);
  const copied = (i: number): boolean => !owned[i] && !shared[i];
  const arena = new Uint8Array(list.reduce((sum, bytes, i) => sum + (copied(i) ? bytes.length : 0), 0));
  let at = 0;
  const views = list.map((bytes, i) => {
    if (owned[i]) return new Uint8Array(bytes.buffer);
    if (shared[i]) return bytes;
    arena.set(bytes, at);
    at += bytes.length;
    return arena.subarray(at - bytes.length, at);
  });
  return { views, transfer: arena.length > 0 ? [...seen, arena.buffer] : [...seen] };
}
