import { AppError } from '../errors.ts';
import { box, concat, fullBox, u16, u32, u8, zeros } from './boxes.ts';
import type { Bytes } from './boxes.ts';

/** How pictures are coded. `codec` is the RFC 6381 name that also stands in playlists. */
export interface VideoFormat {
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  /** H.264: the decoder configuration record (avcC), needed. AV1: the configuration record or only its OBUs; VP9: not used. */
  readonly description?: Uint8Array;
}

/** How sound is coded: `opus` or `mp4a.40.2` (AAC-LC). */
export interface AudioFormat {
  readonly codec: string;
  /** Samples a second; Opus always decodes at 48,000, which is what it has to be there. */
  readonly sampleRate: number;
  readonly channels: number;
  /** AAC: the AudioSpecificConfig, needed. Opus: the identification header (OpusHead), for its pre-skip and channel mapping. */
  readonly description?: Uint8Array;
}

const invalid = (message: string): AppError => new AppError('invalid_argument', message);

/** The sample entry of a picture track. Throws `invalid_argument` for a codec that has none here. */
export function videoEntry(format: VideoFormat): Bytes {
  const { codec, width, height } = format;
  if (!whole(width, 1, 16384) || !whole(height, 1, 16384)) throw invalid('A picture needs a size.');
  const kind = codec.slice(0, 4);
  const visual = concat([
    zeros(6),
    u16(1), // data reference
    zeros(16),
    u16(width),
    u16(height),
    u32(0x00480000), // 72 dpi, as everybody writes
    u32(0x00480000),
    zeros(4),
    u16(1), // one frame a sample
    zeros(32), // no compressor name
    u16(0x0018), // depth
    u16(0xffff),
  ]);
  switch (kind) {
    case 'avc1':
      return box('avc1', visual, box('avcC', avcRecord(format)));
    case 'vp09':
      return box('vp09', visual, fullBox('vpcC', 1, 0, vpRecord(codec)));
    case 'av01':
      return box('av01', visual, box('av1C', av1Record(format)));
    default:
      throw invalid(`No way is known to put ${codec} into a file.`);
  }
}

/** The sample entry of a sound track. Throws `invalid_argument` for a codec that has none here. */
export function audioEntry(format: AudioFormat): Bytes {
  const { codec, sampleRate, channels } = format;
  if (!whole(channels, 1, 8)) throw invalid('Sound has one to eight channels.');
  if (!whole(sampleRate, 8000, 65_535)) throw invalid('Sound has 8,000 to 65,535 samples a second.');
  const sound = concat([
    zeros(6),
    u16(1),
    zeros(8),
    u16(channels),
    u16(16),
    zeros(4),
    u32(sampleRate * 65536),
  ]);
  if (codec.toLowerCase() === 'opus') {
    // Chromium refuses an entry that names another rate, other readers do not notice.
    if (sampleRate !== 48_000) throw invalid('Opus in a file runs at 48,000 samples a second.');
    return box('Opus', sound, box('dOps', opusRecord(format)));
  }
  if (codec === 'mp3' || codec.toLowerCase() === 'mp4a.6b')
    return box('mp4a', sound, fullBox('esds', 0, 0, mp3Record()));
  if (codec.startsWith('mp4a.40')) return box('mp4a', sound, fullBox('esds', 0, 0, aacRecord(format)));
  throw invalid(`No way is known to put ${codec} into a file.`);
}

function avcRecord({ description }: VideoFormat): Uint8Array {
  if (!description || description.length < 7 || description[0] !== 1)
    throw invalid('H.264 needs its decoder configuration record.');
  return description;
}

/** `vp09.PP.LL.DD[.CC.cp.tc.mc.FF]`, as in the VP codec ISO media file format binding. */
function vpRecord(codec: string): Bytes {
  const [profile = 0, level = 10, depth = 8, chroma = 1, primaries = 1, transfer = 1, matrix = 1, full = 0] =
    codec.split('.').slice(1).map(Number);
  if ([profile, level, depth, chroma, primaries, transfer, matrix, full].some((one) => !whole(one, 0, 255)))
    throw invalid(`${codec} is not a VP9 name.`);
  return u8(profile, level, (depth << 4) | (chroma << 1) | full, primaries, transfer, matrix, 0, 0);
}

/** `av01.P.LLT.DD`, as in the AV1 ISO media file format binding; the sequence header goes along. */
function av1Record({ codec, description }: VideoFormat): Uint8Array {
  if (description && description.length >= 4 && description[0] === 0x81) return description;
  const match = /^av01\.([0-2])\.(\d\d)([MH])\.(08|10|12)/.exec(codec);
  if (!match) throw invalid(`${codec} is not an AV1 name.`);
  const profile = Number(match[1]);
  const high = match[4] === '08' ? 0 : 0x40;
  const twelve = match[4] === '12' ? 0x20 : 0;
  // Profile 0 is 4:2:0, 1 is 4:4:4, 2 is 4:2:2 here.
  const chroma = profile === 0 ? 0x0c : profile === 1 ? 0 : 0x08;
  const record = u8(
    0x81,
    (profile << 5) | Number(match[2]),
    (match[3] === 'H' ? 0x80 : 0) | high | twelve | chroma,
    0,
  );
  return description ? concat([record, description]) : record;
}

/** Opus in ISO base media (version 0.8.1): like OpusHead, but big-endian and without its eight letters. */
function opusRecord({ channels, description }: AudioFormat): Bytes {
  let preSkip = 312;
  let gain = 0;
  let mapping: Uint8Array = u8(0);
  if (description && description.length >= 19) {
    const head = new DataView(description.buffer, description.byteOffset, description.byteLength);
    if (head.getUint8(9) !== channels) throw invalid('The Opus header names another number of channels.');
    preSkip = head.getUint16(10, true);
    gain = head.getUint16(16, true);
    mapping = description.subarray(18);
    if (mapping[0] === 0) mapping = u8(0);
  }
  if (channels > 2 && mapping[0] === 0) throw invalid('Opus with more than two channels needs its mapping.');
  return concat([u8(0, channels), u16(preSkip), u32(48_000), u16(gain), mapping]);
}

/** The elementary stream descriptor (ISO/IEC 14496-1) around an AudioSpecificConfig. */
function aacRecord({ description }: AudioFormat): Bytes {
  if (!description || description.length < 2 || description.length > 64)
    throw invalid('AAC needs its AudioSpecificConfig.');
  const described = (tag: number, ...pieces: Uint8Array[]): Bytes => {
    const body = concat(pieces);
    return concat([u8(tag, 0x80, 0x80, 0x80, body.length), body]);
  };
  const specific = described(5, description);
  const decoder = described(4, u8(0x40, 0x15), zeros(3), zeros(8), specific);
  return described(3, u16(0), u8(0), decoder, described(6, u8(2)));
}

/** The elementary stream descriptor of MPEG-1 layer 3, whose frames say everything themselves. */
function mp3Record(): Bytes {
  const decoder = concat([u8(4, 13), u8(0x6b, 0x15), zeros(3), zeros(8)]);
  const sl = u8(6, 1, 2);
  return concat([u8(3, 3 + decoder.length + sl.length), u16(0), u8(0), decoder, sl]);
}

/** AV1: the sequence header OBU of a key frame, for its configuration record; null when the frame carries none. */
export function av1SequenceHeader(frame: Uint8Array): Uint8Array | null {
  for (const obu of obusOf(frame)) if (obu.type === 1) return frame.subarray(obu.start, obu.end);
  return null;
}

/** AV1: a sample as files want it, without temporal delimiters. */
export function av1Sample(frame: Uint8Array): Uint8Array {
  const kept = [...obusOf(frame)].filter(({ type }) => type !== 2);
  const first = kept[0];
  const last = kept.at(-1);
  if (!first || !last) return frame;
  return kept.length > 0 &&
    last.end - first.start === kept.reduce((sum, { start, end }) => sum + end - start, 0)
    ? frame.subarray(first.start, last.end)
    : concat(kept.map(({ start, end }) => frame.subarray(start, end)));
}

/** The OBUs of a low-overhead AV1 stream; ends quietly where the bytes make no sense. */
function* obusOf(frame: Uint8Array): Generator<{ type: number; start: number; end: number }> {
  let at = 0;
  while (at < frame.length) {
    const start = at;
    const header = frame[at++]!;
    if (header & 0x04) at++;
    let size = frame.length - at;
    if (header & 0x02) {
      size = 0;
      for (let shift = 0; shift < 56; shift += 7) {
        const byte = frame[at++];
        if (byte === undefined) return;
        size += (byte & 0x7f) * 2 ** shift;
        if (!(byte & 0x80)) break;
      }
    }
    const end = at + size;
    if (end > frame.length) return;
    yield { type: (header >> 3) & 0x0f, start, end };
    at = end;
  }
}

const whole = (value: number, least: number, most: number): boolean =>
  Number.isInteger(value) && value >= least && value <= most;
