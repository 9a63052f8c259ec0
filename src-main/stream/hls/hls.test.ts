import fc from 'fast-check';
import * as hlsParser from 'hls-parser';
// @ts-expect-error it brings no types
import { Parser } from 'm3u8-parser';
import { describe, expect, it } from 'vitest';
import type { Rendition, SignedHeader } from '../types.ts';
import { createHlsOrigin } from './origin.ts';
import { mediaPlaylist } from './playlist.ts';
import { createTrack } from './track.ts';
import type { Track } from './track.ts';

const none = new URLSearchParams();
const video: Rendition = {
  id: 'v',
  kind: 'av',
  codecs: 'avc1.42c01f,mp4a.40.2',
  width: 640,
  height: 360,
  frameRate: 30,
  bandwidth: 800_000,
};
const began = 1_790_000_000_000;

/** Part `seq` of a stream of five parts of 200 ms a segment. */
function part(seq: number, over: Partial<SignedHeader> = {}): SignedHeader {
  return {
    stream: '00'.repeat(32),
    run: 0,
    epoch: 0,
    rendition: 0,
    seq,
    segment: Math.floor(seq / 5),
    first: seq - (seq % 5),
    pts: seq * 18_000,
    duration: 18_000,
    captured: began + seq * 200,
    independent: seq % 5 === 0,
    length: 10,
    prevHash: new Uint8Array(32),
    chunks: [],
    bytes: new Uint8Array(),
    hash: '',
    ...over,
  };
}

const facts = { partMs: 200, targetLatency: 'default' as const, others: [], from: null };

function shown(track: Track, skip = false): string {
  return mediaPlaylist(track, facts, skip);
}

interface Read {
  readonly first: number;
  readonly segments: readonly { readonly uri: string; readonly duration: number; readonly gap: boolean }[];
  readonly parts: readonly { readonly uri: string; readonly independent: boolean; readonly gap: boolean }[];
  readonly hint: string | null;
  readonly ended: boolean;
}

function byHlsParser(text: string): Read {
  const list = hlsParser.parse(text) as hlsParser.types.MediaPlaylist;
  const whole = list.segments.filter((one) => one.uri !== '');
  const parts = list.segments.flatMap((one) => one.parts);
  return {
    first: list.mediaSequenceBase ?? 0,
    segments: whole.map((one) => ({ uri: one.uri, duration: one.duration, gap: one.gap === true })),
    parts: parts
      .filter((one) => !one.hint)
      .map((one) => ({ uri: one.uri, independent: one.independent === true, gap: one.gap === true })),
    hint: parts.find((one) => one.hint)?.uri ?? null,
    ended: list.endlist,
  };
}

interface Manifest {
  mediaSequence: number;
  endList?: boolean;
  segments: { uri?: string; duration: number; gap?: boolean; parts?: ManifestPart[] }[];
  preloadSegment?: { parts?: ManifestPart[]; preloadHints?: { uri: string }[] };
}
interface ManifestPart {
  uri: string;
  independent?: boolean;
  gap?: boolean;
}

function byM3u8Parser(text: string): Read {
  const parser = new Parser() as { push(text: string): void; end(): void; manifest: Manifest };
  parser.push(text);
  parser.end();
  const { manifest } = parser;
  const open = manifest.preloadSegment;
  const whole = manifest.segments.filter((one) => one.uri !== undefined);
  const parts = [...manifest.segments.flatMap((one) => one.parts ?? []), ...(open?.parts ?? [])];
  return {
    first: manifest.mediaSequence,
    segments: whole.map((one) => ({ uri: one.uri!, duration: one.duration, gap: one.gap === true })),
    parts: [...new Map(parts.map((one) => [one.uri, one])).values()].map((one) => ({
      uri: one.uri,
      independent: one.independent === true,
      gap: one.gap === true,
    })),
    hint: open?.preloadHints?.[0]?.uri ?? null,
    ended: manifest.endList === true,
  };
}

describe('the playlist of a rendition', () => {
  it('is read alike by two independent parsers, with holes, restarts and an end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('part', 'part', 'part', 'part', 'hole', 'late'), {
          minLength: 1,
          maxLength: 60,
        }),
        fc.integer({ min: 0, max: 1000 }),
        fc.boolean(),
        (happens, base, ended) => {
          const track = createTrack(200);
          const late: SignedHeader[] = [];
          happens.forEach((what, n) => {
            const header = part(5 * base + n);
            if (what === 'hole' && n > 0) track.gap(header.seq);
            else if (what === 'late' && n > 0) late.push(header);
            else track.add(header);
          });
          for (const header of late) track.add(header);
          if (ended) track.end();
          const text = shown(track);
          const one = byHlsParser(text);
          expect(byM3u8Parser(text)).toEqual(one);
          expect(one.first).toBe(base);
          expect(one.ended).toBe(ended);
          const next = track.next()!;
          expect(next).toBe(5 * base + happens.length);
          if (!ended) expect(one.hint).toBe(`${next}.m4s`);
          // Holes are told as such, everything else is there.
          happens.forEach((what, n) => {
            const listed = one.parts.find((each) => each.uri === `${5 * base + n}.m4s`);
            if (listed) expect(listed.gap).toBe(what === 'hole' && n > 0);
          });
        },
      ),
    );
  });

  it('only ever grows at the new end: what a player was told stays true', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.boolean()), { maxLength: 120 }),
        (events) => {
          const track = createTrack(200);
          track.add(part(0));
          let before: string[] = [];
          for (const [seq, isHole] of events) {
            if (isHole) track.gap(seq);
            else track.add(part(seq));
            const now = track
              .segments()
              .flatMap((one) =>
                one.parts.map((each) => `${each.seq} ${each.segment} ${each.header !== null}`),
              );
            expect(now.slice(0, before.length)).toEqual(before);
            before = now;
          }
        },
      ),
    );
  });

  it('keeps the rules of the draft: part target, hold-back, time stamps, skipping, discontinuities', () => {
    const track = createTrack(200);
    for (let seq = 0; seq < 60; seq++) track.add(part(seq));
    for (let seq = 60; seq < 73; seq++)
      track.add(part(seq, { run: 1, segment: 12 + Math.floor((seq - 60) / 5), pts: (seq - 60) * 18_000 }));
    const text = shown(track);
    expect(text).toContain('#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:1\n#EXT-X-PART-INF:PART-TARGET=0.200\n');
    expect(text).toContain('CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.400,HOLD-BACK=3.0,CAN-SKIP-UNTIL=6.0');
    expect(text).toContain(`#EXT-X-PROGRAM-DATE-TIME:${new Date(began + 60 * 200).toISOString()}`);
    expect(text.match(/#EXT-X-DISCONTINUITY$/gm)).toHaveLength(1);
    expect(text.indexOf('#EXT-X-DISCONTINUITY\n')).toBeLessThan(text.indexOf('#EXT-X-MAP:URI="init-1.mp4"'));
    // Parts of the last three seconds and of the open segment only.
    expect(text.match(/#EXT-X-PART:/g)!.length).toBeLessThanOrEqual(20);
    const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(shown(track, true))![1]);
    expect(skipped).toBeGreaterThan(0);
    // What a delta leaves out and what it says are together the whole.
    const rest = [...shown(track, true).matchAll(/^s\d+\.m4s$/gm)].length;
    expect(skipped + rest).toBe([...text.matchAll(/^s\d+\.m4s$/gm)].length);
    const interactive = mediaPlaylist(track, { ...facts, targetLatency: 'interactive' }, false);
    expect(interactive).toContain('PART-HOLD-BACK=0.600');
    track.cut(60);
    expect(shown(track)).toContain('#EXT-X-MEDIA-SEQUENCE:12\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n');
  });

  it('begins where a player can begin, and numbers no segment twice when some are missing', () => {
    const track = createTrack(200);
    track.add(part(3));
    expect(track.segments()).toEqual([]);
    track.add(part(5));
    for (const seq of [6, 7, 8, 9]) track.add(part(seq));
    for (let seq = 10; seq < 25; seq++) track.gap(seq);
    track.add(part(25));
    expect(track.segments().map((one) => one.segment)).toEqual([1, 2, 3, 4, 5]);
    expect(byHlsParser(shown(track)).segments.filter((one) => one.gap)).toHaveLength(3);
  });
});

describe('a rendition after what the source says or leaves out', () => {
  it('begins anew when the number of a segment jumps far or goes back, whatever number it is', () => {
    const track = createTrack(200);
    track.add(part(0));
    track.add(part(1, { segment: 2 ** 52 }));
    expect(track.segments().map((one) => one.segment)).toEqual([2 ** 52]);
    track.add(part(2, { segment: 7 }));
    expect(track.segments().map((one) => one.segment)).toEqual([7]);
    track.add(part(3, { segment: 71 }));
    expect(track.segments()).toHaveLength(65);
    track.add(part(4, { segment: 136 }));
    expect(track.segments()).toHaveLength(1);
  });

  it('goes on where a player can begin when more parts are missing than others fill in', () => {
    const track = createTrack(200);
    for (let seq = 0; seq < 7; seq++) track.add(part(seq));
    for (let seq = 93; seq < 98; seq++) track.add(part(seq));
    expect(track.next()).toBe(98);
    const seqs = track.segments().flatMap((one) => one.parts.map((each) => [each.seq, each.header !== null]));
    expect(seqs.slice(-4)).toEqual([
      [7, false],
      [95, true],
      [96, true],
      [97, true],
    ]);
    expect(track.gaps()).toBe(1);
    // Segments 2 to 18, of which nothing came, are told as holes.
    expect(byHlsParser(shown(track)).segments.filter((one) => one.gap)).toHaveLength(17);
  });

  it('goes on after a hole that nobody ever fills, and keeps no more than waits for it', () => {
    for (const partMs of [20, 200]) {
      const track = createTrack(partMs);
      track.add(part(0));
      for (let seq = 2; seq < 400; seq++) track.add(part(seq));
      expect(track.next()).toBe(400);
      expect(track.gaps()).toBe(1);
      track.gap(1);
      track.add(part(1));
      expect(
        track
          .segments()
          .flatMap((one) => one.parts)
          .at(-1)!.seq,
      ).toBe(399);
    }
  });

  it('waits for what data was sent before, and begins with a later part only when that does not come', () => {
    const track = createTrack(200, 0);
    track.add(part(500));
    for (let seq = 0; seq < 500; seq++) track.add(part(seq));
    expect(track.next()).toBe(501);
    const late = createTrack(200, 0);
    for (let seq = 5_000; seq < 5_000 + 2_100; seq++) late.add(part(seq));
    expect(late.next()).toBe(7_100);
  });
});

describe('the origin', () => {
  function origin() {
    const made = createHlsOrigin({
      partMs: 200,
      targetLatency: 'default',
      kinds: ['av'],
      payload: async (header) => Buffer.from(`<${header.seq}>`),
    });
    made.programme({
      title: 't',
      poster: null,
      renditions: [video],
      runs: [{ run: 0, first: 0, inits: [Buffer.from('init')] }],
    });
    return made;
  }
  const soon = () => AbortSignal.timeout(60);
  const text = async (one: ReturnType<typeof origin>, file: string, query = none, signal = soon()) =>
    Buffer.from((await one.get(file, query, signal)).body as Uint8Array).toString();

  it('lists its renditions, and gives init segments, parts and whole segments', async () => {
    const one = origin();
    for (let seq = 0; seq < 7; seq++) one.add(part(seq));
    expect(await text(one, 'stream.m3u8')).toContain(
      '#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.42c01f,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=30.000',
    );
    expect(await text(one, 'v/init-0.mp4')).toBe('init');
    expect(await text(one, 'v/6.m4s')).toBe('<6>');
    expect(await text(one, 'v/s0.m4s')).toBe('<0><1><2><3><4>');
    await expect(text(one, 'v/s1.m4s')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('keeps a reload waiting until what it asks for is there, and the hinted part too', async () => {
    const one = origin();
    for (let seq = 0; seq < 7; seq++) one.add(part(seq));
    const order: string[] = [];
    const waits = [
      text(one, 'v/index.m3u8', new URLSearchParams('_HLS_msn=1&_HLS_part=2')).then(() =>
        order.push('playlist'),
      ),
      text(one, 'v/7.m4s').then(() => order.push('part')),
    ];
    await new Promise((resolve) => setTimeout(resolve, 10));
    order.push('added');
    one.add(part(7));
    await Promise.all(waits);
    expect(order[0]).toBe('added');
    await expect(text(one, 'v/8.m4s')).rejects.toMatchObject({ code: 'timeout' });
    await expect(text(one, 'v/index.m3u8', new URLSearchParams('_HLS_msn=2'))).rejects.toMatchObject({
      code: 'timeout',
    });
  });

  it('keeps players that only know whole segments waiting for the first one, and others not', async () => {
    const one = origin();
    for (let seq = 5; seq < 8; seq++) one.add(part(seq));
    const parts = new URLSearchParams('low-latency');
    expect(await text(one, 'stream.m3u8', parts)).toContain('\nv/index.m3u8?low-latency\n');
    expect(await text(one, 'stream.m3u8')).toContain('\nv/index.m3u8\n');
    expect(byHlsParser(await text(one, 'v/index.m3u8', parts)).parts).toHaveLength(3);
    await expect(text(one, 'v/index.m3u8')).rejects.toMatchObject({ code: 'timeout' });
    const waiting = text(one, 'v/index.m3u8', none, AbortSignal.timeout(5_000));
    for (let seq = 8; seq < 11; seq++) one.add(part(seq));
    expect(byHlsParser(await waiting).segments).toHaveLength(1);
    // A segment that never ends is shown as it is.
    const endless = origin();
    for (let seq = 0; seq < 15; seq++) endless.add(part(seq, { segment: 0, first: 0 }));
    expect(byHlsParser(await text(endless, 'v/index.m3u8')).segments).toHaveLength(0);
  });

  it('answers nonsense with words, and never hangs on it', async () => {
    const one = origin();
    for (let seq = 0; seq < 7; seq++) one.add(part(seq));
    for (const query of [
      '_HLS_msn=x',
      '_HLS_part=1',
      '_HLS_msn=99',
      '_HLS_msn=1&_HLS_part=99999',
      '_HLS_msn=-1',
    ])
      await expect(text(one, 'v/index.m3u8', new URLSearchParams(query))).rejects.toMatchObject({
        code: 'invalid_argument',
      });
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), async (file, query) => {
        const known = /^(stream\.m3u8|v\/(index\.m3u8|init-0\.mp4|[0-7]\.m4s|s0\.m4s))$/.test(file);
        const answer = one.get(file, new URLSearchParams(query), AbortSignal.timeout(1));
        if (!known) await expect(answer).rejects.toMatchObject({ code: 'not_found' });
      }),
    );
    one.end();
    expect(await text(one, 'v/index.m3u8', new URLSearchParams('_HLS_msn=5'))).toContain('#EXT-X-ENDLIST');
  });
});
