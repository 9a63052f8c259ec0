import { expect, test } from 'vitest';
import { createListings } from './listings.ts';

const never = new AbortController().signal;

function folders() {
  const mtimes = new Map<string, bigint>();
  const now = { ms: 1_000_000 };
  const stat = (mtimeNs: bigint) => ({
    ino: 1n,
    dev: 1n,
    size: 0,
    mtimeNs,
    ctimeNs: mtimeNs,
    mode: 0o755,
    type: 'dir' as const,
    birthNs: 0n,
  });
  const listings = createListings({
    stat: async (id) => (mtimes.has(id) ? stat(mtimes.get(id) ?? 0n) : null),
    known: (id) => mtimes.has(id),
    wallNow: () => now.ms,
  });
  return {
    now,
    mtimes,
    touch: (id: string) => void mtimes.set(id, BigInt(now.ms) * 1_000_000n),
    list: (id: string) => listings.note(id, stat(mtimes.get(id) ?? 0n)),
    changed: async () => {
      const found: string[] = [];
      for await (const id of listings.changed(never)) found.push(id);
      return found;
    },
  };
}

test('tells folders whose time is another one than when they were listed, until they are listed again', async () => {
  const { now, touch, list, changed } = folders();
  for (const id of ['a', 'b', 'c']) touch(id);
  now.ms += 5000;
  for (const id of ['a', 'b', 'c']) list(id);
  expect(await changed()).toEqual([]);
  touch('b');
  expect(await changed()).toEqual(['b']);
  now.ms += 5000;
  list('b');
  expect(await changed()).toEqual([]);
});

test('a folder that changed right before it was listed may change again without its time telling', async () => {
  const { now, touch, list, changed } = folders();
  touch('a');
  now.ms += 20;
  list('a');
  expect(await changed()).toEqual(['a']);
  now.ms += 1000;
  list('a');
  expect(await changed()).toEqual([]);
});

test('forgets folders that are gone', async () => {
  const { mtimes, touch, list, changed } = folders();
  touch('a');
  list('a');
  mtimes.delete('a');
  expect(await changed()).toEqual([]);
});
