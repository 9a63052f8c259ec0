import type { EpochId, FileContent, BlockRef } from '../types.ts';

/** What tells whether a file on disk is still the one that was read. */
export interface FileStamp {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly mode: number;
}

export interface SealKey {
  readonly epoch: EpochId;
  /** 32 bytes: `Drive.contentKey(epoch)`. */
  readonly key: Uint8Array;
}

export interface IndexInput {
  readonly path: string;
  /** Seals new blocks; reused blocks keep their epoch. */
  readonly seal: SealKey;
  /** The version this file had before: unchanged runs are found in it wherever they moved. */
  readonly previous: FileContent | null;
  /**
   * Called as blocks of a large file become known, before the whole is (early announcement), with their ciphertext, so
   * that nothing is read and sealed twice while a peer is fetching. Awaited: this is the back-pressure.
   */
  readonly onSealed?: (blocks: readonly SealedBlock[]) => Promise<void> | void;
}
export interface SealedBlock {
  readonly ref: BlockRef;
  /** Byte offset of the block in the file. */
  readonly offset: number;
  /** The receiver's own; in shared memory it may be released (`releaseShared`) when it is not needed any more. */
  readonly ciphertext: Uint8Array;
}
export interface Indexed {
  readonly content: FileContent;
  /** Taken before reading and equal after it (otherwise the error is `changed_while_reading`). */
  readonly stamp: FileStamp;
}

/** One block to read from a plaintext file, compare and seal again. */
export interface SealRequest {
  readonly path: string;
  readonly offset: number;
  readonly ref: BlockRef;
  readonly key: Uint8Array;
  /** The stamp the file had when it was indexed; null: it is being written, and only the block's hash counts. */
  readonly stamp: FileStamp | null;
}

/** One received block to check (id, tag, plaintext hash) and write. */
export interface PlaceRequest {
  readonly ref: BlockRef;
  readonly key: Uint8Array;
  /**
   * Handed over: a large one that fills its ArrayBuffer is moved to the worker and is empty here afterwards. Shared memory is
   * read where it lies, until `place` answers.
   */
  readonly ciphertext: Uint8Array;
  /** Every place in the temp file this block belongs to. */
  readonly path: string;
  readonly offsets: readonly number[];
}

/** A run to copy from a file that has it, checked against its plaintext hash on the way. */
export interface CopyRequest {
  readonly from: string;
  readonly fromOffset: number;
  readonly to: string;
  readonly toOffset: number;
  readonly ref: BlockRef;
}

export interface FinishRequest {
  /** A temp file whose blocks are all in place; with `inline`, it is written here. */
  readonly temp: string;
  readonly content: FileContent;
  /** fsync this file now; false when the caller syncs the file system once for a batch. */
  readonly fsync: boolean;
}

/**
 * All byte work on files: in the app by worker threads over the real file system, in the simulator inline over a virtual
 * one. Batches in, one result per item out; an item's failure is its own result, never the batch's.
 */
export interface ContentIo {
  /** Items are done in order; `changed_while_reading`, `permission_denied`, `not_found` are per-item errors. */
  index(inputs: readonly IndexInput[], signal?: AbortSignal): Promise<readonly (Indexed | Error)[]>;
  /** null where the file no longer has that block (the caller answers `gone` and rescans); else as `SealedBlock.ciphertext`. */
  seal(requests: readonly SealRequest[]): Promise<readonly (Uint8Array | null)[]>;
  /** Error per item: `bad_hash` (the peer lied or the line did), `disk_full`, ... */
  place(requests: readonly PlaceRequest[]): Promise<readonly (null | Error)[]>;
  /** `bad_hash` when the source changed meanwhile: fetch that block instead. */
  copy(requests: readonly CopyRequest[]): Promise<readonly (null | Error)[]>;
  /** Sets length, mode and mtime, syncs as asked, and returns the stamp the file now has. */
  finish(requests: readonly FinishRequest[]): Promise<readonly (FileStamp | Error)[]>;
  /** Flushes the whole file system that holds `path` (Linux `syncfs` through `sync -f`), for large batches. */
  syncFileSystem(path: string): Promise<void>;
  /** Checks a block as `place` does and returns its plaintext (for `file cat` and previews). */
  open(ref: BlockRef, key: Uint8Array, ciphertext: Uint8Array): Promise<Uint8Array>;
  stop(): Promise<void>;
}
