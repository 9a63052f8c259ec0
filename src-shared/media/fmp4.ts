/**
 * Writes fragmented MP4 for live streams: one init segment, then parts of one moof and one mdat with the samples of a fifth of a
 * second. (Libraries cut fragments at key frames only; low-latency HLS needs several parts between two.) ISO/IEC 14496-12, with
 * the bindings of the codecs in `codecs.ts`. Pure: bytes in, bytes out.
 */
import { AppError } from '../errors.ts';
import { ascii, box, concat, fullBox, u16, u32, u64, u8, zeros } from './boxes.ts';
import type { Bytes } from './boxes.ts';
import { audioEntry, videoEntry } from './codecs.ts';
import type { AudioFormat, VideoFormat } from './codecs.ts';

/** Pictures are timed in 90 kHz, sound in samples. */
export const videoTimescale = 90_000;

/** Track numbers are fixed: pictures first, sound second, also where there is only one of them. */
export const videoTrack = 1;
export const audioTrack = 2;

export interface Sample {
  readonly data: Uint8Array;
  /** In the time scale of the track, at least 1. */
  readonly duration: number;
  /** Can be decoded without those before. Always true for sound. */
  readonly key: boolean;
  /** Presentation minus decode time, in the time scale of the track; 0 where pictures are not reordered. */
  readonly offset?: number;
}

/** Samples of one track, one after another without holes. */
export interface Run {
  /** Decode time of the first sample in the time scale of the track, counted from the start of the stream. */
  readonly start: number;
  readonly samples: readonly Sample[];
}

export interface InitOptions {
  readonly video?: VideoFormat;
  readonly audio?: AudioFormat;
}

/** The init segment of a rendition. Throws `invalid_argument` when there is no track or a codec is not known. */
export function writeInit({ video, audio }: InitOptions): Bytes {
  if (!video && !audio) throw new AppError('invalid_argument', 'A stream needs pictures or sound.');
  const tracks: Uint8Array[] = [];
  const extend: Uint8Array[] = [];
  if (video) {
    tracks.push(
      track(videoTrack, video.width, video.height, videoTimescale, 'vide', 'Video', videoEntry(video)),
    );
    extend.push(trex(videoTrack));
  }
  if (audio) {
    tracks.push(track(audioTrack, 0, 0, audio.sampleRate, 'soun', 'Sound', audioEntry(audio)));
    extend.push(trex(audioTrack));
  }
  const brands = ['iso5', 'iso6', 'mp41', 'cmfc'].map(ascii);
  return concat([
    box('ftyp', ascii('iso6'), u32(0), brands),
    box('moov', movieHeader(), tracks, box('mvex', extend)),
  ]);
}

export interface PartOptions {
  /** Counts the parts of the rendition, from 1. */
  readonly sequence: number;
  readonly video?: Run;
  readonly audio?: Run;
}

/** One part: a moof and its mdat, pictures before sound. Throws `invalid_argument` for a part without samples. */
export function writePart({ sequence, video, audio }: PartOptions): Bytes {
  const runs: { id: number; run: Run; isVideo: boolean }[] = [];
  if (video && video.samples.length > 0) runs.push({ id: videoTrack, run: video, isVideo: true });
  if (audio && audio.samples.length > 0) runs.push({ id: audioTrack, run: audio, isVideo: false });
  if (runs.length === 0) throw new AppError('invalid_argument', 'A part needs samples.');
  // The size of a moof does not depend on the offsets in it: written twice, the second time with the true ones.
  const fragment = (offsets: readonly number[]): Bytes =>
    box(
      'moof',
      fullBox('mfhd', 0, 0, u32(sequence >>> 0)),
      runs.map(({ id, run, isVideo }, n) => traf(id, run, isVideo, offsets[n] ?? 0)),
    );
  const size = fragment([]).length;
  const offsets: number[] = [];
  let at = size + 8;
  for (const { run } of runs) {
    offsets.push(at);
    for (const { data } of run.samples) at += data.length;
  }
  const media = runs.flatMap(({ run }) => run.samples.map(({ data }) => data));
  return concat([fragment(offsets), u32(at - size), ascii('mdat'), ...media]);
}

/** When a run ends, in the time scale of its track. */
export const endOf = ({ start, samples }: Run): number =>
  samples.reduce((sum, { duration }) => sum + duration, start);

const matrix = concat([u32(0x10000), zeros(12), u32(0x10000), zeros(12), u32(0x40000000)]);

const movieHeader = (): Bytes =>
  fullBox('mvhd', 0, 0, zeros(8), u32(1000), u32(0), u32(0x10000), u16(0x0100), zeros(10), matrix, [
    zeros(24),
    u32(audioTrack + 1),
  ]);

function track(
  id: number,
  width: number,
  height: number,
  timescale: number,
  handler: 'vide' | 'soun',
  name: string,
  entry: Uint8Array,
): Bytes {
  const isVideo = handler === 'vide';
  const header = fullBox('tkhd', 0, 3, zeros(8), u32(id), zeros(4), u32(0), zeros(8), [
    u16(0),
    u16(isVideo ? 0 : 1), // the tracks are no alternatives of each other
    u16(isVideo ? 0 : 0x0100),
    u16(0),
    matrix,
    u32(width * 65536),
    u32(height * 65536),
  ]);
  const media = box(
    'mdia',
    fullBox('mdhd', 0, 0, zeros(8), u32(timescale), u32(0), u16(0x55c4), u16(0)),
    fullBox('hdlr', 0, 0, zeros(4), ascii(handler), zeros(12), ascii(name), u8(0)),
    box(
      'minf',
      isVideo ? fullBox('vmhd', 0, 1, zeros(8)) : fullBox('smhd', 0, 0, zeros(4)),
      box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1))),
      box(
        'stbl',
        fullBox('stsd', 0, 0, u32(1), entry),
        fullBox('stts', 0, 0, u32(0)),
        fullBox('stsc', 0, 0, u32(0)),
        fullBox('stsz', 0, 0, zeros(8)),
        fullBox('stco', 0, 0, u32(0)),
      ),
    ),
  );
  return box('trak', header, media);
}

const trex = (id: number): Bytes => fullBox('trex', 0, 0, u32(id), u32(1), zeros(12));

// Sample flags: depends on others or not, is a sync sample or not.
const keyFlags = 0x02000000;
const deltaFlags = 0x01010000;

function traf(id: number, { start, samples }: Run, isVideo: boolean, offset: number): Bytes {
  if (!Number.isSafeInteger(start) || start < 0)
    throw new AppError('invalid_argument', 'A part starts at a whole number of ticks.');
  const reordered = samples.some((one) => (one.offset ?? 0) !== 0);
  // Data offset, duration, size; flags for each picture; composition offsets where there are any.
  const flags = 0x000001 | 0x000100 | 0x000200 | (isVideo ? 0x000400 : 0) | (reordered ? 0x000800 : 0);
  const width = 8 + (isVideo ? 4 : 0) + (reordered ? 4 : 0);
  const table = new Uint8Array(samples.length * width);
  const view = new DataView(table.buffer);
  let at = 0;
  for (const sample of samples) {
    if (!Number.isInteger(sample.duration) || sample.duration < 1)
      throw new AppError('invalid_argument', 'A sample lasts at least one tick.');
    view.setUint32(at, sample.duration);
    view.setUint32(at + 4, sample.data.length);
    at += 8;
    if (isVideo) {
      view.setUint32(at, sample.key ? keyFlags : deltaFlags);
      at += 4;
    }
    if (reordered) {
      view.setInt32(at, sample.offset ?? 0);
      at += 4;
    }
  }
  // default-base-is-moof; sound has the flags of a sync sample by default.
  const header = isVideo
    ? fullBox('tfhd', 0, 0x020000, u32(id))
    : fullBox('tfhd', 0, 0x020020, u32(id), u32(keyFlags));
  return box(
    'traf',
    header,
    fullBox('tfdt', 1, 0, u64(start)),
    fullBox('trun', 1, flags, u32(samples.length), u32(offset), table),
  );
}
