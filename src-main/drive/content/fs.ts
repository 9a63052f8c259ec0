import type { FileStamp } from './types.ts';

/** The little of a file system that content work needs, so that a simulator can stand in. Failures have Node's `code`s or are `AppError`s. */
export interface VirtualFs {
  /** Never through a symlink. */
  readFile(path: string): Promise<Uint8Array>;
  /** Never through a symlink; fails for anything but a regular file. */
  stat(path: string): Promise<FileStamp>;
  /** Creates the file when missing and extends it with zeros when shorter. */
  writeAt(path: string, position: number, bytes: Uint8Array): Promise<void>;
  /** Creates the file when missing. */
  truncate(path: string, size: number): Promise<void>;
  /** `mode`: permission bits; `mtime`: ms. */
  setMeta(path: string, meta: { readonly mode: number; readonly mtime: number }): Promise<void>;
  /** What was written to this file before survives a crash. */
  sync(path: string): Promise<void>;
  /** The same for everything. */
  syncAll(): Promise<void>;
}
