import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError } from '../../../src-shared/errors.ts';
import { boxesOf, one, readFragment, readInit, runLength, within } from './fragments.ts';
import type { Box, InitFacts } from './fragments.ts';

/*
 * A recording while it is made: ftyp, a free box of 16 bytes, the init segment's moov, then moof and mdat again and again. That is a
 * fragmented MP4 that plays whatever happens. When it is finished, a moov with all samples is appended and the free box becomes the head
 * of an mdat that reaches up to it: the same bytes are an ordinary seekable file then. (OBS calls this hybrid MP4.)
 */

/** The box that becomes the head of the mdat. */
export const holder = (): Uint8Array => {
  const box = Buffer.alloc(16);
  box.writeUInt32BE(16, 0);
  box.write('free', 4, 'latin1');
  return new Uint8Array(box);
};

/** Runs of equal values, as stts and ctts want them. */
interface Pairs {
  readonly list: [number, number][];
  add(value: number): void;
}

function createPairs(): Pairs {
  const list: [number, number][] = [];
  return {
    list,
    add(value) {
      const last = list.at(-1);
      if (last?.[1] === value) last[0] += 1;
      else list.push([1, value]);
    },
  };
}

interface Table {
  readonly timescale: number;
  readonly durations: Pairs;
  readonly offsets: Pairs;
  reordered: boolean;
  readonly sizes: number[];
  readonly syncs: number[];
  allSync: boolean;
  /** Where each run of samples lies, and how many it has. */
  readonly chunks: { readonly at: number; readonly count: number }[];
  /** Decode time of the first sample; null before it. */
  first: number | null;
  end: number;
}

const movieScale = 1000;
const headBytes = 64 * 1024;
/** More samples than in a day of 60 pictures and 50 packets of sound a second. */
const mostSamples = 12_000_000;

/**
 * Finishes a recording in place, also one that was interrupted: what is half written at its end is cut off. A finished one stays as it is.
 * @throws AppError `malformed` when it holds nothing that could be played; whatever the file system throws
 */
export async function finishRecording(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await finish(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function finish(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  const ftyp = await headAt(handle, 0, size);
  const held = ftyp && (await headAt(handle, ftyp.end, size));
  if (!held) throw new AppError('malformed', 'The recording has no beginning.');
  if (held.type === 'mdat') return;
  const moov = await headAt(handle, held.end, size);
  if (held.type !== 'free' || moov?.type !== 'moov' || moov.end > size)
    throw new AppError('malformed', 'The recording has no beginning.');
  const init = await read(handle, moov.start, moov.end - moov.start);
  const facts = readInit(init);
  const tables = await readTables(handle, facts, moov.end, size);
  const complete = tables.end;
  if (![...tables.tracks.values()].some((table) => table.sizes.length > 0))
    throw new AppError('malformed', 'Nothing was recorded.');
  const index = buildMoov(init, facts, tables.tracks);
  await handle.truncate(complete);
  await handle.write(index, 0, index.length, complete);
  await handle.sync();
  // Last, in one small write: before it the file is a fragmented one, after it an ordinary one.
  const head = Buffer.alloc(16);
  head.writeUInt32BE(1, 0);
  head.write('mdat', 4, 'latin1');
  head.writeBigUInt64BE(BigInt(complete - held.start), 8);
  await handle.write(head, 0, 16, held.start);
}

async function read(handle: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const { bytesRead } = await handle.read(bytes, 0, length, at);
  return bytes.subarray(0, bytesRead);
}

async function headAt(handle: FileHandle, at: number, size: number): Promise<Box | null> {
  if (size - at < 8) return null;
  const head = await read(handle, at, Math.min(16, size - at));
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const short = view.getUint32(0);
  if (short === 1 && head.length < 16) return null;
  const length = short === 1 ? Number(view.getBigUint64(8)) : short;
  if (length < 8) return null;
  const type = Buffer.from(head.subarray(4, 8)).toString('latin1');
  return { type, start: at, body: at + (short === 1 ? 16 : 8), end: at + length };
}

async function readTables(
  handle: FileHandle,
  facts: InitFacts,
  from: number,
  size: number,
): Promise<{ readonly tracks: ReadonlyMap<number, Table>; readonly end: number }> {
  const tracks = new Map<number, Table>();
  for (const [id, { timescale }] of facts.tracks) {
    tracks.set(id, {
      timescale,
      durations: createPairs(),
      offsets: createPairs(),
      reordered: false,
      sizes: [],
      syncs: [],
      allSync: true,
      chunks: [],
      first: null,
      end: 0,
    });
  }
  let at = from;
  let total = 0;
  for (let n = 0; ; n++) {
    const moof = await headAt(handle, at, size);
    if (!moof || moof.type !== 'moof' || moof.end > size) break;
    const mdat = await headAt(handle, moof.end, size);
    if (!mdat || mdat.type !== 'mdat' || mdat.end > size) break;
    if (moof.end - moof.start > 4 * headBytes) break;
    const bytes = await read(handle, moof.start, moof.end - moof.start);
    for (const run of readFragment(bytes, (track) => defaultsOf(facts, track))) {
      const table = tracks.get(run.track);
      if (!table || run.samples.length === 0) continue;
      total += run.samples.length;
      if (total > mostSamples) throw new AppError('too_large', 'The recording is too long for one file.');
      if (table.first === null) table.first = run.start;
      // A hole before this run: the sample before it lasts longer.
      else if (run.start > table.end) stretch(table.durations, run.start - table.end);
      table.chunks.push({ at: moof.start + run.dataOffset, count: run.samples.length });
      for (const sample of run.samples) {
        table.durations.add(sample.duration);
        table.offsets.add(sample.offset);
        if (sample.offset !== 0) table.reordered = true;
        table.sizes.push(sample.size);
        if (sample.sync) table.syncs.push(table.sizes.length);
        else table.allSync = false;
      }
      table.end = Math.max(table.end, run.start) + runLength(run);
    }
    at = mdat.end;
    if (n % 64 === 63) await nextTurn();
  }
  return { tracks, end: at };
}

function defaultsOf(facts: InitFacts, track: number) {
  return facts.tracks.get(track)?.defaults ?? { duration: 0, size: 0, flags: 0 };
}

function stretch(durations: Pairs, by: number): void {
  const last = durations.list.at(-1);
  if (!last) return;
  const longer = last[1] + by;
  if (last[0] === 1) last[1] = longer;
  else {
    last[0] -= 1;
    durations.list.push([1, longer]);
  }
}

function box(type: string, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 8);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(length, 0);
  head.write(type, 4, 'latin1');
  return new Uint8Array(Buffer.concat([head, ...content]));
}

function words(...values: readonly number[]): Uint8Array {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, n) => out.writeUInt32BE(value >>> 0, 4 * n));
  return new Uint8Array(out);
}

/** A full box whose body is a count and entries of 32 bits. */
function list(type: string, version: number, count: number, values: Iterable<number>): Uint8Array {
  const numbers = [...values];
  const out = Buffer.alloc(8 + 4 * numbers.length);
  out.writeUInt32BE(version << 24, 0);
  out.writeUInt32BE(count, 4);
  numbers.forEach((value, n) => out.writeUInt32BE(value >>> 0, 8 + 4 * n));
  return box(type, new Uint8Array(out));
}

/** The movie header and tracks of the init segment with all samples in place of none. */
function buildMoov(init: Uint8Array, facts: InitFacts, tables: ReadonlyMap<number, Table>): Uint8Array {
  const moov = one(boxesOf(init), 'moov');
  const starts = [...tables.values()].flatMap((table) =>
    table.first === null ? [] : [table.first / table.timescale],
  );
  const origin = Math.min(...starts);
  let longest = 0;
  const traks: Uint8Array[] = [];
  const inside = within(init, moov);
  for (const trak of inside.filter((each) => each.type === 'trak')) {
    const parts = within(init, trak);
    const view = new DataView(init.buffer, init.byteOffset, init.byteLength);
    const tkhd = one(parts, 'tkhd');
    const id = view.getUint32(tkhd.body + (view.getUint8(tkhd.body) === 1 ? 20 : 12));
    const table = tables.get(id);
    if (!table || table.first === null || !facts.tracks.has(id)) continue;
    const mediaLength = table.end - table.first;
    const late = Math.round((table.first / table.timescale - origin) * movieScale);
    const length = Math.round((mediaLength / table.timescale) * movieScale);
    longest = Math.max(longest, late + length);
    traks.push(trakBox(init, parts, table, late, length, mediaLength));
  }
  const mvhd = one(inside, 'mvhd');
  const head = header(init, mvhd, longest, movieScale);
  return box('moov', head, ...traks);
}

/** mvhd, tkhd or mdhd again, in version 0, with a duration (and a time scale). */
function header(init: Uint8Array, original: Box, duration: number, timescale: number | null): Uint8Array {
  const view = new DataView(init.buffer, init.byteOffset, init.byteLength);
  const wide = view.getUint8(original.body) === 1;
  const flags = view.getUint32(original.body) & 0xffffff;
  const short = Math.min(duration, 0xffffffff);
  if (original.type === 'tkhd') {
    const id = view.getUint32(original.body + (wide ? 20 : 12));
    const rest = init.subarray(original.body + (wide ? 36 : 24), original.end);
    return box('tkhd', words(flags, 0, 0, id, 0, short), rest);
  }
  const scale = timescale ?? view.getUint32(original.body + (wide ? 20 : 12));
  const rest = init.subarray(original.body + (wide ? 32 : 20), original.end);
  return box(original.type, words(flags, 0, 0, scale, short), rest);
}

function trakBox(
  init: Uint8Array,
  parts: readonly Box[],
  table: Table,
  late: number,
  length: number,
  mediaLength: number,
): Uint8Array {
  const copy = (each: Box): Uint8Array => init.subarray(each.start, each.end);
  const mdia = within(init, one(parts, 'mdia'));
  const minf = within(init, one(mdia, 'minf'));
  const stsd = one(within(init, one(minf, 'stbl')), 'stsd');
  const pairs = (list: readonly [number, number][]): number[] => list.flat();
  // One chunk a run; equal counts in a row are told once.
  const perChunk: number[] = [];
  table.chunks.forEach(({ count }, n) => {
    if (table.chunks[n - 1]?.count !== count) perChunk.push(n + 1, count, 1);
  });
  const offsets = Buffer.alloc(8 + 8 * table.chunks.length);
  offsets.writeUInt32BE(table.chunks.length, 4);
  table.chunks.forEach(({ at }, n) => offsets.writeBigUInt64BE(BigInt(at), 8 + 8 * n));
  const sizes = Buffer.alloc(12 + 4 * table.sizes.length);
  sizes.writeUInt32BE(table.sizes.length, 8);
  table.sizes.forEach((size, n) => sizes.writeUInt32BE(size, 12 + 4 * n));
  const stbl = box(
    'stbl',
    copy(stsd),
    list('stts', 0, table.durations.list.length, pairs(table.durations.list)),
    ...(table.reordered ? [list('ctts', 1, table.offsets.list.length, pairs(table.offsets.list))] : []),
    list('stsc', 0, perChunk.length / 3, perChunk),
    box('stsz', new Uint8Array(sizes)),
    box('co64', new Uint8Array(offsets)),
    ...(table.allSync ? [] : [list('stss', 0, table.syncs.length, table.syncs)]),
  );
  const media = box(
    'mdia',
    header(init, one(mdia, 'mdhd'), mediaLength, null),
    copy(one(mdia, 'hdlr')),
    box('minf', ...minf.filter((each) => each.type !== 'stbl').map(copy), stbl),
  );
  const edits =
    late > 0 ? [box('edts', box('elst', words(0, 2, late, 0xffffffff, 0x10000, length, 0, 0x10000)))] : [];
  return box('trak', header(init, one(parts, 'tkhd'), late + length, null), ...edits, media);
}
