import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, readdir, rm, stat, truncate } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import { writeInit, writePart } from '../../../src-shared/media/index.ts';
import { finishRecording } from './finish.ts';
import { boxesOf, readFragment, readInit } from './fragments.ts';
import { createRecorder } from './recorder.ts';

const avcC = Buffer.from('0142c01fffe1000967 42c01f da0280bfe5 01000468ce3c80'.replaceAll(' ', ''), 'hex');
const video = { codec: 'avc1.42c01f', width: 640, height: 360, description: new Uint8Array(avcC) };
const audio = { codec: 'opus', sampleRate: 48_000, channels: 2 };
const init = writeInit({ video, audio });

/** Part n: six pictures and ten packets of sound. */
function part(n: number, from = 0): Uint8Array {
  const picture = (k: number) => ({
    data: new Uint8Array(500).fill(n + k),
    duration: 3000,
    key: n % 5 === 0 && k === 0,
  });
  const packet = (k: number) => ({ data: new Uint8Array(80).fill(k), duration: 960, key: true });
  return writePart({
    sequence: n + 1,
    video: { start: (n - from) * 18_000, samples: Array.from({ length: 6 }, (_, k) => picture(k)) },
    audio: { start: (n - from) * 9_600, samples: Array.from({ length: 10 }, (_, k) => packet(k)) },
  });
}

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-rec-'))));
afterAll(() => rm(dir, { recursive: true, force: true }));

let names = 0;
async function record(
  work: (recorder: ReturnType<typeof createRecorder>) => void,
): Promise<{ file: string | null; all: string[] }> {
  const folder = path.join(dir, String(names++));
  const { mkdir } = await import('node:fs/promises');
  await mkdir(folder);
  let placed = 0;
  const recorder = createRecorder(
    'av',
    {
      working: (n) => path.join(folder, `working-${n}`),
      place: async () => path.join(folder, `done-${placed++}.mp4`),
    },
    () => Date.now(),
  );
  work(recorder);
  const file = await recorder.finish();
  expect(recorder.problem()).toBe(null);
  return { file, all: (await readdir(folder)).sort() };
}

interface Probed {
  readonly nb_read_packets: string;
  readonly duration: string;
}
const hasFfprobe = spawnSync('ffprobe', ['-version']).status === 0;
function probe(file: string): Probed[] {
  const args = [
    '-v',
    'error',
    '-count_packets',
    '-show_entries',
    'stream=nb_read_packets,duration',
    '-of',
    'json',
    file,
  ];
  const run = spawnSync('ffprobe', args, { encoding: 'utf8' });
  return (JSON.parse(run.stdout) as { streams: Probed[] }).streams;
}

describe('a recording', () => {
  it('is an ordinary file with every sample in its table, also across a restart of the encoder', async () => {
    const { file } = await record((recorder) => {
      recorder.init(init);
      for (let n = 0; n < 10; n++) recorder.part(part(n));
      recorder.init(init);
      for (let n = 10; n < 20; n++) recorder.part(part(n, 10));
    });
    const bytes = new Uint8Array(await readFile(file!));
    expect(boxesOf(bytes).map((box) => box.type)).toEqual(['ftyp', 'mdat', 'moov']);
    if (hasFfprobe) {
      const [pictures, sound] = probe(file!);
      expect([pictures!.nb_read_packets, sound!.nb_read_packets]).toEqual(['120', '200']);
      expect(Number(pictures!.duration)).toBeCloseTo(4, 1);
      expect(Math.abs(Number(pictures!.duration) - Number(sound!.duration))).toBeLessThan(0.1);
    }
    // Finishing it again changes nothing.
    await finishRecording(file!);
    expect(Buffer.compare(await readFile(file!), bytes)).toBe(0);
  });

  it('that was interrupted anywhere can be finished, and loses no complete part', async () => {
    const folder = path.join(dir, 'cut');
    const { mkdir } = await import('node:fs/promises');
    await mkdir(folder);
    const recorder = createRecorder(
      'av',
      { working: () => path.join(folder, 'working'), place: async () => path.join(folder, 'never') },
      () => 0,
    );
    recorder.init(init);
    for (let n = 0; n < 6; n++) recorder.part(part(n));
    const whole = path.join(folder, 'whole');
    const sizes: number[] = [];
    // Copied before it is finished: as it lies on disk after a crash.
    for (;;) {
      await copyFile(path.join(folder, 'working'), whole).catch(() => {});
      const size = (await stat(whole).catch(() => ({ size: 0 }))).size;
      if (size >= init.length + 16 + 6 * part(0).length - 6) break;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await recorder.finish();
    const { size } = await stat(whole);
    const head = init.length + 16;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: size }), async (cut) => {
        const copy = path.join(folder, 'copy');
        await copyFile(whole, copy);
        await truncate(copy, cut);
        const complete = Math.floor((cut - head) / part(0).length);
        if (complete < 1) {
          await expect(finishRecording(copy)).rejects.toBeInstanceOf(AppError);
          return;
        }
        await finishRecording(copy);
        const bytes = new Uint8Array(await readFile(copy));
        expect(boxesOf(bytes).map((box) => box.type)).toEqual(['ftyp', 'mdat', 'moov']);
        sizes.push(bytes.length);
      }),
      { numRuns: 40, examples: [[size], [head + part(0).length], [head]] },
    );
    expect(sizes.length).toBeGreaterThan(0);
  });

  it('begins another file when the codecs change, and leaves none when nothing came', async () => {
    const larger = writeInit({ video: { ...video, width: 1280, height: 720 }, audio });
    const { all } = await record((recorder) => {
      recorder.init(init);
      for (let n = 0; n < 5; n++) recorder.part(part(n));
      recorder.init(larger);
      for (let n = 5; n < 10; n++) recorder.part(part(n, 5));
    });
    expect(all).toEqual(['done-0.mp4', 'done-1.mp4']);
    expect(await record((recorder) => recorder.init(init))).toEqual({ file: null, all: [] });
  });

  it('reads fragments of nobody knows what without harm', () => {
    const good = part(0);
    const facts = readInit(init);
    fc.assert(
      fc.property(
        fc.nat(400),
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.boolean(),
        (at, with_, isInit) => {
          const bytes = (isInit ? init : good).slice();
          bytes.set(with_.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length));
          try {
            if (isInit) readInit(bytes);
            else
              readFragment(
                bytes,
                (track) => facts.tracks.get(track)?.defaults ?? { duration: 0, size: 0, flags: 0 },
              );
          } catch (error) {
            if (!(error instanceof AppError)) throw error;
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
