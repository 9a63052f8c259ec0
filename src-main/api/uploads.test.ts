import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import { createDownloads } from './downloads.ts';
import { previewType } from './preview-types.ts';

function setUp(size: number, refuse?: AppError) {
  let now = 0;
  const clock = { now: () => now, after: () => () => {} };
  const downloads = createDownloads({ clock, random: randomBytes, origin: () => 'http://127.0.0.1:1' });
  const kept: string[] = [];
  const url = downloads.accept({
    size,
    async take(bytes) {
      if (refuse) throw refuse;
      const chunks: Uint8Array[] = [];
      for await (const chunk of bytes) chunks.push(chunk);
      kept.push(Buffer.concat(chunks).toString());
    },
  });
  const put = (body: string, to = url) => downloads.serve(new Request(to, { method: 'PUT', body }));
  return { downloads, url, put, kept, pass: (ms: number) => (now += ms) };
}

describe('uploads', () => {
  it('take exactly what was announced, once', async () => {
    const { put, kept } = setUp(5);
    expect((await put('hello')).status).toBe(204);
    expect(kept).toEqual(['hello']);
    expect((await put('hello')).status).toBe(404);
    expect(kept).toEqual(['hello']);
  });

  it.each(['hell', 'hello!', ''])('keep nothing of %j when five bytes were announced', async (body) => {
    const { put, kept } = setUp(5);
    const response = await put(body);
    expect([response.status, response.headers.get('error-code')]).toEqual([502, 'invalid_argument']);
    expect(kept).toEqual([]);
  });

  it('take an empty file', async () => {
    const { put, kept } = setUp(0);
    expect((await put('')).status).toBe(204);
    expect(kept).toEqual(['']);
  });

  it('end after a minute, and are known by their whole address only', async () => {
    const { put, url, kept, pass } = setUp(5);
    expect((await put('hello', `${url}A`)).status).toBe(404);
    expect((await put('hello', url.replace('/uploads/', '/bytes/'))).status).toBe(404);
    pass(60_001);
    expect((await put('hello')).status).toBe(404);
    expect(kept).toEqual([]);
  });

  it('are not read back', async () => {
    const { downloads, url } = setUp(5);
    expect((await downloads.serve(new Request(url))).status).toBe(404);
  });

  it('say why they were refused', async () => {
    const { put } = setUp(5, new AppError('already_exists', 'There is a file of that name.'));
    const response = await put('hello');
    expect([response.status, response.headers.get('error-code')]).toEqual([409, 'already_exists']);
    expect(await response.text()).toContain('There is a file of that name.');
  });
});

describe('the type of a preview', () => {
  it('is of something to look at or listen to, never of something to run', () => {
    expect(previewType('a.PNG')).toBe('image/png');
    expect(previewType('a.b.mp4')).toBe('video/mp4');
    for (const name of [
      'a.html',
      'a.xhtml',
      'a.js',
      'a.css',
      'a.xml',
      'constructor',
      'a.__proto__',
      'png',
      '',
    ]) {
      expect(previewType(name), name).toBeNull();
    }
  });

  it('is given with the bytes, inside the sandbox', async () => {
    const { downloads } = setUp(0);
    const bytes = new TextEncoder().encode('<svg/>');
    const one = async function* () {
      yield bytes;
    };
    const url = downloads.offer({
      fileName: 'a.svg',
      type: 'image/svg+xml',
      open: () => Promise.resolve({ size: bytes.length, bytes: one() }),
    });
    const { headers } = await downloads.serve(new Request(url));
    expect(headers.get('content-type')).toBe('image/svg+xml');
    expect(headers.get('content-disposition')).toMatch(/^inline/);
    expect(headers.get('content-security-policy')).toContain("sandbox; default-src 'none'");
  });
});
