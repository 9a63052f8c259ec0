import { AppError } from '../../../../src-shared/errors.ts';
import {
  endOf,
  partTicks,
  placeSegment,
  ticksPerSecond,
  writeInit,
  writePart,
} from '../../../../src-shared/media/index.ts';
import type { AudioFormat, FeedItem, Run, Sample, VideoFormat } from '../../../../src-shared/media/index.ts';

/** One message of an encoder as FLV and RTMP have it (Adobe's FLV specification, version 10.1, annex E). */
export interface FlvMessage {
  readonly kind: 'audio' | 'video';
  /** Decode time, ms. */
  readonly time: number;
  /** Copied: a buffer may be used again. */
  readonly data: Uint8Array;
}

export interface FlvCutter {
  /** @throws AppError `unsupported` for anything but H.264 and AAC, `malformed` */
  push(message: FlvMessage): void;
  /** Gives out what is left. */
  end(): void;
  /** null before both configurations have come. */
  readonly formats: { readonly video: VideoFormat; readonly audio: AudioFormat | null } | null;
}

const samplesOfAac = 1024;
/** Sound may be so late before a part goes without what is missing, ticks. */
const patience = ticksPerSecond / 2;
/** An encoder that sends no sound has said so by then: pictures wait for its configuration so long, ms. */
const soundWithin = 1000;
const rates = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000];

const unsupported = (why: string): AppError => new AppError('unsupported', why);
const malformed = (): AppError => new AppError('malformed', 'The encoder sent what can not be read.');

/**
 * Repacks H.264 and AAC of an encoder as parts, without encoding anything again. Parts begin at key frames and else every fifth of
 * a second; pictures may be reordered. Pure.
 * @param sizeOf the size that a sequence parameter set says; null when it can't be read
 */
export function createFlvCutter(options: {
  readonly sizeOf: (sps: Uint8Array) => { readonly width: number; readonly height: number } | null;
  readonly onItem: (item: FeedItem) => void;
}): FlvCutter {
  const { sizeOf, onItem } = options;
  let video: VideoFormat | null = null;
  let audio: AudioFormat | null = null;
  let begun = false;
  /** Decode time of the first key frame, ms: the zero of the stream. */
  let origin: number | null = null;
  let firstPicture: number | null = null;
  /** The newest picture: how long it lasts is known when the next one comes. */
  let held: { readonly at: number; readonly sample: Omit<Sample, 'duration'> } | null = null;
  let open: { start: number; samples: Sample[] } | null = null;
  const closed: { readonly run: Run; readonly end: number }[] = [];
  const sounds: { readonly start: number; readonly data: Uint8Array }[] = [];
  let soundNext: number | null = null;
  let newest = 0;
  let sequence = 0;
  const position = { seq: 0, segment: 0, segmentStart: 0 };

  function configureVideo(description: Uint8Array): void {
    if (description.length < 9 || description[0] !== 1) throw malformed();
    const length = ((description[6] ?? 0) << 8) | (description[7] ?? 0);
    const size = sizeOf(description.subarray(8, 8 + length));
    if (!size) throw malformed();
    const hex = [...description.subarray(1, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const next = { codec: `avc1.${hex}`, ...size, description: new Uint8Array(description) };
    if (video && begun && !same(video.description!, next.description))
      throw unsupported('The encoder changed its picture. Start the stream anew.');
    video = next;
  }

  function configureAudio(description: Uint8Array): void {
    if (description.length < 2) throw malformed();
    const sampleRate = rates[((description[0]! & 7) << 1) | (description[1]! >> 7)];
    const channels = (description[1]! >> 3) & 15;
    if (sampleRate === undefined || sampleRate > 65_535 || channels < 1 || channels > 8)
      throw unsupported('This kind of AAC is not taken.');
    audio ??= {
      codec: `mp4a.40.${description[0]! >> 3}`,
      sampleRate,
      channels,
      description: new Uint8Array(description),
    };
  }

  function takeVideo(time: number, data: Uint8Array): void {
    const head = data[0] ?? 0;
    if (head & 0x80 || (head & 0x0f) !== 7) throw unsupported('Set the encoder to H.264.');
    if (data.length < 5) throw malformed();
    if (data[1] === 0) return configureVideo(data.subarray(5));
    if (data[1] !== 1 || !video) return;
    firstPicture ??= time;
    const key = head >> 4 === 1;
    if (origin === null) {
      // Without sound there comes no configuration of it.
      if (!key || (!audio && time - firstPicture < soundWithin)) return;
      origin = time;
      begin();
    }
    const offset = (((data[2]! << 24) | (data[3]! << 16) | (data[4]! << 8)) >> 8) * 90;
    const at = Math.max((time - origin) * 90, held === null ? 0 : held.at + 1);
    if (held) addPicture(held, at - held.at);
    // Ends where the part is nearest to its length, and always before a key frame.
    if (open && (key || at - open.start + 1500 > partTicks)) closePart(at);
    held = { at, sample: { data: new Uint8Array(data.subarray(5)), key, offset } };
    newest = at;
    settle();
  }

  function addPicture(one: NonNullable<typeof held>, duration: number): void {
    open ??= { start: one.at, samples: [] };
    open.samples.push({ ...one.sample, duration });
  }

  function closePart(end: number): void {
    if (open) closed.push({ run: open, end });
    open = null;
  }

  function takeAudio(time: number, data: Uint8Array): void {
    if ((data[0] ?? 0) >> 4 !== 10) throw unsupported('Set the encoder to AAC.');
    if (data[1] === 0) return configureAudio(data.subarray(2));
    if (!audio || origin === null || time < origin || data.length < 3) return;
    const at = Math.round(((time - origin) * audio.sampleRate) / 1000);
    // Times are whole milliseconds: packets follow each other unless there is a real hole.
    const start =
      soundNext === null || Math.abs(at - soundNext) > audio.sampleRate / 10
        ? Math.max(at, soundNext ?? 0)
        : soundNext;
    sounds.push({ start, data: new Uint8Array(data.subarray(2)) });
    soundNext = start + samplesOfAac;
    settle();
  }

  function begin(): void {
    begun = true;
    onItem({ t: 'init', bytes: writeInit({ video: video!, ...(audio && { audio }) }) });
  }

  function settle(): void {
    while (closed.length > 0) {
      const { run, end } = closed[0]!;
      const rate = audio?.sampleRate ?? 1;
      const soundEnd = ((soundNext ?? 0) * ticksPerSecond) / rate;
      if (audio && soundEnd < end && newest < end + patience) return;
      closed.shift();
      give(run, end);
    }
  }

  function give(run: Run, end: number): void {
    let sound: Run | null = null;
    if (audio) {
      const until = (end * audio.sampleRate) / ticksPerSecond;
      const samples: Sample[] = [];
      const start = sounds[0]?.start ?? 0;
      while (
        sounds[0] &&
        sounds[0].start < until &&
        sounds[0].start === start + samples.length * samplesOfAac
      )
        samples.push({ data: sounds.shift()!.data, duration: samplesOfAac, key: true });
      if (samples.length > 0) sound = { start, samples };
    }
    const independent = run.samples[0]?.key === true;
    placeSegment(position, run.start, independent);
    sequence += 1;
    const bytes = writePart({ sequence, video: run, ...(sound && { audio: sound }) });
    const { seq, segment } = position;
    onItem({
      t: 'part',
      part: { seq, segment, pts: run.start, duration: endOf(run) - run.start, independent, bytes },
    });
    position.seq += 1;
  }

  return {
    push({ kind, time, data }) {
      if (kind === 'video') takeVideo(time, data);
      else takeAudio(time, data);
    },
    end() {
      if (held) {
        addPicture(held, 3000);
        closePart(held.at + 3000);
      }
      held = null;
      newest = Number.POSITIVE_INFINITY;
      settle();
    },
    get formats() {
      return begun && video ? { video, audio } : null;
    },
  };
}

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, n) => byte === b[n]);
