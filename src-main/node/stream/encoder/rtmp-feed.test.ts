import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../../src-shared/errors.ts';
import type { FeedItem, FeedPart } from '../../../../src-shared/media/index.ts';
import { createFlvCutter } from './flv-cutter.ts';
import { openRtmpFeed } from './rtmp-feed.ts';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const ffmpeg = (args: string[]): string => {
  const done = spawnSync('ffmpeg', ['-v', 'error', '-y', ...args], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(done.stderr);
  return done.stdout;
};

describe.skipIf(!hasFfmpeg)('an encoder over RTMP (needs ffmpeg)', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'extrachain-rtmp-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('is repacked frame by frame, in parts that end together and begin at key frames', async () => {
    const clip = path.join(dir, 'clip.mp4');
    ffmpeg([
      ...['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30:duration=3'],
      ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=3', '-pix_fmt', 'yuv420p'],
      ...[
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
        clip,
      ],
    ]);
    const rtmp = await openRtmpFeed(0);
    // A stranger without the key gets nothing and disturbs nobody.
    const wrong = spawn('ffmpeg', [
      '-v',
      'quiet',
      '-i',
      clip,
      '-c',
      'copy',
      '-f',
      'flv',
      `${rtmp.server}/${'0'.repeat(32)}`,
    ]);
    expect(await new Promise((resolve) => wrong.once('close', resolve))).not.toBe(0);
    const encoder = spawn('ffmpeg', [
      '-v',
      'error',
      '-re',
      '-i',
      clip,
      '-c',
      'copy',
      '-f',
      'flv',
      `${rtmp.server}/${rtmp.key}`,
    ]);
    const feed = await rtmp.feed;
    expect(feed.rendition).toMatchObject({ kind: 'av', width: 320, height: 180 });
    expect(feed.rendition.codecs).toMatch(/^avc1\.[0-9a-f]{6},mp4a\.40\.2$/);
    const bytes: Uint8Array[] = [];
    const parts: FeedPart[] = [];
    for await (const item of feed.items) {
      bytes.push(item.t === 'init' ? item.bytes : item.part.bytes);
      if (item.t === 'part') parts.push(item.part);
    }
    encoder.kill();
    const ours = path.join(dir, 'ours.mp4');
    writeFileSync(ours, Buffer.concat(bytes));
    const md5 = (file: string): string[] =>
      ffmpeg(['-i', file, '-map', '0:v', '-f', 'framemd5', '-'])
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.split(',').at(-1)!);
    // The first key frame may have come before the sound was known; from the next on everything is there.
    const [all, mine] = [md5(clip), md5(ours)];
    expect(mine.length).toBeGreaterThanOrEqual(all.length - 30);
    expect(mine).toEqual(all.slice(-mine.length));
    for (const [n, part] of parts.entries()) {
      expect(part.duration).toBeLessThanOrEqual(27_000);
      expect(part.seq).toBe(n);
      if (n > 0) expect(part.pts).toBe(parts[n - 1]!.pts + parts[n - 1]!.duration);
      if (n === 0 || part.segment > parts[n - 1]!.segment) expect(part.independent).toBe(true);
    }
    const end = (track: string): number => {
      const { stdout } = spawnSync(
        'ffprobe',
        [
          '-v',
          'error',
          '-select_streams',
          track,
          '-show_entries',
          'packet=pts_time,duration_time',
          '-of',
          'csv=p=0',
          ours,
        ],
        { encoding: 'utf8' },
      );
      return Math.max(
        ...stdout
          .trim()
          .split('\n')
          .map((line) => line.split(',').map(Number))
          .map(([at = 0, length = 0]) => at + (length || 0)),
      );
    };
    expect(Math.abs(end('v') - end('a'))).toBeLessThan(0.15);
  });

  it('closes on nonsense and goes on waiting', async () => {
    const rtmp = await openRtmpFeed(0);
    const { port } = new URL(rtmp.server.replace('rtmp', 'http'));
    for (const nonsense of [
      Buffer.alloc(200_000, 7),
      Buffer.concat([Buffer.from([3]), Buffer.alloc(3072), Buffer.alloc(4000, 0xff)]),
    ]) {
      const socket = connect(Number(port), '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      socket.write(nonsense);
      setTimeout(() => socket.end(), 200);
      await new Promise((resolve) => socket.once('close', resolve));
    }
    rtmp.close();
    await expect(rtmp.feed).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('who has not given the key', () => {
  /** Resolves when the other side hangs up. */
  function stranger(server: string, says: Uint8Array): Promise<unknown> {
    const socket = connect(Number(new URL(server.replace('rtmp', 'http')).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    if (says.length > 0) socket.write(says);
    return new Promise((resolve) => socket.once('close', resolve));
  }

  it('is sent away: at once for other protocols and long messages, after a while for silence', async () => {
    const rtmp = await openRtmpFeed(0, 60_000);
    await stranger(rtmp.server, Buffer.from('GET / HTTP/1.1'));
    const handshake = Buffer.concat([Buffer.from([3]), Buffer.alloc(2 * 1536)]);
    // A chunk that begins a message of 16 MB, and twenty that begin one of 8 KB each.
    await stranger(
      rtmp.server,
      Buffer.concat([handshake, Buffer.from([3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 0])]),
    );
    const begun = Array.from({ length: 20 }, (_, n) =>
      Buffer.concat([Buffer.from([4 + n, 0, 0, 0, 0, 0x20, 0, 20, 0, 0, 0, 0]), Buffer.alloc(128)]),
    );
    await stranger(rtmp.server, Buffer.concat([handshake, ...begun]));
    rtmp.close();
    const brief = await openRtmpFeed(0, 50);
    await stranger(brief.server, Buffer.from([3]));
    brief.close();
  });

  it('is one of four at the most: the one that is there longest goes', async () => {
    const rtmp = await openRtmpFeed(0, 60_000);
    const gone: number[] = [];
    const all = [0, 1, 2, 3, 4, 5].map(async (n) => {
      await stranger(rtmp.server, Buffer.from([3]));
      gone.push(n);
    });
    await Promise.all(all.slice(0, 2));
    expect(gone.sort()).toEqual([0, 1]);
    rtmp.close();
    await Promise.all(all);
  });
});

describe('messages of an encoder', () => {
  const cutter = (items: FeedItem[] = []) =>
    createFlvCutter({ sizeOf: () => ({ width: 16, height: 16 }), onItem: (item) => items.push(item) });
  it('are refused with words where they are no H.264 or AAC', () => {
    expect(() => cutter().push({ kind: 'video', time: 0, data: Uint8Array.of(0x12, 0, 0, 0, 0) })).toThrow(
      'H.264',
    );
    expect(() => cutter().push({ kind: 'video', time: 0, data: Uint8Array.of(0x90, 0x68) })).toThrow('H.264');
    expect(() => cutter().push({ kind: 'audio', time: 0, data: Uint8Array.of(0x2f, 0) })).toThrow('AAC');
  });
  it('may be anything', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            kind: fc.constantFrom('audio' as const, 'video' as const),
            time: fc.nat(2 ** 31),
            data: fc
              .tuple(fc.constantFrom(0x17, 0x27, 0xaf, 0), fc.nat(2), fc.uint8Array({ maxLength: 30 }))
              .map(([a, b, rest]) => Uint8Array.of(a, b, ...rest)),
          }),
          { maxLength: 30 },
        ),
        (messages) => {
          const one = cutter();
          try {
            for (const message of messages) one.push(message);
            one.end();
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
          }
        },
      ),
    );
  });
});
