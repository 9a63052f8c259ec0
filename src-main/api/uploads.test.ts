import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import { createDownloads } from './downloads.ts';
import { previewType } from './preview-types.ts';

const label = { drive: 'd', path: 'a.bin', modified: 1000 };

function setUp(size: number, refuse?: AppError) {
  let now = 0;
  const clock = { now: () => now, after: () => () => {} };
  const downloads = createDownloads({ clock, random: randomBytes, origin: () => 'http://127.0.0.1:1' });
  const kept: string[] = [];
  const url = downloads.accept({
    label,
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

/** Announces an upload and shows what became of it. */
function inParts(size: number, refuseAfter = Infinity) {
  let now = 0;
  const timers: { at: number; run: () => void }[] = [];
  const clock = {
    now: () => now,
    after: (ms: number, run: () => void) => {
      timers.push({ at: now + ms, run });
      return () => {};
    },
  };
  const downloads = createDownloads({ clock, random: randomBytes, origin: () => 'http://127.0.0.1:1' });
  const seen = { text: '', done: false, failure: null as unknown };
  const url = downloads.accept({
    label,
    size,
    async take(bytes) {
      try {
        for await (const chunk of bytes) {
          if (seen.text.length + chunk.length > refuseAfter)
            throw new AppError('disk_full', 'The disk is full.');
          seen.text += Buffer.from(chunk).toString();
        }
        seen.done = true;
      } catch (error) {
        seen.failure = error;
        throw error;
      }
    },
  });
  const send = (start: number, body: RequestInit['body'], length: number, total = size) =>
    downloads.serve(
      new Request(url, {
        method: 'PUT',
        body,
        headers: { 'content-range': `bytes ${start}-${start + length - 1}/${total}` },
        duplex: 'half',
      } as RequestInit),
    );
  const ask = (method: string) => downloads.serve(new Request(url, { method }));
  const offset = (response: Response) => Number(response.headers.get('upload-offset'));
  const pass = (ms: number) => {
    now += ms;
    for (const timer of timers.splice(0))
      if (timer.at <= now) timer.run();
      else timers.push(timer);
  };
  return { downloads, url, seen, send, ask, offset, pass };
}

describe('uploads in parts', () => {
  it('come one part after another, and are done with the last', async () => {
    const { seen, send, offset } = inParts(10);
    const first = await send(0, 'hello', 5);
    expect([first.status, offset(first), seen.done]).toEqual([202, 5, false]);
    expect((await send(5, 'world', 5)).status).toBe(204);
    expect(seen).toEqual({ text: 'helloworld', done: true, failure: null });
    expect((await send(5, 'world', 5)).status).toBe(404);
  });

  it('refuse a part that does not follow on, and say where they are', async () => {
    const { seen, send, ask, offset } = inParts(10);
    await send(0, 'hello', 5);
    for (const part of [send(0, 'hello', 5), send(6, 'orld', 4), send(5, 'world', 5, 11), ask('PUT')])
      expect((await part).status).toBe(409);
    expect(offset(await ask('HEAD'))).toBe(5);
    expect((await send(5, 'world', 5)).status).toBe(204);
    expect(seen.text).toBe('helloworld');
  });

  it('go on where a connection broke', async () => {
    const { seen, send, ask, offset } = inParts(10);
    async function* halfOf() {
      yield Buffer.from('hel');
      throw new TypeError('terminated');
    }
    const broken = ReadableStream.from(halfOf()) as RequestInit['body'];
    await send(0, broken, 10);
    const here = offset(await ask('HEAD'));
    expect(here).toBe(3);
    expect((await send(here, 'loworld', 7)).status).toBe(204);
    expect(seen).toMatchObject({ text: 'helloworld', done: true });
  });

  it('are found again by whoever opens the window anew, and go on', async () => {
    const size = 100_000;
    const text = 'a'.repeat(70_000) + 'b'.repeat(30_000);
    const { downloads, url, seen, send, pass } = inParts(size);
    expect(downloads.unfinished()).toEqual([]);
    await send(0, text.slice(0, 80_000), 80_000);
    const tail = createHash('sha256')
      .update(text.slice(80_000 - 65_536, 80_000))
      .digest('hex');
    const found = { label, size, received: 80_000, tail, url };
    expect(downloads.unfinished()).toEqual([{ ...found, sending: true }]);
    pass(3_600_000);
    expect(downloads.unfinished()).toEqual([{ ...found, sending: false }]);
    expect((await send(80_000, text.slice(80_000), 20_000)).status).toBe(204);
    expect(seen).toMatchObject({ text, done: true });
    expect(downloads.unfinished()).toEqual([]);
  });

  it('leave nothing behind when cancelled, or when nobody goes on', async () => {
    const cancelled = inParts(10);
    await cancelled.send(0, 'hello', 5);
    expect((await cancelled.ask('DELETE')).status).toBe(204);
    expect(cancelled.seen).toMatchObject({ done: false, failure: { code: 'cancelled' } });
    expect((await cancelled.send(5, 'world', 5)).status).toBe(404);

    const forgotten = inParts(10);
    await forgotten.send(0, 'hello', 5);
    const hour = 3_600_000;
    forgotten.pass(20 * hour);
    await forgotten.ask('HEAD');
    forgotten.pass(20 * hour);
    expect(forgotten.seen.failure).toBeNull();
    forgotten.pass(5 * hour);
    expect((await forgotten.ask('HEAD')).status).toBe(404);
    await expect.poll(() => forgotten.seen.failure).toMatchObject({ code: 'cancelled' });
  });

  it('say why they were refused, and take no more than was announced', async () => {
    const full = inParts(10, 6);
    await full.send(0, 'hello', 5);
    const refused = await full.send(5, 'world', 5);
    expect([refused.status, refused.headers.get('error-code')]).toEqual([502, 'disk_full']);
    const long = inParts(10);
    const more = await long.send(0, 'hello and more', 5);
    expect(more.headers.get('error-code')).toBe('invalid_argument');
    expect(long.seen.done).toBe(false);
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
