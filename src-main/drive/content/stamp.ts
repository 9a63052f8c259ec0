import type { BigIntStats } from 'node:fs';
import { AppError } from '../../../src-shared/errors.ts';
import type { FileStamp } from './types.ts';

/** The stamp of what `fs.stat(…, { bigint: true })` found. Throws `unsupported` for anything but a regular file. */
export function stampOf(stats: BigIntStats): FileStamp {
  if (!stats.isFile()) throw new AppError('unsupported', 'The path is not a regular file.');
  return {
    size: Number(stats.size),
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    ino: stats.ino,
    dev: stats.dev,
    mode: Number(stats.mode),
  };
}

/** True when nothing tells the two apart: the same file, not written in between as far as the file system says. */
export function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return (
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.ino === b.ino &&
    a.dev === b.dev
  );
}

/** Milliseconds, as a `FileContent` has them. */
export function mtimeOf(stamp: FileStamp): number {
  return Number(stamp.mtimeNs / 1_000_000n);
}

export function isExecutable(stamp: FileStamp): boolean {
  return (stamp.mode & 0o100) !== 0;
}

/**
 * Seconds to hand to `utimes` so that the file then has exactly `mtime` (ms): a microsecond more, since seconds as a
 * floating-point number are cut off on the way and would often come out a millisecond early.
 */
export function utimesSeconds(mtime: number): number {
  return (mtime + 0.001) / 1000;
}
