import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ALL_FORMATS, BufferSource, EncodedPacketSink, Input } from 'mediabunny';
import type { InputAudioTrack, InputVideoTrack } from 'mediabunny';
import { createFile, MP4BoxBuffer } from 'mp4box';
import type { ISOFile } from 'mp4box';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { av1Sample, av1SequenceHeader, endOf, writeInit, writePart } from './index.ts';
import type { AudioFormat, Run, Sample, VideoFormat } from './index.ts';

const ffmpeg = (args: string[]): string => {
  const done = spawnSync('ffmpeg', ['-v', 'error', '-y', ...args], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(done.stderr || String(done.error));
  return done.stdout;
};
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

/** The samples of a track as ours, in the time scale of the track, and how it is coded. */
async function samplesOf(track: InputVideoTrack | InputAudioTrack, timescale: number): Promise<Run> {
  const samples: (Sample & { at: number; length: number })[] = [];
  for await (const packet of new EncodedPacketSink(track).packets())
    samples.push({
      data: packet.data,
      key: packet.type === 'key',
      at: Math.round(packet.timestamp * timescale),
      length: Math.max(1, Math.round(packet.duration * timescale)),
      duration: 1,
    });
  // Packets come in decode order; decode times are the sorted presentation times.
  const times = samples.map(({ at }) => at).sort((a, b) => a - b);
  const start = Math.max(0, times[0] ?? 0);
  const delay = Math.max(0, ...samples.map(({ at }, n) => times[n]! - at));
  return {
    start,
    samples: samples.map(({ data, key, at, length }, n) => ({
      data,
      key,
      duration: (times[n + 1] ?? times[n]! + length) - times[n]!,
      offset: at - times[n]! + delay,
    })),
  };
}

/** Cuts a run into parts of about `ticks`. */
function cut(run: Run, ticks: number): Run[] {
  const parts: { start: number; samples: Sample[] }[] = [];
  let at = run.start;
  for (const sample of run.samples) {
    const last = parts.at(-1);
    if (!last || at - last.start >= ticks) parts.push({ start: at, samples: [sample] });
    else last.samples.push(sample);
    at += sample.duration;
  }
  return parts;
}

interface Clip {
  readonly name: string;
  readonly args: string[];
  readonly file: string;
  readonly codec: RegExp;
}
const clips: Clip[] = [
  {
    name: 'H.264 with reordered frames and AAC',
    args: [
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-bf',
      '2',
      '-b_strategy',
      '0',
      '-g',
      '30',
      '-c:a',
      'aac',
    ],
    file: 'a.mp4',
    codec: /^avc1\./,
  },
  {
    name: 'VP9 and Opus',
    args: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-g', '30', '-c:a', 'libopus'],
    file: 'b.webm',
    codec: /^vp09\./,
  },
  {
    name: 'AV1 and Opus',
    args: ['-c:v', 'libsvtav1', '-preset', '12', '-g', '30', '-c:a', 'libopus', '-ar', '48000'],
    file: 'c.mp4',
    codec: /^av01\./,
  },
];

describe.skipIf(!hasFfmpeg)('fragmented MP4 of our own (needs ffmpeg)', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'extrachain-fmp4-'));
  beforeAll(() => {
    for (const { args, file } of clips)
      ffmpeg([
        ...['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30:duration=2'],
        ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=2'],
        ...['-pix_fmt', 'yuv420p', ...args, '-ac', '2', path.join(dir, file)],
      ]);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it.each(clips)('carries $name so that others read the same frames', async ({ file, codec }) => {
    const source = readFileSync(path.join(dir, file));
    const input = new Input({ source: new BufferSource(source), formats: ALL_FORMATS });
    const video = (await input.getPrimaryVideoTrack())!;
    const audio = (await input.getPrimaryAudioTrack())!;
    const config = (await video.getDecoderConfig())!;
    const sound = (await audio.getDecoderConfig())!;
    expect(config.codec).toMatch(codec);
    const pictures = await samplesOf(video, 90_000);
    const noises = await samplesOf(audio, sound.sampleRate);
    const bytes = (value: ArrayBufferView | ArrayBufferLike | undefined) =>
      value === undefined
        ? {}
        : {
            description: ArrayBuffer.isView(value)
              ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
              : new Uint8Array(value),
          };
    const isAv1 = config.codec.startsWith('av01');
    const first = isAv1 ? av1SequenceHeader(pictures.samples[0]!.data) : null;
    if (isAv1) expect(first).not.toBeNull();
    const videoFormat: VideoFormat = {
      codec: config.codec,
      width: 320,
      height: 180,
      ...(first ? { description: first } : bytes(config.description)),
    };
    const audioFormat: AudioFormat = {
      codec: sound.codec,
      sampleRate: sound.sampleRate,
      channels: sound.numberOfChannels,
      ...bytes(sound.description),
    };
    const clean = {
      ...pictures,
      samples: pictures.samples.map((one) => (isAv1 ? { ...one, data: av1Sample(one.data) } : one)),
    };
    const videoParts = cut(clean, 18_000);
    const audioParts = cut(noises, sound.sampleRate / 5);
    expect(videoParts.length).toBe(10);
    const init = writeInit({ video: videoFormat, audio: audioFormat });
    const parts = Array.from({ length: Math.max(videoParts.length, audioParts.length) }, (_, n) =>
      writePart({
        sequence: n + 1,
        ...(videoParts[n] && { video: videoParts[n] }),
        ...(audioParts[n] && { audio: audioParts[n] }),
      }),
    );
    const whole = Buffer.concat([init, ...parts]);
    const ours = path.join(dir, `ours-${file}.mp4`);
    writeFileSync(ours, whole);

    // Decoded, the pictures are the same, and all samples of both tracks are there with their sizes and times.
    const md5 = (from: string) =>
      ffmpeg(['-i', from, '-map', '0:v', '-f', 'framemd5', '-'])
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.split(',').at(-1));
    expect(md5(ours)).toEqual(md5(path.join(dir, file)));
    const probed = JSON.parse(
      spawnSync('ffprobe', ['-v', 'warning', '-of', 'json', '-show_streams', '-show_packets', ours], {
        encoding: 'utf8',
      }).stdout,
    ) as {
      streams: { codec_type: string; sample_rate?: string; channels?: number; width?: number }[];
      packets: { codec_type: string; dts: number; size: string; flags: string }[];
    };
    expect(probed.streams.map((one) => [one.codec_type, one.width, one.sample_rate, one.channels])).toEqual([
      ['video', 320, undefined, undefined],
      ['audio', undefined, String(sound.sampleRate), 2],
    ]);
    const packets = (type: string) => probed.packets.filter((one) => one.codec_type === type);
    expect(packets('video').map(({ size }) => Number(size))).toEqual(
      clean.samples.map(({ data }) => data.length),
    );
    expect(packets('audio').map(({ size }) => Number(size))).toEqual(
      noises.samples.map(({ data }) => data.length),
    );
    expect(packets('video').filter(({ flags }) => flags.startsWith('K')).length).toBe(
      clean.samples.filter(({ key }) => key).length,
    );

    // Two more readers agree on the boxes.
    const read = createFile() as ISOFile;
    read.appendBuffer(MP4BoxBuffer.fromArrayBuffer(new Uint8Array(whole).buffer, 0));
    read.flush();
    const info = read.getInfo();
    expect(info.isFragmented).toBe(true);
    expect(info.tracks.map((one) => one.codec.toLowerCase().slice(0, 4))).toEqual([
      config.codec.slice(0, 4),
      sound.codec.slice(0, 4),
    ]);
    const again = new Input({ source: new BufferSource(whole), formats: ALL_FORMATS });
    const videoAgain = (await again.getPrimaryVideoTrack())!;
    expect((await samplesOf(videoAgain, 90_000)).samples.map(({ data }) => data.length)).toEqual(
      clean.samples.map(({ data }) => data.length),
    );
    expect(await (await again.getPrimaryAudioTrack())!.computeDuration()).toBeCloseTo(
      endOf(noises) / sound.sampleRate,
      2,
    );
  });

  it('starts late streams where they are, beyond 32 bits', () => {
    const start = 2 ** 33 + 5;
    const part = writePart({
      sequence: 7,
      video: { start, samples: [{ data: new Uint8Array(3), duration: 3000, key: true }] },
    });
    const read = createFile() as ISOFile;
    read.appendBuffer(MP4BoxBuffer.fromArrayBuffer(part.buffer, 0));
    read.flush();
    const moof = read.moofs[0]!;
    expect(moof.mfhd.sequence_number).toBe(7);
    expect(moof.trafs[0]!.tfdt.baseMediaDecodeTime).toBe(start);
    // The offset in the table leads to the first byte of the samples.
    expect(moof.trafs[0]!.truns[0]!.data_offset).toBe(part.length - 3);
  });

  it('refuses what no reader could use, with words', () => {
    const h264 = { codec: 'avc1.42c01f', width: 320, height: 180 };
    expect(() => writeInit({})).toThrow('pictures or sound');
    expect(() => writeInit({ video: h264 })).toThrow('configuration record');
    expect(() => writeInit({ video: { ...h264, codec: 'hvc1.1' } })).toThrow('hvc1.1');
    expect(() => writeInit({ video: { ...h264, width: 0 } })).toThrow('size');
    // Chromium rejects a dOps of 44,100 that other readers let pass.
    expect(() => writeInit({ audio: { codec: 'opus', sampleRate: 44_100, channels: 2 } })).toThrow('48,000');
    expect(() => writeInit({ audio: { codec: 'mp4a.40.2', sampleRate: 48_000, channels: 2 } })).toThrow(
      'AAC',
    );
    expect(() => writePart({ sequence: 1 })).toThrow('samples');
    expect(() =>
      writePart({
        sequence: 1,
        audio: { start: 0, samples: [{ data: new Uint8Array(1), duration: 0, key: true }] },
      }),
    ).toThrow('one tick');
  });
});
