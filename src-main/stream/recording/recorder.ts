import { open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { AppError } from '../../../src-shared/errors.ts';
import type { RenditionKind } from '../types.ts';
import { finishRecording, holder } from './finish.ts';
import { boxesOf, one, readFragment, readInit, runLength, shiftTimes } from './fragments.ts';
import type { InitFacts } from './fragments.ts';

/** Writes a stream into a file while it is sent. */
export interface Recorder {
  /** How the run begins, before its first part. A run with other codecs ends the file and begins another. */
  init(bytes: Uint8Array): void;
  part(bytes: Uint8Array): void;
  /** Ends it; the file is seekable then. Resolves with where it lies; null when nothing was recorded. */
  finish(): Promise<string | null>;
  /** What went wrong, if anything did; nothing more is written then. */
  problem(): AppError | null;
}

/** Bytes that may wait for a slow disk. */
const mostWaiting = 64 * 1024 * 1024;
const flushEvery = 1_000;

/**
 * @param paths.working where it grows
 * @param paths.place names what it is called in the end, each time it is asked for a free one
 * @param now ms
 */
export function createRecorder(
  kind: RenditionKind,
  paths: { readonly working: (n: number) => string; readonly place: () => Promise<string> },
  now: () => number,
): Recorder {
  let handle: FileHandle | null = null;
  let file = '';
  let files = 0;
  let facts: InitFacts | null = null;
  let pendingInit: Uint8Array | null = null;
  /** Of each track: where the file is, and what is added to the times of this run. */
  const ends = new Map<number, number>();
  const shifts = new Map<number, number>();
  let fresh = true;
  let waiting = 0;
  let flushedAt = 0;
  let written = 0;
  let placed: string | null = null;
  let failure: AppError | null = null;
  let tail: Promise<void> = Promise.resolve();

  function later(bytes: number, work: () => Promise<void>): void {
    waiting += bytes;
    tail = tail.then(async () => {
      try {
        if (!failure) await work();
      } catch (error) {
        failure = asError(error);
      } finally {
        waiting -= bytes;
      }
    });
  }

  async function begin(init: Uint8Array): Promise<void> {
    file = paths.working(files);
    files += 1;
    written = 0;
    handle = await open(file, 'wx');
    if (kind === 'data') return;
    facts = readInit(init);
    const boxes = boxesOf(init);
    const ftyp = one(boxes, 'ftyp');
    const moov = one(boxes, 'moov');
    const head = [init.subarray(ftyp.start, ftyp.end), holder(), init.subarray(moov.start, moov.end)];
    await append(new Uint8Array(Buffer.concat(head)));
    ends.clear();
    shifts.clear();
    fresh = true;
  }

  async function append(bytes: Uint8Array): Promise<void> {
    await handle!.write(bytes);
    written += bytes.length;
    if (now() - flushedAt > flushEvery) {
      flushedAt = now();
      await handle!.datasync();
    }
  }

  async function end(): Promise<void> {
    if (!handle) return;
    await handle.sync();
    await handle.close();
    handle = null;
    try {
      if (kind !== 'data') await finishRecording(file);
    } catch (error) {
      if (error instanceof AppError && error.code === 'malformed') {
        await unlink(file);
        return;
      }
      throw error;
    }
    const target = await paths.place();
    await rename(file, target);
    placed ??= target;
  }

  async function takeInit(bytes: Uint8Array): Promise<void> {
    if (!handle) return begin(bytes);
    const next = readInit(bytes);
    if (next.fingerprint !== facts?.fingerprint) {
      await end();
      return begin(bytes);
    }
    // The same codecs: the file goes on where it was.
    fresh = true;
  }

  async function takePart(bytes: Uint8Array): Promise<void> {
    if (kind === 'data') {
      if (!handle) await begin(new Uint8Array());
      return append(bytes);
    }
    if (!handle || !facts) return;
    const runs = readFragment(
      bytes,
      (track) => facts!.tracks.get(track)?.defaults ?? { duration: 0, size: 0, flags: 0 },
    );
    if (fresh) {
      // All tracks move by the same time, so that sound and pictures stay together.
      const seconds = (track: number, value: number): number =>
        value / (facts!.tracks.get(track)?.timescale ?? 1);
      const start = Math.min(...runs.map((run) => seconds(run.track, run.start)));
      const reached = Math.max(0, ...[...ends].map(([track, value]) => seconds(track, value)));
      for (const [track, { timescale }] of facts.tracks)
        shifts.set(track, Math.round((reached - start) * timescale));
      fresh = false;
    }
    const shift = (track: number): number => shifts.get(track) ?? 0;
    const copy = new Uint8Array(bytes);
    shiftTimes(copy, runs, shift);
    for (const run of runs) ends.set(run.track, run.start + shift(run.track) + runLength(run));
    await append(copy);
  }

  return {
    init(bytes) {
      pendingInit = bytes;
    },
    part(bytes) {
      if (failure) return;
      if (waiting + bytes.length > mostWaiting) {
        failure = new AppError(
          'disk_full',
          'The disk is too slow for this recording; what was recorded so far stays.',
        );
        return;
      }
      const init = pendingInit;
      pendingInit = null;
      later(bytes.length, async () => {
        if (init) await takeInit(init);
        await takePart(bytes);
      });
    },
    async finish() {
      await tail;
      try {
        await end();
      } catch (error) {
        failure ??= asError(error);
      }
      return written > 0 || placed ? placed : null;
    },
    problem: () => failure,
  };
}

function asError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new AppError(
    code === 'ENOSPC' ? 'disk_full' : 'permission_denied',
    `The recording can't be written: ${message}.`,
    { cause: error },
  );
}
