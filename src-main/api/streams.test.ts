import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import { wallClock as clock } from '../../src-shared/wall-clock.ts';
import { createDownloads } from './downloads.ts';
import { createHandlers } from './handlers.ts';
import type { Ingest, Playback } from '../stream/index.ts';
import type { NodeServices } from './node-services.ts';
import { maxInitBytes, maxPartBytes } from './stream-routes.ts';
import { createTestServices } from './testing.ts';

const id = 'ab'.repeat(32);
const none = new AbortController().signal;

function setUp() {
  const ended = Promise.withResolvers<void>();
  const taken: unknown[] = [];
  const ingest: Ingest = {
    async init(rendition, bytes) {
      taken.push(['init', rendition, bytes.length]);
    },
    async part(rendition, seq, meta, bytes) {
      if (seq === 7) throw new AppError('part_out_of_order', 'Part 7 was sent already.');
      taken.push([rendition, seq, meta, bytes.length]);
    },
    async end() {
      ended.resolve();
    },
    health: () => ({ queueMs: 12.4, uplink: 1000, dropped: 2, viewers: 3 }),
    ended: ended.promise,
  };
  const playback: Playback = {
    async get(file, query, signal) {
      if (file === 'slow') await new Promise((_, reject) => signal.addEventListener('abort', reject));
      if (file !== 'stream.m3u8') throw new AppError('not_found', 'There is no such file.');
      return { type: 'text/plain', body: Buffer.from(`#EXTM3U ${query.get('v')}`), lasting: false };
    },
    entrance: 'stream.m3u8',
    close() {},
    closed: new Promise(() => {}),
  };
  const services = createTestServices({
    streams: {
      start: async () => ({ streamId: id, link: 'extrachain://stream/x' }),
      watch: async () => ({ streamId: id }),
      poster: async ({ stream }) =>
        stream === id ? { bytes: new Uint8Array([0xff, 0xd8, 0xff, 1]), type: 'image/jpeg' } : null,
      ingest: () => ingest,
      playback: () => playback,
    },
  });
  const downloads = createDownloads({ clock, random: randomBytes, origin: () => 'http://127.0.0.1:1' });
  const handlers = createHandlers(services as NodeServices, { clock, downloads, shutdown() {} });
  return { handlers, downloads, taken };
}

const input = {
  title: 't',
  poster: null,
  outlives: false,
  audience: 'public' as const,
  record: null,
  dvrSeconds: 120,
  renditions: [{ id: 'v', kind: 'av' as const, codecs: 'avc1.42c01f', bandwidth: 1 }],
  targetLatency: 'default' as const,
  partMs: 200,
  fanout: null,
};
const query = 'pts=90000&duration=18000&captured=1700000000000&independent=1&segment=5';

describe('the ingest of a stream', () => {
  it('takes init segments and parts at its URL, says how it goes, and can be ended', async () => {
    const { handlers, downloads, taken } = setUp();
    const { ingestUrl } = await handlers.streams.start(input, none);
    const post = (rest: string, size = 10) =>
      downloads.serve(new Request(`${ingestUrl}/${rest}`, { method: 'POST', body: new Uint8Array(size) }));
    const answer = await post('v/init');
    expect([answer.status, answer.headers.get('stream-queue'), answer.headers.get('stream-viewers')]).toEqual(
      [204, '12', '3'],
    );
    expect((await post(`v/0?${query}`, 500)).status).toBe(204);
    expect(taken).toEqual([
      ['init', 'v', 10],
      ['v', 0, { pts: 90000, duration: 18000, captured: 1700000000000, independent: true, segment: 5 }, 500],
    ]);
    const late = await post(`v/7?${query}`);
    expect([late.status, await late.json()]).toEqual([
      409,
      { error: { code: 'part_out_of_order', message: 'Part 7 was sent already.' } },
    ]);
    expect((await post('end')).status).toBe(204);
  });

  it('refuses what is no part, in words a program understands', async () => {
    const { handlers, downloads, taken } = setUp();
    const { ingestUrl } = await handlers.streams.start(input, none);
    const ask = async (rest: string, size = 1, method = 'POST') => {
      const body = method === 'POST' ? { body: new Uint8Array(size) } : {};
      const answer = await downloads.serve(new Request(`${ingestUrl}/${rest}`, { method, ...body }));
      return [answer.status, answer.headers.get('error-code')];
    };
    expect(await ask('v/init', maxInitBytes + 1)).toEqual([413, 'too_large']);
    expect(await ask(`v/0?${query}`, maxPartBytes + 1)).toEqual([413, 'too_large']);
    expect(await ask('v/0?pts=1')).toEqual([400, 'invalid_argument']);
    expect(await ask(`v/0?${query.replace('pts=90000', 'pts=-1')}`)).toEqual([400, 'invalid_argument']);
    expect(await ask('V/init')).toEqual([400, 'invalid_argument']);
    expect(await ask('v/../../x')).toEqual([405, null]);
    expect(await ask(`v/0?${query}`, 0, 'GET')).toEqual([405, 'unsupported']);
    expect(taken).toEqual([]);
  });
});

describe('the picture of a stream', () => {
  it('is shown from an address of the second origin, and none where there is none', async () => {
    const { handlers, downloads } = setUp();
    const { url } = await handlers.streams.poster({ stream: id }, none);
    const answer = await downloads.serve(new Request(url!));
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(new Uint8Array([0xff, 0xd8, 0xff, 1]));
    expect(await handlers.streams.poster({ stream: 'cd'.repeat(32) }, none)).toEqual({ url: null });
  });
});

describe('the playback of a stream', () => {
  it('is read by GET at its own URL, and only there', async () => {
    const { handlers, downloads } = setUp();
    const { url } = await handlers.streams.watch({ stream: id }, none);
    const answer = await downloads.serve(new Request(`${url}?v=1`));
    expect(answer.headers.get('content-type')).toBe('text/plain');
    expect(await answer.text()).toBe('#EXTM3U 1');
    expect((await downloads.serve(new Request(url.replace('stream.m3u8', 'other')))).status).toBe(404);
    const another = url.replace(/live\/.{43}/, `live/${'A'.repeat(43)}`);
    expect((await downloads.serve(new Request(another))).status).toBe(404);
  });
});
