import { Readable } from 'node:stream';
import { unzipSync, strFromU8 } from 'fflate';
import { describe, expect, it } from 'vitest';
import type { FileEntry } from '../../src-shared/contract/index.ts';
import { archive } from './archive.ts';

const signal = new AbortController().signal;
const disk: Readonly<Record<string, string | null>> = {
  Trip: null,
  'Trip/Ärger ☂.txt': 'rain',
  'Trip/empty': null,
  'Trip/photos': null,
  'Trip/photos/1.txt': 'one'.repeat(30_000),
  'note.txt': '',
};
const entryOf = (path: string): FileEntry => ({
  path,
  name: path.split('/').at(-1)!,
  kind: disk[path] === null ? 'dir' : 'file',
  size: Buffer.byteLength(disk[path] ?? ''),
  files: null,
  mtime: '2026-11-27T10:00:00.000Z',
  hash: null,
  version: 'v',
  state: 'here',
  conflictOf: null,
  mount: null,
});
const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** One entry a page, so that paging is walked too. */
function files(sizes: Readonly<Record<string, number>> = {}): Parameters<typeof archive>[0] {
  return {
    list({ path, after }) {
      if (typeof disk[path] === 'string') {
        const entry = entryOf(path);
        return { items: [{ ...entry, size: sizes[path] ?? entry.size }], next: null };
      }
      const names = Object.keys(disk)
        .filter((one) => parentOf(one) === path && one !== path)
        .sort();
      const rest = names.filter((one) => after === null || entryOf(one).name > after);
      const [first] = rest;
      if (first === undefined) return { items: [], next: null };
      const entry = entryOf(first);
      return {
        items: [{ ...entry, size: sizes[first] ?? entry.size }],
        next: rest.length > 1 ? entry.name : null,
      };
    },
    read({ path }) {
      const bytes = Buffer.from(disk[path] ?? '');
      return Promise.resolve({
        size: bytes.length,
        bytes: Readable.from([bytes.subarray(0, 5), bytes.subarray(5)]),
      });
    },
  };
}
const all = async (source: { readonly bytes: AsyncIterable<Uint8Array> }) => {
  const parts: Uint8Array[] = [];
  for await (const part of source.bytes) parts.push(part.slice());
  return Buffer.concat(parts);
};

describe('files as one ZIP file', () => {
  it('holds folders with all that is in them, and is as long as was said', async () => {
    const { size, open } = await archive(files(), { drive: 'd', paths: ['Trip', 'note.txt'] }, signal);
    const bytes = await all(await open(0, null, signal));
    expect(bytes.length).toBe(size);
    const found = Object.entries(unzipSync(bytes)).map(([name, one]) => [name, strFromU8(one)]);
    expect(found.sort()).toEqual(
      [
        ['Trip/', ''],
        ['Trip/empty/', ''],
        ['Trip/photos/', ''],
        ['Trip/photos/1.txt', 'one'.repeat(30_000)],
        ['Trip/Ärger ☂.txt', 'rain'],
        ['note.txt', ''],
      ].sort(),
    );
    expect(await all(await open(100, 300, signal))).toEqual(bytes.subarray(100, 300));
    expect(await all(await open(size - 7, null, signal))).toEqual(bytes.subarray(size - 7));
  });

  it('is refused before a byte of it is sent when it is too much, and ends when a file changed', async () => {
    const huge = { 'note.txt': 5e9 };
    await expect(archive(files(huge), { drive: 'd', paths: ['note.txt'] }, signal)).rejects.toMatchObject({
      code: 'too_large',
    });
    const { open } = await archive(
      files({ 'Trip/photos/1.txt': 3 }),
      { drive: 'd', paths: ['Trip'] },
      signal,
    );
    await expect(all(await open(0, null, signal))).rejects.toMatchObject({ code: 'changed_while_reading' });
  });
});
