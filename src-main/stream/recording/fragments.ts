import { AppError } from '../../../src-shared/errors.ts';

/** A box of ISO/IEC 14496-12 inside a buffer: where it begins, where its content begins, where it ends. */
export interface Box {
  readonly type: string;
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

const broken = (why: string): AppError => new AppError('malformed', `This is no fragmented MP4: ${why}.`);

/** The boxes of a buffer from `at` to `end`. @throws AppError `malformed` */
export function boxesOf(bytes: Uint8Array, at = 0, end = bytes.length): Box[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const boxes: Box[] = [];
  while (at < end) {
    if (end - at < 8 || boxes.length > 4096) throw broken('a box is cut off');
    let size = view.getUint32(at);
    let body = at + 8;
    if (size === 1) {
      if (end - at < 16) throw broken('a box is cut off');
      size = Number(view.getBigUint64(at + 8));
      body = at + 16;
    }
    if (size < body - at || at + size > end) throw broken('a box is larger than what holds it');
    boxes.push({ type: typeAt(bytes, at + 4), start: at, body, end: at + size });
    at += size;
  }
  return boxes;
}

const typeAt = (bytes: Uint8Array, at: number): string =>
  String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!);

/** The boxes inside a box. */
export const within = (bytes: Uint8Array, box: Box): Box[] => boxesOf(bytes, box.body, box.end);

export function one(boxes: readonly Box[], type: string): Box {
  const found = boxes.find((each) => each.type === type);
  if (found) return found;
  throw broken(`it has no ${type}`);
}

/** What a moof says of one track. Times in the time scale of the track. */
export interface TrackRun {
  readonly track: number;
  /** Decode time of the first sample. */
  readonly start: number;
  readonly samples: readonly {
    readonly duration: number;
    readonly size: number;
    readonly offset: number;
    readonly sync: boolean;
  }[];
  /** Where the first sample lies, from the start of the moof. */
  readonly dataOffset: number;
  /** Where the decode time is written in the buffer, and whether in 64 bits. */
  readonly timeAt: number;
  readonly wide: boolean;
}

/** Defaults of the samples of a track, from trex. */
export interface TrackDefaults {
  readonly duration: number;
  readonly size: number;
  readonly flags: number;
}

/**
 * Reads a moof: ISO/IEC 14496-12, 8.8.4 to 8.8.12. One trun a traf, offsets from the moof: what our parts are made of.
 * @param bytes begin with the moof
 * @throws AppError `malformed`
 */
export function readFragment(
  bytes: Uint8Array,
  defaults: (track: number) => TrackDefaults,
): readonly TrackRun[] {
  return inBounds(() => fragmentOf(bytes, defaults));
}

/** Reading past the end of the bytes is one more way of being malformed. */
function inBounds<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw broken('a box is cut off');
    throw error;
  }
}

function fragmentOf(bytes: Uint8Array, defaults: (track: number) => TrackDefaults): readonly TrackRun[] {
  const moof = boxesOf(bytes, 0, Math.min(bytes.length, sizeAt(bytes))).find((box) => box.type === 'moof');
  if (!moof) throw broken('a part does not begin with a moof');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const runs: TrackRun[] = [];
  for (const traf of within(bytes, moof)) {
    if (traf.type !== 'traf') continue;
    const inside = within(bytes, traf);
    const tfhd = one(inside, 'tfhd');
    const tfdt = one(inside, 'tfdt');
    const read = reader(view, tfhd);
    const flags = read.flags();
    const track = read.u32();
    const fallback = defaults(track);
    if (flags & 0x000001) throw broken('offsets do not count from the moof');
    if (flags & 0x000002) read.u32();
    const duration = flags & 0x000008 ? read.u32() : fallback.duration;
    const size = flags & 0x000010 ? read.u32() : fallback.size;
    const sampleFlags = flags & 0x000020 ? read.u32() : fallback.flags;
    const wide = view.getUint8(tfdt.body) === 1;
    const timeAt = tfdt.body + 4;
    if (tfdt.end - timeAt < (wide ? 8 : 4)) throw broken('a box is cut off');
    const start = wide ? Number(view.getBigUint64(timeAt)) : view.getUint32(timeAt);
    const truns = inside.filter((box) => box.type === 'trun');
    if (truns.length !== 1) throw broken('a track has more than one run in a part');
    const run = reader(view, truns[0]!);
    const runFlags = run.flags();
    const count = run.u32();
    if (count > 100_000) throw broken('a part has too many samples');
    const dataOffset = runFlags & 0x000001 ? run.i32() : 0;
    const firstFlags = runFlags & 0x000004 ? run.u32() : null;
    const samples = Array.from({ length: count }, (_, n) => {
      const sampleDuration = runFlags & 0x000100 ? run.u32() : duration;
      const sampleSize = runFlags & 0x000200 ? run.u32() : size;
      const own = runFlags & 0x000400 ? run.u32() : n === 0 && firstFlags !== null ? firstFlags : sampleFlags;
      const offset = runFlags & 0x000800 ? run.i32() : 0;
      // sample_is_non_sync_sample
      return { duration: sampleDuration, size: sampleSize, offset, sync: (own & 0x00010000) === 0 };
    });
    runs.push({ track, start, samples, dataOffset, timeAt, wide });
  }
  return runs;
}

function sizeAt(bytes: Uint8Array): number {
  if (bytes.length < 8) throw broken('a box is cut off');
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

function reader(view: DataView, box: Box) {
  let at = box.body;
  const need = (n: number): number => {
    if (at + n > box.end) throw broken('a box is cut off');
    at += n;
    return at - n;
  };
  return {
    flags: () => view.getUint32(need(4)) & 0xffffff,
    u32: () => view.getUint32(need(4)),
    i32: () => view.getInt32(need(4)),
  };
}

/** Length of a run, in the time scale of its track. */
export const runLength = (run: TrackRun): number =>
  run.samples.reduce((sum, sample) => sum + sample.duration, 0);

/** What the init segment says of its tracks. */
export interface InitFacts {
  readonly tracks: ReadonlyMap<number, { readonly timescale: number; readonly defaults: TrackDefaults }>;
  /** The sample descriptions: equal ones may follow each other in a file. */
  readonly fingerprint: string;
}

/** @throws AppError `malformed` */
export function readInit(bytes: Uint8Array): InitFacts {
  return inBounds(() => initOf(bytes));
}

function initOf(bytes: Uint8Array): InitFacts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const moov = one(boxesOf(bytes), 'moov');
  const inside = within(bytes, moov);
  const defaults = new Map<number, TrackDefaults>();
  const mvex = inside.find((box) => box.type === 'mvex');
  for (const trex of mvex ? within(bytes, mvex) : []) {
    if (trex.type !== 'trex' || trex.end - trex.body < 24) continue;
    defaults.set(view.getUint32(trex.body + 4), {
      duration: view.getUint32(trex.body + 12),
      size: view.getUint32(trex.body + 16),
      flags: view.getUint32(trex.body + 20),
    });
  }
  const tracks = new Map<number, { timescale: number; defaults: TrackDefaults }>();
  const descriptions: string[] = [];
  for (const trak of inside.filter((box) => box.type === 'trak')) {
    const parts = within(bytes, trak);
    const tkhd = one(parts, 'tkhd');
    const mdia = within(bytes, one(parts, 'mdia'));
    const mdhd = one(mdia, 'mdhd');
    const id = view.getUint32(tkhd.body + (view.getUint8(tkhd.body) === 1 ? 20 : 12));
    const timescale = view.getUint32(mdhd.body + (view.getUint8(mdhd.body) === 1 ? 20 : 12));
    if (timescale === 0) throw broken('a track has no time scale');
    const stbl = within(bytes, one(within(bytes, one(mdia, 'minf')), 'stbl'));
    const stsd = one(stbl, 'stsd');
    descriptions.push(Buffer.from(bytes.subarray(stsd.start, stsd.end)).toString('base64'));
    tracks.set(id, { timescale, defaults: defaults.get(id) ?? { duration: 0, size: 0, flags: 0 } });
  }
  if (tracks.size === 0 || tracks.size > 8) throw broken('it has no tracks, or too many');
  return { tracks, fingerprint: descriptions.join(' ') };
}

/** Adds to the decode times of a part, in place; `shift` in the time scale of each track. */
export function shiftTimes(
  bytes: Uint8Array,
  runs: readonly TrackRun[],
  shift: (track: number) => number,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const run of runs) {
    const time = run.start + shift(run.track);
    if (run.wide) view.setBigUint64(run.timeAt, BigInt(Math.max(0, time)));
    else view.setUint32(run.timeAt, Math.max(0, time) >>> 0);
  }
}
