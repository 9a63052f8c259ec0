import { av1Sample, av1SequenceHeader } from '../../../../src-shared/media/index.ts';
import type { AudioFormat, Picture, Sound, VideoFormat } from '../../../../src-shared/media/index.ts';
import type { ProbeResult, VideoPlan } from './messages.ts';

const bytesOf = (source: AllowSharedBufferSource): Uint8Array<ArrayBuffer> =>
  ArrayBuffer.isView(source)
    ? new Uint8Array(
        source.buffer.slice(source.byteOffset, source.byteOffset + source.byteLength) as ArrayBuffer,
      )
    : new Uint8Array(source.slice(0) as ArrayBuffer);

/** `avc1.PPCCLL` of a decoder configuration record: what the encoder made, which may be less than it was asked for. */
export function avcName(description: Uint8Array): string {
  const hex = (at: number): string => (description[at] ?? 0).toString(16).padStart(2, '0');
  return `avc1.${hex(1)}${hex(2)}${hex(3)}`;
}

function encoderConfig(plan: VideoPlan, fps: number, rate = 1): VideoEncoderConfig {
  return {
    codec: plan.codec,
    width: plan.width,
    height: plan.height,
    bitrate: Math.round(plan.bitrate * rate),
    framerate: fps,
    // Nothing is kept back to code it better: pictures leave when they are made.
    latencyMode: 'realtime',
    bitrateMode: 'variable',
    ...(plan.codec.startsWith('avc1') && { avc: { format: 'avc' as const } }),
  };
}

export interface PictureEncoder {
  encode(frame: VideoFrame, key: boolean): void;
  setRate(share: number): void;
  readonly waiting: number;
  readonly format: VideoFormat | null;
  flush(): Promise<void>;
  close(): void;
}

/** One rendition of pictures. `onPicture` gets them with their place in ticks of 90 kHz. */
export function createPictureEncoder(
  plan: VideoPlan,
  fps: number,
  on: { picture: (picture: Picture) => void; format: () => void; failed: (error: unknown) => void },
): PictureEncoder {
  let format: VideoFormat | null = null;
  const av1 = plan.codec.startsWith('av01');
  const encoder = new VideoEncoder({
    output(chunk, metadata) {
      let data: Uint8Array = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data as Uint8Array<ArrayBuffer>);
      const said = metadata?.decoderConfig?.description;
      const description = said === undefined ? (av1 ? av1SequenceHeader(data) : null) : bytesOf(said);
      if (format === null && chunk.type === 'key') {
        format = {
          codec: plan.codec.startsWith('avc1') && description ? avcName(description) : plan.codec,
          width: plan.width,
          height: plan.height,
          ...(description && { description }),
        };
        on.format();
      }
      if (av1) data = av1Sample(data);
      on.picture({ pts: Math.round((chunk.timestamp * 9) / 100), data, key: chunk.type === 'key' });
    },
    error: on.failed,
  });
  encoder.configure(encoderConfig(plan, fps));
  let share = 1;
  return {
    encode(frame, key) {
      if (encoder.state === 'configured') encoder.encode(frame, { keyFrame: key });
    },
    setRate(wanted) {
      if (wanted === share || encoder.state !== 'configured') return;
      share = wanted;
      encoder.configure(encoderConfig(plan, fps, share));
    },
    get waiting() {
      return encoder.encodeQueueSize;
    },
    get format() {
      return format;
    },
    async flush() {
      if (encoder.state === 'configured') await encoder.flush();
    },
    close() {
      if (encoder.state !== 'closed') encoder.close();
    },
  };
}

export interface SoundEncoder {
  /** `position` in samples of 48 kHz since the start; one plane a channel. */
  encode(position: number, planes: readonly Float32Array[]): void;
  readonly format: AudioFormat | null;
  readonly waiting: number;
  flush(): Promise<void>;
  close(): void;
}

/** Opus in packets of 20 ms: every block of 960 samples is one packet. */
export function createSoundEncoder(
  bitrate: number,
  on: { sound: (sound: Sound) => void; format: () => void; failed: (error: unknown) => void },
): SoundEncoder {
  let format: AudioFormat | null = null;
  const encoder = new AudioEncoder({
    output(chunk, metadata) {
      if (format === null) {
        const said = metadata?.decoderConfig?.description;
        format = {
          codec: 'opus',
          sampleRate: 48_000,
          channels: 2,
          ...(said !== undefined && { description: bytesOf(said) }),
        };
        on.format();
      }
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      // Time stamps are whole microseconds: back on the grid of packets.
      const start = Math.round((chunk.timestamp * 0.048) / 960) * 960;
      on.sound({ start, duration: 960, data });
    },
    error: on.failed,
  });
  encoder.configure({ codec: 'opus', sampleRate: 48_000, numberOfChannels: 2, bitrate });
  return {
    encode(position, planes) {
      if (encoder.state !== 'configured') return;
      const frames = planes[0]!.length;
      const data = new Float32Array(frames * planes.length);
      planes.forEach((plane, n) => data.set(plane, n * frames));
      const block = new AudioData({
        format: 'f32-planar',
        sampleRate: 48_000,
        numberOfFrames: frames,
        numberOfChannels: planes.length,
        timestamp: Math.round(position / 0.048),
        data,
      });
      encoder.encode(block);
      block.close();
    },
    get format() {
      return format;
    },
    get waiting() {
      return encoder.encodeQueueSize;
    },
    async flush() {
      if (encoder.state === 'configured') await encoder.flush();
    },
    close() {
      if (encoder.state !== 'closed') encoder.close();
    },
  };
}

const families = [
  { family: 'h264', codec: 'avc1.42c01f' },
  { family: 'vp9', codec: 'vp09.00.31.08' },
  { family: 'av1', codec: 'av01.0.05M.08' },
] as const;
const tried = { width: 1280, height: 720, frames: 12 };

/** Which codecs this machine encodes, and how fast it does: a dozen moving pictures each. Takes about a second. */
export async function probeEncoders(): Promise<ProbeResult[]> {
  const results: ProbeResult[] = [];
  if (typeof VideoEncoder === 'undefined') return results;
  for (const { family, codec } of families) {
    const plan = { id: 'probe', codec, width: tried.width, height: tried.height, bitrate: 2_500_000 };
    try {
      const { supported } = await VideoEncoder.isConfigSupported(encoderConfig(plan, 30));
      if (!supported) continue;
      const made = await measure(plan);
      if (made) results.push({ family, ...made });
    } catch {
      // What can't even be tried is not offered.
    }
  }
  return results;
}

async function measure(plan: VideoPlan): Promise<Omit<ProbeResult, 'family'> | null> {
  let failed = false;
  let name = plan.codec;
  const encoder = createPictureEncoder(plan, 30, {
    picture: () => {},
    format: () => (name = encoder.format?.codec ?? name),
    failed: () => (failed = true),
  });
  const canvas = new OffscreenCanvas(plan.width, plan.height);
  const context = canvas.getContext('2d', { alpha: false })!;
  const paint = (n: number): VideoFrame => {
    for (let row = 0; row < 6; row += 1)
      for (let column = 0; column < 10; column += 1) {
        context.fillStyle = `hsl(${(row * 60 + column * 36 + n * 11) % 360} 60% ${30 + ((n + column) % 4) * 12}%)`;
        context.fillRect(column * 128 + n * 3, row * 120, 128, 120);
      }
    return new VideoFrame(canvas, { timestamp: n * 33_333 });
  };
  const frames = Array.from({ length: tried.frames }, (_, n) => paint(n));
  // The first one pays for setting up.
  encoder.encode(frames[0]!, true);
  await encoder.flush();
  const started = performance.now();
  for (const frame of frames.slice(1)) encoder.encode(frame, false);
  await encoder.flush();
  const took = performance.now() - started;
  for (const frame of frames) frame.close();
  encoder.close();
  if (failed) return null;
  return {
    codec: name,
    width: plan.width,
    height: plan.height,
    speed: ((tried.frames - 1) * 1000) / Math.max(1, took),
  };
}
