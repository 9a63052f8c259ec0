import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sharedWithPage } from './guard.ts';
import { createPageFiles } from './page-files.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-page-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function build(text: string) {
  await mkdir(path.join(dir, 'window', 'assets'), { recursive: true });
  await writeFile(path.join(dir, 'window', 'index.html'), text);
  await writeFile(path.join(dir, 'window', 'assets', 'main-1.js'), 'one');
  await writeFile(path.join(dir, 'window', 'notes.txt'), 'not for the page');
  await writeFile(path.join(dir, 'secret.js'), 'outside');
}
const text = async (files: ReturnType<typeof createPageFiles>, url: string) =>
  (await files.get(url))?.body.toString() ?? null;

describe('the files of the page', () => {
  it('are the plain ones until a window is built, then the window', async () => {
    const files = createPageFiles(path.join(dir, 'window'));
    expect(await text(files, '/')).toContain('page.js');
    expect(await text(files, '/page.js')).not.toBeNull();
    await build('the window');
    expect(await text(files, '/')).toBe('the window');
    expect(await text(files, '/assets/main-1.js')).toBe('one');
    expect(await text(files, '/page.js')).toBeNull();
    await build('another window');
    expect(await text(files, '/')).toBe('another window');
  });

  it('are no others', async () => {
    await build('the window');
    const files = createPageFiles(path.join(dir, 'window'));
    await files.get('/');
    for (const url of [
      '/index.html',
      '/notes.txt',
      '/../secret.js',
      '/assets/../../secret.js',
      '//',
      '',
      '/assets',
    ]) {
      expect(await files.get(url), url).toBeNull();
    }
  });
});

describe('the origin of bytes', () => {
  it('lets our page read, and nobody else', () => {
    for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
      expect(sharedWithPage(`http://${host}:80`, '127.0.0.1', 80)).toMatchObject({
        'access-control-allow-origin': `http://${host}:80`,
      });
    }
    for (const origin of [
      'http://127.0.0.1:81',
      'https://127.0.0.1:80',
      'http://evil.example:80',
      'null',
      undefined,
    ]) {
      expect(sharedWithPage(origin, '127.0.0.1', 80), origin).toBeNull();
    }
  });
});
