import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import { createDownloads } from './downloads.ts';
import { createTestBytes } from './testing.ts';

function setUp() {
  let now = 0;
  const clock = { now: () => now, after: () => () => {} };
  const downloads = createDownloads({ clock, random: randomBytes, origin: () => 'http://127.0.0.1:1' });
  const all = Uint8Array.from({ length: 5000 }, (_, n) => n % 251);
  const bytes = createTestBytes(all);
  const url = downloads.offer({ fileName: 'ä "b".html', open: async (start, end) => bytes.open(start, end) });
  const get = (range?: string, init: RequestInit = {}) =>
    downloads.serve(new Request(url, { ...init, headers: range === undefined ? {} : { range } }));
  return { downloads, all, url, get, bytes, pass: (ms: number) => (now += ms) };
}

const bodyOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

describe('downloads', () => {
  it('hand out the whole as an attachment that may do nothing', async () => {
    const { get, all } = setUp();
    const response = await get();
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-length': '5000',
      'content-type': 'application/octet-stream',
      'content-disposition': "attachment; filename*=UTF-8''%C3%A4%20%22b%22.html",
      'content-security-policy': expect.stringContaining("sandbox; default-src 'none'"),
      'x-content-type-options': 'nosniff',
    });
    expect(await bodyOf(response)).toEqual(all);
  });

  it.each([
    ['bytes=0-99', 206, 0, 100],
    ['bytes=4990-', 206, 4990, 5000],
    ['bytes=-10', 206, 4990, 5000],
    ['bytes=-9999', 206, 0, 5000],
    ['bytes=100-999999', 206, 100, 5000],
    ['bytes=9-3', 200, 0, 5000],
    ['lines=1-2', 200, 0, 5000],
    ['bytes=0-1,3-4', 200, 0, 5000],
  ])('answer %s with %i', async (range, status, start, end) => {
    const { get, all } = setUp();
    const response = await get(range);
    expect(response.status).toBe(status);
    if (status === 206) expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/5000`);
    expect(await bodyOf(response)).toEqual(all.subarray(start, end));
  });

  it('refuse a range behind the end', async () => {
    const { get } = setUp();
    const response = await get('bytes=5000-');
    expect([response.status, response.headers.get('content-range')]).toEqual([416, 'bytes */5000']);
  });

  it('answer HEAD without a body and let go of the bytes', async () => {
    const { get, bytes } = setUp();
    const response = await get(undefined, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-length')]).toEqual([200, '5000']);
    expect(await bodyOf(response)).toHaveLength(0);
    expect(bytes.seen.opened).toBe(bytes.seen.released);
  });

  it('let go of the bytes when the reader leaves', async () => {
    const { get, bytes } = setUp();
    const reader = (await get()).body!.getReader();
    await reader.read();
    await reader.cancel();
    expect(bytes.seen).toEqual({ opened: 1, released: 1 });
  });

  it('live a minute after their last use', async () => {
    const { get, pass } = setUp();
    pass(59_000);
    expect((await get()).status).toBe(200);
    pass(59_000);
    expect((await get()).status).toBe(200);
    pass(61_000);
    expect((await get()).status).toBe(404);
  });

  it('are known by their whole URL only, and only to be read', async () => {
    const { url, get, downloads } = setUp();
    for (const other of [url.slice(0, -1), `${url}x`, url.replace('/bytes/', '/'), `${url}/..`]) {
      expect((await downloads.serve(new Request(other))).status, other).toBe(404);
    }
    expect((await get(undefined, { method: 'POST' })).status).toBe(405);
  });

  it('never grow beyond a thousand', async () => {
    const { downloads, url } = setUp();
    for (let n = 0; n < 1000; n += 1) {
      downloads.offer({ fileName: 'x', open: async () => createTestBytes(new Uint8Array(0)).open(0, null) });
    }
    expect((await downloads.serve(new Request(url))).status).toBe(404);
  });

  it('tell failures by their code and nothing of those that are not declared', async () => {
    const { downloads } = setUp();
    const failing = async (error: Error) => {
      const url = downloads.offer({ fileName: 'x', open: () => Promise.reject(error) });
      const response = await downloads.serve(new Request(url));
      return [response.status, await response.text()] as const;
    };
    expect(await failing(new AppError('gone', 'Nobody has it.'))).toEqual([502, 'gone: Nobody has it.\n']);
    const [status, text] = await failing(new Error('/home/secret'));
    expect(status).toBe(500);
    expect(text).not.toContain('secret');
  });

  it('answer any range header', async () => {
    const { get } = setUp();
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom(...'bytes=0123456789-, ') }).map((text) => `bytes=${text}`),
        async (range) => {
          const response = await get(range);
          expect([200, 206, 416]).toContain(response.status);
          const length = (await bodyOf(response)).length;
          if (response.status !== 416) expect(length).toBe(Number(response.headers.get('content-length')));
        },
      ),
      { seed: 3, numRuns: 300 },
    );
  });
});
