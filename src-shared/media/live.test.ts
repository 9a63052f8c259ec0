import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFrameClock, createPartCutter, createSoundLine, endOf } from './index.ts';
import type { CutPart } from './index.ts';

const data = new Uint8Array(10);

/** A cutter that keeps what it gives out. */
function cutter(options: { hasVideo?: boolean; hasAudio?: boolean } = {}) {
  const parts: CutPart[] = [];
  const cut = createPartCutter({
    hasVideo: true,
    hasAudio: true,
    audioRate: 48_000,
    frameTicks: 3000,
    ...options,
    onPart: (part) => parts.push(part),
  });
  return { parts, cut };
}
const picture = (n: number) => ({ pts: n * 3000, data, key: n % 30 === 0 });
const sound = (n: number) => ({ start: n * 960, duration: 960, data });

describe('cutting parts', () => {
  it('cuts fifths of a second, five to a segment, each beginning with a key frame', () => {
    const { parts, cut } = cutter();
    for (let n = 0; n < 60; n += 1) cut.picture(picture(n));
    expect(parts).toEqual([]);
    for (let n = 0; n < 100; n += 1) cut.sound(sound(n));
    expect(
      parts.map(({ seq, segment, pts, duration, independent }) => [seq, segment, pts, duration, independent]),
    ).toEqual(Array.from({ length: 10 }, (_, n) => [n, Math.floor(n / 5), n * 18_000, 18_000, n % 5 === 0]));
    expect(
      parts.every(({ video, audio }) => video?.samples.length === 6 && audio?.samples.length === 10),
    ).toBe(true);
  });

  it('keeps the ends of both tracks together however late either encoder is', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.boolean()), (coin) => {
        const { parts, cut } = cutter();
        let pictures = 0;
        let sounds = 0;
        // Whoever is next is decided by chance, within the second and a half that an encoder may be behind.
        while (pictures < 90 || sounds < 150) {
          const lead = pictures / 30 - sounds / 50;
          const shown =
            sounds >= 150 || (pictures < 90 && lead < 1.5 && (lead < -1.5 || coin.next().value === true));
          if (shown) cut.picture(picture(pictures++));
          else cut.sound(sound(sounds++));
        }
        expect(parts.length).toBe(15);
        expect(cut.holes).toBe(0);
        for (const { video, audio } of parts)
          expect(Math.abs(endOf(video!) / 90_000 - endOf(audio!) / 48_000)).toBeLessThan(0.1);
      }),
      { numRuns: 30 },
    );
  });

  it('lets a picture last until the next where some were dropped', () => {
    const { parts, cut } = cutter({ hasAudio: false });
    for (const n of [0, 1, 2, 6, 9, 12]) cut.picture(picture(n));
    expect(parts[0]!.video!.samples.map(({ duration }) => duration)).toEqual([3000, 3000, 12_000]);
    expect(parts[1]!.video!.samples.map(({ duration }) => duration)).toEqual([9000, 9000]);
  });

  it('does not wait for ever for a track, and says so', () => {
    const { parts, cut } = cutter();
    for (let n = 0; n < 90; n += 1) cut.picture(picture(n));
    expect(parts.length).toBeGreaterThan(0);
    expect(parts[0]!.audio).toBeUndefined();
    expect(cut.holes).toBe(parts.length);
    expect(cut.apart()).toBe(3000);
  });

  it('throws away pictures that come after their part, up to the next key frame', () => {
    const { parts, cut } = cutter();
    for (let n = 0; n < 6; n += 1) cut.picture(picture(n));
    for (let n = 0; n < 150; n += 1) cut.sound(sound(n));
    const before = parts.length;
    expect(before).toBeGreaterThan(3);
    for (let n = 6; n < 95; n += 1) cut.picture(picture(n));
    for (let n = 150; n < 200; n += 1) cut.sound(sound(n));
    for (let n = 95; n < 126; n += 1) cut.picture(picture(n));
    const later = parts.slice(before);
    const first = later.find(({ video }) => video !== undefined)!;
    expect(first.video!.samples[0]!.key).toBe(true);
    for (const { video, audio } of later)
      if (video && audio) expect(Math.abs(endOf(video) / 90_000 - endOf(audio) / 48_000)).toBeLessThan(0.1);
  });

  it('goes on after the computer slept, without giving out the night', () => {
    const { parts, cut } = cutter();
    for (let n = 0; n < 6; n += 1) cut.picture(picture(n));
    for (let n = 0; n < 10; n += 1) cut.sound(sound(n));
    for (let n = 30_000; n < 30_006; n += 1) cut.picture(picture(n));
    for (let n = 50_000; n < 50_010; n += 1) cut.sound(sound(n));
    expect(parts.map(({ seq }) => seq)).toEqual([0, 5000]);
    expect(parts[0]!.video!.samples.at(-1)!.duration).toBe(3000);
  });

  it('cuts sound alone', () => {
    const { parts, cut } = cutter({ hasVideo: false });
    for (let n = 0; n < 50; n += 1) cut.sound(sound(n));
    expect(parts.map(({ seq, independent }) => [seq, independent])).toEqual(
      [0, 1, 2, 3, 4].map((n) => [n, true]),
    );
  });
});

describe('the beat of pictures', () => {
  const clock = () => createFrameClock({ fps: 30, perPart: 6, start: 1000 });
  it('gives each place once, by the clock', () => {
    const beat = clock();
    expect(beat.due(1000)).toEqual({ frames: [0], missed: 0, jumped: false });
    expect(beat.due(1020).frames).toEqual([]);
    expect(beat.next()).toBeCloseTo(1033.3, 1);
    expect(beat.due(1034).frames).toEqual([1]);
  });
  it('passes over what it missed, but gives every part a picture', () => {
    const beat = clock();
    beat.due(1000);
    expect(beat.due(1500)).toEqual({ frames: [6, 15], missed: 13, jumped: false });
  });
  it('does not fill in a night', () => {
    const beat = clock();
    beat.due(1000);
    expect(beat.due(3_601_000)).toMatchObject({ frames: [108_000], jumped: true });
  });
  it('halves when told, with a picture at each start of a part', () => {
    const beat = clock();
    const made: number[] = [];
    for (let ms = 1000; ms < 1400; ms += 10) made.push(...beat.due(ms, 4).frames);
    expect(made).toEqual([0, 4, 6, 10]);
  });
});

describe('sound on the clock of the pictures', () => {
  /** Feeds blocks of 10 ms of a rising ramp; `cards` is how fast the sound card's clock runs. */
  function run(seconds: number, cards: number, options: { jitter?: number; silentFrom?: number } = {}) {
    let out = 0;
    let last = 0;
    let biggest = 0;
    const line = createSoundLine({
      rate: 48_000,
      channels: 2,
      blockSize: 960,
      start: 0,
      onBlock(position, planes) {
        if (position !== out || planes.length !== 2) throw new Error('a block out of its place');
        out += 960;
        for (const value of planes[0]!) {
          if (value !== 0 && last !== 0) biggest = Math.max(biggest, Math.abs(value - last));
          last = value;
        }
      },
    });
    let phase = 0;
    let random = 1;
    for (let n = 1; n * 10 < seconds * 1000; n += 1) {
      const now = (n * 10) / cards;
      random = (random * 48_271) % 2_147_483_647;
      const jitter = ((options.jitter ?? 0) * random) / 2_147_483_647;
      if (options.silentFrom === undefined || now < options.silentFrom * 1000) {
        const plane = Float32Array.from({ length: 480 }, () => 0.5 + 0.4 * Math.sin((phase += 0.05)));
        line.push([plane], now + jitter);
      }
      line.tick(now + jitter);
    }
    return { line, out, due: seconds * 48_000, biggest };
  }

  it('follows clocks that run a little fast or slow, without a click', () => {
    for (const cards of [1, 1.0005, 0.9995, 1.002, 0.998]) {
      const { line, out, due, biggest } = run(40, cards, { jitter: 8 });
      expect(Math.abs(out - due / cards) / 48).toBeLessThan(cards === 1 ? 25 : 60);
      expect(line.filled).toBe(0);
      expect(line.leftOut).toBe(0);
      // No step larger than the tone itself makes (0.4 · 0.05 a sample).
      expect(biggest).toBeLessThan(0.03);
    }
  });

  it('takes silence where a device says nothing more, and stays with the clock', () => {
    const { line, out, due } = run(10, 1, { silentFrom: 5 });
    expect((due - out) / 48).toBeLessThan(100);
    expect(line.filled / 48_000).toBeGreaterThan(4.5);
  });

  it('leaves out what comes late in a heap', () => {
    let out = 0;
    const line = createSoundLine({
      rate: 48_000,
      channels: 1,
      blockSize: 960,
      start: 0,
      onBlock: () => (out += 960),
    });
    line.tick(2000);
    for (let n = 0; n < 200; n += 1) line.push([new Float32Array(480).fill(0.1)], 2010);
    expect(line.leftOut).toBeGreaterThan(48_000);
    expect(Math.abs(out - 2010 * 48) / 48).toBeLessThan(250);
  });
});
