import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createPlatformHandlers, inside } from './platform-handlers.ts';
import { noPlatform } from './platform-services.ts';
import { createTestServices } from './testing.ts';

const clock = { now: () => 0, after: () => () => {} };
const signal = new AbortController().signal;
const folder = path.resolve('/home/me/Photos');
const node = createTestServices({ drives: { status: () => Promise.resolve({ folder } as never) } });

describe('files of a drive', () => {
  it('lie in its folder', () => {
    expect(inside(folder, '')).toBe(folder);
    expect(inside(folder, 'a/b c.txt')).toBe(path.join(folder, 'a', 'b c.txt'));
    for (const strange of ['..', 'a/../../b', './a', '/etc/passwd', 'a//b', 'a\0b']) {
      expect(() => inside(folder, strange), strange).toThrow(
        expect.objectContaining({ code: 'invalid_argument' }),
      );
    }
  });

  it('are what the platform is asked to show, by their paths', async () => {
    const shown: string[] = [];
    const platform = { ...noPlatform, reveal: (file: string) => void shown.push(file) };
    const handlers = createPlatformHandlers(node, platform, clock);
    await handlers.reveal({ drive: 'd', path: 'a/b' }, signal);
    expect(shown).toEqual([path.join(folder, 'a', 'b')]);
  });
});

it('refuses what needs a screen where there is none', async () => {
  const handlers = createPlatformHandlers(node, noPlatform, clock);
  expect(await handlers.capabilities({}, signal)).toMatchObject({ host: 'browser', showFiles: false });
  await expect(handlers.open({ drive: 'd', path: 'a' }, signal)).rejects.toMatchObject({
    code: 'unsupported',
  });
  await expect(handlers.pickFolder({}, signal)).rejects.toMatchObject({ code: 'unsupported' });
});

it('hands out links that waited, then new ones, until the reader goes', async () => {
  const waiting = ['a'];
  let listener = () => {};
  let ended = false;
  const links = {
    take: () => waiting.splice(0),
    on: (next: () => void) => {
      listener = next;
      return () => (ended = true);
    },
  };
  const handlers = createPlatformHandlers(node, { ...noPlatform, links }, clock);
  const leaving = new AbortController();
  const items = handlers.watchLinks({}, leaving.signal)[Symbol.asyncIterator]();
  expect(await items.next()).toEqual({ value: { link: 'a' }, done: false });
  const next = items.next();
  waiting.push('b');
  listener();
  expect(await next).toEqual({ value: { link: 'b' }, done: false });
  const last = items.next();
  leaving.abort();
  expect((await last).done).toBe(true);
  expect(ended).toBe(true);
});
