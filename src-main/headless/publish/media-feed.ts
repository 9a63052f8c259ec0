import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { ALL_FORMATS, EncodedPacketSink, FilePathSource, Input, ReadableStreamSource } from 'mediabunny';
import type { EncodedPacket, InputAudioTrack, InputVideoTrack, Source } from 'mediabunny';
import { AppError } from '../../../src-shared/errors.ts';
import { writeInit, writePart } from '../../../src-shared/media/index.ts';
import type { AudioFormat, Run, Sample, VideoFormat } from '../../../src-shared/media/index.ts';
import { partTicks, placeSegment, ticksPerSecond } from '../../../src-shared/media/index.ts';
import type { Feed, FeedItem } from '../../../src-shared/media/index.ts';

/** A file or pipe that is demuxed: nothing is encoded again. */
interface Opened {
  readonly input: Input;
  readonly video: { readonly track: InputVideoTrack; readonly format: VideoFormat } | null;
  readonly audio: { readonly track: InputAudioTrack; readonly format: AudioFormat } | null;
  readonly codecs: string;
  readonly bandwidth: number;
}

const formatError = (why: string, cause?: unknown): AppError =>
  new AppError('unsupported', why, cause === undefined ? {} : { cause });

async function openMedia(source: Source, size: number | null): Promise<Opened> {
  const input = new Input({ source, formats: ALL_FORMATS });
  let video: Opened['video'] = null;
  let audio: Opened['audio'] = null;
  const codecs: string[] = [];
  try {
    const videoIn = await input.getPrimaryVideoTrack();
    if (videoIn) {
      const config = await videoIn.getDecoderConfig();
      if (!config) throw formatError('The pictures of this file are in a format that is not known.');
      const { codec, codedWidth: width, codedHeight: height } = config;
      const description = bytesOf(config.description);
      if (!width || !height) throw formatError('The pictures of this file have no size.');
      video = { track: videoIn, format: { codec, width, height, ...(description && { description }) } };
      codecs.push(codec);
    }
    const audioIn = await input.getPrimaryAudioTrack();
    if (audioIn) {
      const config = await audioIn.getDecoderConfig();
      if (!config) throw formatError('The sound of this file is in a format that is not known.');
      const { codec, sampleRate, numberOfChannels: channels } = config;
      const description = bytesOf(config.description);
      audio = {
        track: audioIn,
        format: { codec, sampleRate, channels, ...(description && { description }) },
      };
      codecs.push(codec === 'mp3' ? 'mp4a.6b' : codec);
    }
    if (!video && !audio) throw formatError('There are neither pictures nor sound in it.');
    let bandwidth = video ? 4_000_000 : 320_000;
    if (size !== null) {
      const seconds = await input.computeDuration();
      if (seconds > 0) bandwidth = Math.max(16_000, Math.ceil((size * 8 * 1.3) / seconds));
    }
    return { input, video, audio, codecs: codecs.join(','), bandwidth };
  } catch (error) {
    input.dispose();
    if (error instanceof AppError) throw error;
    throw formatError(`It can't be read as pictures or sound: ${(error as Error).message}`, error);
  }
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return new Uint8Array(value as ArrayBuffer);
}

const ticksOf = (seconds: number): number => Math.round(seconds * ticksPerSecond);

/** Where the feed is: it goes on through the files of a folder. */
interface Position {
  seq: number;
  segment: number;
  segmentStart: number;
  sequence: number;
  /** Ticks at which the next file begins. */
  at: number;
}

/** Sound packets as samples, in order, taken up to a moment. */
function createSound(opened: Opened, origin: number, base: number) {
  const { audio } = opened;
  if (!audio) return null;
  const rate = audio.format.sampleRate;
  const packets = new EncodedPacketSink(audio.track).packets()[Symbol.asyncIterator]();
  let held: EncodedPacket | null = null;
  let ended = false;
  /** Samples from the start of the feed at which the next packet begins. */
  let next: number | null = null;

  async function peek(): Promise<EncodedPacket | null> {
    while (!held && !ended) {
      const { value, done } = await packets.next();
      if (done) ended = true;
      // What lies before the start is only there for the decoder to warm up.
      else if (value.timestamp + value.duration > origin) held = value;
    }
    return held;
  }

  return {
    rate,
    /** Packets that begin before this moment (ticks of the feed). */
    async take(until: number): Promise<Run | null> {
      const samples: Sample[] = [];
      let start: number | null = null;
      for (let packet = await peek(); packet; packet = await peek()) {
        const at = Math.max(0, Math.round((packet.timestamp - origin + base / ticksPerSecond) * rate));
        if (at >= Math.round((until * rate) / ticksPerSecond)) break;
        held = null;
        // Containers round times; a packet follows the one before it unless there is a real hole.
        if (next === null || Math.abs(at - next) > rate / 20) {
          if (samples.length > 0) {
            held = packet;
            next = null;
            break;
          }
          next = at;
        }
        start ??= next;
        const duration = Math.max(1, Math.round(packet.duration * rate));
        samples.push({ data: packet.data, duration, key: true });
        next += duration;
      }
      return start === null ? null : { start, samples };
    },
    async left(): Promise<boolean> {
      return (await peek()) !== null;
    },
  };
}

/** Groups of pictures from one key frame to before the next, in decode order. */
async function* groups(
  opened: Opened,
): AsyncGenerator<{ readonly frames: EncodedPacket[]; readonly end: number }> {
  const packets = new EncodedPacketSink(opened.video!.track).packets(undefined, undefined, {
    verifyKeyPackets: true,
  });
  let frames: EncodedPacket[] = [];
  for await (const packet of packets) {
    if (packet.type === 'key' && frames.length > 0) {
      yield { frames, end: packet.timestamp };
      frames = [];
    }
    // Pictures before the first key frame can't be decoded.
    if (frames.length > 0 || packet.type === 'key') frames.push(packet);
    if (frames.length > 1200) {
      const end = Math.max(...frames.map((one) => one.timestamp + one.duration));
      yield { frames, end };
      frames = [];
    }
  }
  if (frames.length > 0)
    yield { frames, end: Math.max(...frames.map((one) => one.timestamp + one.duration)) };
}

async function* videoItems(opened: Opened, position: Position): AsyncGenerator<FeedItem> {
  const base = position.at;
  let origin: number | null = null;
  let sound: ReturnType<typeof createSound> = null;
  for await (const { frames, end } of groups(opened)) {
    if (origin === null) {
      origin = Math.min(...frames.map((one) => one.timestamp));
      sound = createSound(opened, origin, base);
    }
    const shift = base - ticksOf(origin);
    // Pictures may be reordered: they are decoded at the times, in order, at which the group's pictures are shown.
    const shown = frames.map((one) => ticksOf(one.timestamp) + shift);
    const times = [...shown].sort((a, b) => a - b);
    const stop = Math.max(ticksOf(end) + shift, times.at(-1)! + 1);
    let samples: Sample[] = [];
    let start = times[0]!;
    for (let n = 0; n < frames.length; n++) {
      const at = times[n]!;
      const until = times[n + 1] ?? stop;
      const frame = frames[n]!;
      samples.push({
        data: frame.data,
        duration: Math.max(1, until - at),
        key: frame.type === 'key',
        offset: shown[n]! - at,
      });
      // Ends where the part is nearest to its length.
      const longEnough = until - start + (until - at) / 2 > partTicks;
      if (!longEnough && n + 1 < frames.length) continue;
      const independent = samples[0]!.key;
      placeSegment(position, start, independent);
      const audio = (await sound?.take(until)) ?? undefined;
      position.sequence += 1;
      const bytes = writePart({
        sequence: position.sequence,
        video: { start, samples },
        ...(audio && { audio }),
      });
      const { seq, segment } = position;
      yield {
        t: 'part',
        part: { seq, segment, pts: start, duration: until - start, independent, bytes },
      };
      position.seq += 1;
      position.at = until;
      samples = [];
      start = until;
    }
  }
}

async function* soundItems(opened: Opened, position: Position): AsyncGenerator<FeedItem> {
  const base = position.at;
  const first = await new EncodedPacketSink(opened.audio!.track).getFirstPacket();
  const sound = createSound(opened, Math.max(0, first?.timestamp ?? 0), base)!;
  while (await sound.left()) {
    const run = await sound.take(position.at + partTicks);
    if (!run) {
      position.at += partTicks;
      continue;
    }
    const length = run.samples.reduce((sum, sample) => sum + sample.duration, 0);
    const pts = Math.round((run.start * ticksPerSecond) / sound.rate);
    const end = Math.round(((run.start + length) * ticksPerSecond) / sound.rate);
    placeSegment(position, pts, true);
    position.sequence += 1;
    const bytes = writePart({ sequence: position.sequence, audio: run });
    const { seq, segment } = position;
    yield { t: 'part', part: { seq, segment, pts, duration: end - pts, independent: true, bytes } };
    position.seq += 1;
    position.at = end;
  }
}

function itemsOf(opened: Opened, position: Position): AsyncGenerator<FeedItem> {
  return opened.video ? videoItems(opened, position) : soundItems(opened, position);
}

function initOf({ video, audio }: Opened): Uint8Array {
  try {
    return writeInit({ ...(video && { video: video.format }), ...(audio && { audio: audio.format }) });
  } catch (error) {
    throw formatError(`It can't be sent as it is: ${(error as Error).message}`, error);
  }
}

const begin = (): Position => ({ seq: 0, segment: 0, segmentStart: 0, sequence: 0, at: 0 });

function renditionOf(opened: Opened): Feed['rendition'] {
  const { video, codecs, bandwidth } = opened;
  return video
    ? { id: 'v', kind: 'av', codecs, width: video.format.width, height: video.format.height, bandwidth }
    : { id: 'a', kind: 'audio', codecs, bandwidth };
}

/** @param loop begins anew at the end, for ever */
export async function openFileFeed(file: string, loop: boolean): Promise<Feed> {
  return openListFeed([file], loop);
}

/** @param head bytes already read from it are part of the stream */
export async function openStreamFeed(stream: ReadableStream<Uint8Array>): Promise<Feed> {
  const opened = await openMedia(new ReadableStreamSource(stream), null);
  const init = initOf(opened);
  async function* items(): AsyncGenerator<FeedItem> {
    yield { t: 'init', bytes: init };
    yield* itemsOf(opened, begin());
  }
  return { rendition: renditionOf(opened), paced: true, items: items() };
}

const soundFiles = /\.(mp3|m4a|mp4|aac|opus|ogg|oga|webm|mkv|mov|flac|wav)$/i;

/** An album, or a radio that never ends: the files of a folder in the order of their names, one after another. */
export async function openFolderFeed(folder: string, loop: boolean): Promise<Feed> {
  const names = (await readdir(folder)).filter((one) => soundFiles.test(one));
  const order = new Intl.Collator('en', { numeric: true });
  const files = names.sort((a, b) => order.compare(a, b)).map((one) => path.join(folder, one));
  if (files.length === 0) throw new AppError('not_found', `There is no music in ${folder}.`);
  return openListFeed(files, loop);
}

async function openListFeed(files: readonly string[], loop: boolean): Promise<Feed> {
  const openAt = async (n: number): Promise<Opened> => {
    const file = files[n]!;
    return openMedia(new FilePathSource(file), (await stat(file)).size);
  };
  const first = await openAt(0);
  const kind = first.video !== null;
  initOf(first);
  async function* items(): AsyncGenerator<FeedItem> {
    const position = begin();
    let before = '';
    let opened: Opened | null = first;
    for (let n = 0; ; n = (n + 1) % files.length) {
      if (n === 0 && opened !== first && !loop) return;
      if (opened === null) {
        try {
          opened = await openAt(n);
        } catch (error) {
          // One file that can't be played does not end a radio.
          if (files.length === 1 || !(error instanceof AppError)) throw error;
          process.stderr.write(`extrachain: ${path.basename(files[n]!)} is left out: ${error.message}\n`);
          if (n === files.length - 1 && !loop) return;
          continue;
        }
      }
      if ((opened.video !== null) === kind) {
        const init = initOf(opened);
        const fingerprint = Buffer.from(init).toString('base64');
        if (fingerprint !== before) {
          // Other codecs: a new run, whose clock and numbers begin anew.
          Object.assign(position, begin());
          yield { t: 'init', bytes: init };
          before = fingerprint;
        }
        yield* itemsOf(opened, position);
      }
      opened.input.dispose();
      opened = null;
      if (n === files.length - 1 && !loop) return;
    }
  }
  return { rendition: renditionOf(first), paced: true, items: items() };
}
