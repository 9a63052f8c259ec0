import type { AppError } from '../../../src-shared/errors.ts';
import type { FileStamp } from '../../drive/index.ts';

export type EntryType = 'file' | 'dir' | 'link' | 'other';

export interface FsStat extends FileStamp {
  readonly type: EntryType;
  /** 0n where the file system keeps none. With the inode it tells a renamed folder from a new one in a reused inode. */
  readonly birthNs: bigint;
}

/** One name in a folder. */
export interface FsEntry {
  /** The name as the local file system has it; null when it is not valid UTF-8 and so can't be synced. */
  readonly raw: string | null;
  /** For messages: invalid bytes replaced. */
  readonly shown: string;
  /** null when the entry could not be looked at (`error` says why). */
  readonly stat: FsStat | null;
  readonly error: string | null;
}

/**
 * The file system as the sync engine sees it: real, or virtual in simulations. Paths are absolute. No call follows a
 * symbolic link in the last part of a path. Failures are `AppError`s: `not_found`, `already_exists`, `permission_denied`,
 * `disk_full`, `name_unsupported`, `internal`.
 */
export interface FolderFs {
  /** Everything in a folder, in no order; entries that vanish meanwhile are left out. */
  list(path: string): Promise<readonly FsEntry[]>;
  /** null when there is nothing. */
  lstat(path: string): Promise<FsStat | null>;
  /** No error when it exists and is a folder. Missing parents are made when asked for. */
  mkdir(path: string, options?: { readonly parents?: boolean }): Promise<void>;
  /** Replaces a file at `to`; callers look first. */
  rename(from: string, to: string): Promise<void>;
  /**
   * Renames many files at once, each only where nothing is yet. @returns for each what is there now, or why it was not done
   * (`already_exists` when something is there)
   */
  place(
    items: readonly { readonly from: string; readonly to: string }[],
  ): Promise<readonly (FsStat | AppError)[]>;
  /** Files and links. No error when it is gone already. */
  unlink(path: string): Promise<void>;
  /** Empty folders only. Throws `not_allowed` when it isn't empty. */
  rmdir(path: string): Promise<void>;
  /** A folder and all it holds; only ever called on the drive's own folder. */
  removeTree(path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  readlink(path: string): Promise<string>;
  chmod(path: string, mode: number): Promise<void>;
  /** Makes renames in this folder survive a power cut. */
  fsyncDir(path: string): Promise<void>;
  /** Small files (marker, ignore rules): at most `limit` bytes, or `too_large`. */
  readSmall(path: string, limit: number): Promise<Uint8Array>;
  /** Written to a temp name, synced and renamed. */
  writeSmall(path: string, bytes: Uint8Array): Promise<void>;
  /** Part of a file; shorter at its end. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
  /** A copy that shares the bytes on disk; false when this file system can't. */
  reflink(from: string, to: string): Promise<boolean>;
  /** Which of these files some program has open for writing now, as far as that can be told here. */
  openForWriting(paths: ReadonlySet<string>): Promise<ReadonlySet<string>>;
  /** Free bytes for this user where `path` is. */
  freeBytes(path: string): Promise<number>;
  /** Names that differ by case only are the same here. */
  caseInsensitive(folder: string): Promise<boolean>;
  stop(): Promise<void>;
}
