import * as fs from 'node:fs/promises';
import { expect, test } from 'vitest';
import { AppError } from '../../src-shared/errors.ts';
import { rootNode } from '../drive/index.ts';
import { createRealFs } from './fs/real.ts';
import type { FolderFs } from './fs/types.ts';
import { show, type Computer } from './test/computers.ts';
import { createLab, eventually } from './test/lab.ts';

const never = new AbortController().signal;
/** Larger than what rides in the history. */
const text = (word: string): string => `${word}\n`.repeat(4000);

async function lab(name: string, ...names: string[]) {
  const made = await createLab(name, names);
  const computers = await made.start();
  /** Everybody knows the same and has nothing left to do. */
  async function settle(): Promise<void> {
    for (let round = 0; round < 4; round++) {
      for (const one of computers) await one.sync.scan();
      await made.network.gossip();
      for (const one of computers) await one.sync.settled(AbortSignal.timeout(20_000));
    }
  }
  return { made, computers, settle };
}

function idOf(one: Computer, path: string): string {
  if (path === '') return rootNode;
  const node = one.drive.tree.resolve(path);
  if (node === null) throw new Error(`no ${path}`);
  return node.id;
}
const free = (one: Computer, path: string) => one.sync.online.free(idOf(one, path), never);
const fetch = (one: Computer, path: string) =>
  one.sync.online.fetch(idOf(one, path), AbortSignal.timeout(20_000));
const held = (one: Computer, path: string) => one.sync.online.held(idOf(one, path));
const missing = (one: Computer, path: string) =>
  fs.lstat(one.path(path)).then(
    () => false,
    () => true,
  );

/** All paths the drive shows, sorted. */
function tree(one: Computer, folder = rootNode, prefix = ''): string[] {
  return one.drive.tree
    .children(folder)
    .flatMap((node) => [`${prefix}${node.name}`, ...tree(one, node.id, `${prefix}${node.name}/`)])
    .sort();
}

async function readAll(one: Computer, path: string): Promise<string> {
  const content = one.drive.tree.resolve(path)?.content;
  if (!content) throw new Error(`no ${path}`);
  const parts: Uint8Array[] = [];
  for await (const part of one.sync.readContent(content)) parts.push(part);
  return Buffer.concat(parts).toString();
}

test('a file is freed, read from afar, edited, renamed and deleted by others, and fetched again', async () => {
  const { made, computers, settle } = await lab('free', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('docs/a.txt', text('one'));
  await alice.write('docs/b.txt', text('two'));
  await settle();
  expect(await free(bob, 'docs/a.txt')).toMatchObject({ files: 1, bytes: text('one').length, kept: 0 });
  expect(await missing(bob, 'docs/a.txt')).toBe(true);
  expect(held(bob, 'docs/a.txt')).toBe('online');
  expect(bob.sync.status()).toMatchObject({ files: 2, onlineFiles: 1, whole: false });
  await settle();
  expect(await missing(bob, 'docs/a.txt')).toBe(true);
  expect(alice.drive.tree.resolve('docs/a.txt')).not.toBeNull();
  expect(bob.sync.contentState(bob.drive.tree.resolve('docs/a.txt')!.content!)).toBe('elsewhere');
  expect(await readAll(bob, 'docs/a.txt')).toBe(text('one'));
  expect(await missing(bob, 'docs/a.txt')).toBe(true);

  // An edit by others changes the row and fetches nothing.
  await alice.write('docs/a.txt', text('three'));
  const { blocks } = made.network.counts;
  await settle();
  expect(made.network.counts.blocks).toBe(blocks);
  expect(held(bob, 'docs/a.txt')).toBe('online');
  // So does a rename, of it or of its folder.
  await fs.rename(alice.path('docs'), alice.path('papers'));
  await settle();
  expect(await show(bob.folder)).toEqual([
    'papers/',
    `papers/b.txt = ${(await show(bob.folder))[1]!.split(' = ')[1]}`,
  ]);
  expect(held(bob, 'papers/a.txt')).toBe('online');

  await bob.sync.stop();
  await bob.restart();
  await settle();
  expect(held(bob, 'papers/a.txt')).toBe('online');
  expect(tree(alice)).toEqual(['papers', 'papers/a.txt', 'papers/b.txt']);

  await fetch(bob, 'papers/a.txt');
  expect(await bob.read('papers/a.txt')).toBe(text('three'));
  expect(bob.sync.status()).toMatchObject({ onlineFiles: 0 });
  await settle();
  expect(await show(bob.folder)).toEqual(await show(alice.folder));

  await free(bob, 'papers/a.txt');
  await fs.rm(alice.path('papers/a.txt'));
  await settle();
  expect(tree(bob)).toEqual(['papers', 'papers/b.txt']);
  expect(bob.sync.trash.list()).toEqual([]);
  expect(bob.sync.status()).toMatchObject({ files: 1, onlineFiles: 0, whole: true, problems: [] });
});

test('a whole folder goes and comes, nothing new comes into it meanwhile, and what is made in it stays', async () => {
  const { computers, settle } = await lab('folders', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('photos/2025/a.jpg', text('a'));
  await alice.write('photos/2026/b.jpg', text('b'));
  await alice.write('photos/small.txt', 'small');
  await fs.symlink('small.txt', alice.path('photos/link'));
  await alice.write('other.txt', text('o'));
  await settle();
  expect(await free(bob, 'photos')).toMatchObject({ files: 4, kept: 0 });
  expect((await show(bob.folder)).map((line) => line.split(' ')[0])).toEqual(['other.txt']);
  expect([...bob.sync.online.policies()]).toEqual([[idOf(bob, 'photos'), false]]);
  await alice.write('photos/2026/c.jpg', text('c'));
  await alice.write('photos/2027/d.jpg', text('d'));
  await settle();
  expect((await show(bob.folder)).map((line) => line.split(' ')[0])).toEqual(['other.txt']);
  expect(tree(bob)).toEqual(tree(alice));
  expect(held(bob, 'photos/2027')).toBe('online');

  // A person who makes the folder by hand puts something into it.
  await bob.write('photos/2026/mine.jpg', text('mine'));
  await settle();
  expect(await alice.read('photos/2026/mine.jpg')).toBe(text('mine'));
  expect(held(bob, 'photos/2026')).toBe('here');
  expect(held(bob, 'photos/2026/b.jpg')).toBe('online');

  await fetch(bob, 'photos/2025');
  expect(await bob.read('photos/2025/a.jpg')).toBe(text('a'));
  await alice.write('photos/2025/e.jpg', text('e'));
  await settle();
  expect(await bob.read('photos/2025/e.jpg')).toBe(text('e'));
  await fetch(bob, '');
  await settle();
  expect(await show(bob.folder)).toEqual(await show(alice.folder));
  expect(bob.sync.online.policies().size).toBe(0);
  expect(bob.sync.status().whole).toBe(true);
});

test('what nobody else holds stays, and who holds it is said', async () => {
  const { made, computers, settle } = await lab('refuse', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('a.bin', text('a'));
  await settle();
  await made.network.setOnline('bob', false);
  await expect(free(alice, 'a.bin')).rejects.toMatchObject({
    code: 'too_few_copies',
    message: expect.stringContaining('no other computer that can be reached now holds it'),
  });
  expect(await alice.read('a.bin')).toBe(text('a'));
  // An edit that is not in the history yet.
  await made.network.setOnline('bob', true);
  await settle();
  alice.sync.pause();
  await alice.write('a.bin', text('b'));
  await expect(free(alice, 'a.bin')).rejects.toMatchObject({ code: 'not_allowed' });
  expect(await alice.read('a.bin')).toBe(text('b'));
  alice.sync.resume();
  await settle();
  // Two are wanted, one holds it.
  await bob.restart({ copies: () => 2 });
  await settle();
  await expect(free(bob, 'a.bin')).rejects.toMatchObject({
    code: 'too_few_copies',
    message: expect.stringMatching(/besides this computer only .* can be seen to hold it, and 2 must/),
  });
  // A host counts.
  await bob.restart({ copies: () => 2, hosts: () => 1 });
  await settle();
  expect(await free(bob, 'a.bin')).toMatchObject({ files: 1 });
  // Who has only a placeholder is no holder.
  await expect(free(alice, 'a.bin')).rejects.toMatchObject({ code: 'too_few_copies' });
});

test('computers that free the same files at once never rely on each other in a ring', async () => {
  const { computers, settle } = await lab('ring', 'alice', 'bob', 'cid');
  const [alice] = computers as [Computer];
  const names = Array.from({ length: 12 }, (_, i) => `f${i}`);
  for (const name of names) await alice.write(name, text(name));
  await settle();
  await Promise.all(
    computers.flatMap((one, i) =>
      [...names.slice(i * 4), ...names.slice(0, i * 4)].map((name) => free(one, name).catch(() => {})),
    ),
  );
  for (const name of names) {
    const holders = await Promise.all(computers.map(async (one) => !(await missing(one, name))));
    expect(holders).toContain(true);
  }
  await settle();
  for (const one of computers) await fetch(one, '');
  for (const name of names) for (const one of computers) expect(await one.read(name)).toBe(text(name));
});

test('what turns up in a placeholder’s place never replaces it', async () => {
  const { computers, settle } = await lab('place', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  for (const name of ['same', 'other', 'dir', 'link']) await bob.write(name, text(name));
  await settle();
  // Bob's own, so that he is the author of what he frees.
  for (const name of ['same', 'other', 'dir', 'link']) await free(bob, name);
  await settle();
  await bob.write('same', text('same'));
  await bob.write('other', text('something else'));
  await bob.write('dir/inside', 'x');
  await fs.symlink('nowhere', bob.path('link'));
  await settle();
  expect(held(bob, 'same')).toBe('here');
  const names = tree(alice).filter((name) => name.includes('(conflict '));
  expect(names.map((name) => name.split(' ')[0]).sort()).toEqual(['dir', 'link', 'other']);
  const texts = await Promise.all(
    ['other', names.find((name) => name.startsWith('other'))!].map((name) => alice.read(name)),
  );
  expect(texts.sort()).toEqual([text('other'), text('something else')].sort());
  expect(await alice.read('dir/inside')).toBe('x');
  expect(await alice.read(names.find((name) => name.startsWith('dir'))!)).toBe(text('dir'));
  const two = ['link', names.find((name) => name.startsWith('link'))!];
  const kinds = await Promise.all(
    two.map(async (name) => (await fs.lstat(alice.path(name))).isSymbolicLink()),
  );
  expect(kinds.sort()).toEqual([false, true]);
});

test('deleting a folder deletes what is here of it, and nothing that is not', async () => {
  const { computers, settle } = await lab('rm', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('d/sub/here', text('h'));
  await alice.write('d/sub/far', text('f'));
  await alice.write('d/empty/far', text('g'));
  await alice.write('gone/x', text('x'));
  await settle();
  await free(bob, 'd/sub/far');
  await free(bob, 'd/empty/far');
  await fs.rm(bob.path('d'), { recursive: true });
  await fs.rm(bob.path('gone'), { recursive: true });
  await settle();
  expect(tree(alice)).toEqual(['d', 'd/empty', 'd/empty/far', 'd/sub', 'd/sub/far']);
  expect(await alice.read('d/sub/far')).toBe(text('f'));
  expect(await show(bob.folder)).toEqual([]);
  await fetch(bob, 'd/sub');
  expect(await bob.read('d/sub/far')).toBe(text('f'));
});

/** A file system that stops at its n-th operation of the kind, as a program does that is killed. */
function stopping(at: number): { fs: FolderFs; readonly stopped: boolean } {
  const real = createRealFs();
  let left = at;
  let stopped = false;
  const kinds = new Set(['rename', 'unlink', 'rmdir', 'lstat']);
  const guarded = new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (stopped) throw new Error('the program is gone');
        if (kinds.has(String(name)) && /victim|free-/.test(String(args[0])) && --left === 0) {
          stopped = true;
          throw new Error('the program is gone');
        }
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
  return {
    fs: guarded,
    get stopped() {
      return stopped;
    },
  };
}

test('a program killed at any step of freeing loses and deletes nothing', async () => {
  const { computers, settle } = await lab('killed', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('victims/victim', text('v'));
  await settle();
  let kills = 0;
  for (let at = 1; at < 40; at++) {
    const trap = stopping(at);
    await bob.restart({ fs: trap.fs });
    await free(bob, 'victims').catch(() => {});
    if (trap.stopped) kills += 1;
    await bob.restart({ fs: createRealFs() });
    await settle();
    expect(tree(alice)).toEqual(['victims', 'victims/victim']);
    expect(await alice.read('victims/victim')).toBe(text('v'));
    expect(['here', 'online']).toContain(held(bob, 'victims/victim'));
    await fetch(bob, '');
    expect(await bob.read('victims/victim')).toBe(text('v'));
    await settle();
    expect(bob.sync.status().problems).toEqual([]);
    if (!trap.stopped) break;
  }
  expect(kills).toBeGreaterThan(5);
});

test('an edit between the question and the act is kept', async () => {
  const { computers, settle } = await lab('raced', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('f', text('one'));
  await settle();
  // The answer of the others is late, and meanwhile somebody saves.
  const real = createRealFs();
  let edited = false;
  const late: FolderFs = Object.assign(Object.create(real) as FolderFs, {
    async rename(from: string, to: string) {
      if (to.includes('/free-') && !edited) {
        edited = true;
        await fs.writeFile(from, text('two'));
      }
      return real.rename(from, to);
    },
  });
  await bob.restart({ fs: late });
  await settle();
  await expect(free(bob, 'f')).rejects.toMatchObject({ code: 'not_allowed' });
  expect(edited).toBe(true);
  await settle();
  expect(await alice.read('f')).toBe(text('two'));
  await real.stop();
});

test('what nobody has any more is said to be lost, and its placeholder is neither deleted nor made a file again', async () => {
  const { made, computers, settle } = await lab('lost', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('f', text('precious'));
  await settle();
  await free(alice, 'f');
  // Bob can't give it any more.
  made.network.onBlock = () => Promise.reject(new AppError('bad_hash', 'These are other bytes.'));
  const promise = alice.sync.online.fetch(idOf(alice, 'f'), AbortSignal.timeout(20_000));
  await expect(promise).rejects.toMatchObject({ code: 'unreachable' });
  expect(held(alice, 'f')).toBe('wanted');
  expect(tree(alice)).toEqual(['f']);
  expect(tree(bob)).toEqual(['f']);
  made.network.onBlock = async (block) => block;
  await settle();
  await eventually('it is back', async () => !(await missing(alice, 'f')));
  expect(await alice.read('f')).toBe(text('precious'));
});

test('a drive joined online only brings nothing here, and space is freed from what came first', async () => {
  const { made, computers, settle } = await lab('auto', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  bob.sync.online.setPolicy(rootNode, false);
  await alice.write('a', text('a'));
  await alice.write('d/b', text('b'));
  await settle();
  expect(await show(bob.folder)).toEqual([]);
  expect(made.network.counts.blocks).toBe(0);
  expect(bob.sync.status()).toMatchObject({ state: 'in_step', files: 2, onlineFiles: 2, whole: false });

  await bob.write('c', text('c'));
  await settle();
  expect(await bob.read('c')).toBe(text('c'));
  expect(await bob.sync.online.freeSpace(1, never)).toMatchObject({ files: 1 });
  expect(await show(bob.folder)).toEqual([]);
  // Of two, the one that was here longer; what is not safe elsewhere never.
  await fetch(bob, '');
  await alice.write('later', text('l'));
  await settle();
  expect(await alice.sync.online.freeSpace(1, never)).toMatchObject({ files: 1 });
  expect(held(alice, 'later')).toBe('here');
  await made.network.setOnline('bob', false);
  const before = await show(alice.folder);
  expect(await alice.sync.online.freeSpace(1e9, never)).toMatchObject({ files: 0 });
  expect(await show(alice.folder)).toEqual(before);
});

test('a range of what is not here fetches its blocks only', async () => {
  const { made, computers, settle } = await lab('range', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write(
    'film',
    new Uint8Array(4_000_000).map((_, i) => (i >> 7) % 251),
  );
  await settle();
  await free(bob, 'film');
  const { blocks } = made.network.counts;
  const content = bob.drive.tree.resolve('film')!.content!;
  for await (const part of bob.sync.readContent(content, { start: 2_000_000, end: 2_000_010 })) {
    expect(part.length).toBe(10);
  }
  expect(made.network.counts.blocks - blocks).toBe(1);
});
