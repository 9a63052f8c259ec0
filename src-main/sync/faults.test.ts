import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { forgetFolder } from './state/index.ts';
import { show } from './test/computers.ts';
import { createLab, eventually, pair } from './test/lab.ts';

test('a vanished or unmarked folder stops the drive and deletes nothing', async () => {
  const { lab, alice, bob } = await pair('vanished');
  await alice.write('a.txt', 'keep me');
  await lab.settle();
  await fs.rename(alice.folder, `${alice.folder}-away`);
  await expect(alice.sync.scan()).rejects.toMatchObject({ code: 'root_missing' });
  expect(alice.sync.status()).toMatchObject({ state: 'stopped', problems: [{ code: 'root_missing' }] });
  await fs.mkdir(alice.folder);
  await expect(alice.sync.scan()).rejects.toMatchObject({ code: 'root_unmarked' });
  await lab.network.gossip();
  expect(await bob.read('a.txt')).toBe('keep me');
  await fs.rmdir(alice.folder);
  await fs.rename(`${alice.folder}-away`, alice.folder);
  await alice.sync.scan();
  await lab.settle();
  expect(await bob.read('a.txt')).toBe('keep me');
});

test('a folder that is away at a start is waited for, never made anew', async () => {
  const { lab, alice, bob } = await pair('away');
  await alice.write('a.txt', 'keep me');
  await lab.settle();
  await fs.rename(alice.folder, `${alice.folder}-away`);
  await alice.restart();
  expect(alice.sync.status()).toMatchObject({ state: 'stopped', problems: [{ code: 'root_missing' }] });
  await bob.write('b.txt', 'meanwhile');
  await bob.sync.scan();
  await lab.network.gossip();
  await expect(fs.access(alice.folder)).rejects.toThrow();
  // Another disk in its place is not taken for it either.
  await fs.mkdir(alice.folder);
  await expect(alice.sync.scan()).rejects.toMatchObject({ code: 'root_unmarked' });
  await fs.rmdir(alice.folder);
  await fs.rename(`${alice.folder}-away`, alice.folder);
  await lab.settle();
  expect(await bob.read('a.txt')).toBe('keep me');
  expect(await alice.read('b.txt')).toBe('meanwhile');
});

test('a lost folder is brought again from others, and what is left of it is kept', async () => {
  const { lab, alice, bob } = await pair('anew');
  await alice.write('a.txt', 'keep me');
  await alice.write('sub/b.txt', 'and me');
  await lab.settle();
  await alice.sync.stop();
  await fs.rm(alice.folder, { recursive: true });
  await alice.write('left.txt', 'found on the old disk');
  forgetFolder(alice.db, false);
  await alice.restart();
  await lab.settle();
  for (const one of [alice, bob]) {
    expect(await one.read('a.txt')).toBe('keep me');
    expect(await one.read('sub/b.txt')).toBe('and me');
    expect(await one.read('left.txt')).toBe('found on the old disk');
  }
});

test('more than half of a drive deleted at once waits for a person', async () => {
  const { lab, alice, bob } = await pair('mass');
  for (let i = 0; i < 30; i++) await alice.write(`d${i % 3}/f${i}`, `file ${i}`);
  await lab.settle();
  for (const dir of ['d0', 'd1']) await fs.rm(alice.path(dir), { recursive: true });
  await alice.sync.scan();
  await eventually('it waits for a person', () => alice.sync.status().state === 'held');
  expect(alice.sync.status().problems[0]).toMatchObject({ code: 'mass_delete_held' });
  await lab.network.gossip();
  expect((await show(bob.folder)).length).toBe(33);
  await alice.sync.confirm();
  await lab.settle();
  expect((await show(bob.folder)).length).toBe(11);
  expect(bob.sync.trash.list()).toHaveLength(20);
});

test('names with a newline, of 255 bytes, differing by case or Unicode form', async () => {
  const { lab, alice, bob } = await pair('names');
  const long = `${'ü'.repeat(126)}abc`;
  await alice.write('line\nbreak', '1');
  await alice.write(long, '2');
  await alice.write('Case', '3');
  await alice.write('case', '4');
  await alice.write('cafe\u0301', 'decomposed');
  await lab.settle((lines) => lines.map((line) => line.normalize('NFC')));
  const end = await fs.readdir(bob.folder);
  expect(end).toEqual(expect.arrayContaining(['line\nbreak', long, 'Case', 'case', 'caf\u00e9']));
  expect(await fs.readdir(alice.folder)).toContain('cafe\u0301');
  await bob.write('caf\u00e9', 'edited by bob');
  await bob.sync.scan();
  await lab.network.gossip();
  await eventually('the edit is here', async () => (await alice.read('cafe\u0301')) === 'edited by bob');

  await alice.write('caf\u00e9', 'a twin');
  await alice.sync.scan();
  expect(alice.sync.status().problems).toMatchObject([{ code: 'name_unsupported' }]);
  await fs.rm(alice.path('caf\u00e9'));
  const invalid = Buffer.concat([Buffer.from(`${alice.folder}/bad-`), Buffer.from([0xff, 0xfe])]);
  await fs.writeFile(invalid, 'x');
  await alice.sync.scan();
  expect(alice.sync.status().problems).toMatchObject([
    { code: 'name_unsupported', message: expect.stringContaining('not valid UTF-8') },
  ]);
  await fs.rm(invalid);
  await alice.sync.scan();
  expect(alice.sync.status().problems).toEqual([]);
});

test('symlink loops are links like others, and nothing is written through a link', async () => {
  const { lab, alice, bob } = await pair('links');
  const outside = `${lab.root}/outside`;
  await fs.mkdir(outside);
  await fs.symlink('loop-b', alice.path('loop-a'));
  await fs.symlink('loop-a', alice.path('loop-b'));
  await fs.symlink('.', alice.path('self'));
  await alice.write('d/file', 'text');
  await lab.settle();
  expect(await fs.readlink(bob.path('self'))).toBe('.');
  // Bob's folder becomes a link to elsewhere; what alice puts in there must not follow it.
  await fs.rm(bob.path('d'), { recursive: true });
  await fs.symlink(outside, bob.path('d'));
  await alice.write('d/second', 'more');
  await alice.sync.scan();
  await lab.network.gossip();
  await lab.settle();
  expect(await fs.readdir(outside)).toEqual([]);
});

test('pipes are reported, ignored files are left alone and are no deletes', async () => {
  const { lab, alice, bob } = await pair('special');
  await alice.write('keep.log', 'log');
  await alice.write('a.txt', 'a');
  execFileSync('mkfifo', [alice.path('pipe')]);
  await lab.settle();
  expect(alice.sync.status().problems).toMatchObject([{ code: 'unsupported', path: 'pipe' }]);
  await alice.write('.exignore', '*.log\n');
  await alice.write('other.log', 'never');
  await lab.settle((lines) => lines.filter((line) => !line.startsWith('other.log')));
  expect(await show(bob.folder)).toEqual(['.exignore = *.log\n', 'a.txt = a', 'keep.log = log']);
}, 30_000);

test('a file that may not be read is a problem, not a delete', async (context) => {
  if (process.getuid?.() === 0) context.skip(true, 'root may read everything');
  const { lab, alice, bob } = await pair('unreadable');
  await alice.write('a.txt', 'first');
  await lab.settle();
  await alice.write('a.txt', 'second');
  await fs.chmod(alice.path('a.txt'), 0);
  await alice.sync.scan();
  expect(alice.sync.status().problems).toMatchObject([{ code: 'permission_denied' }]);
  expect(await bob.read('a.txt')).toBe('first');
});

test('a read-only file is replaced as its folder allows', async () => {
  const { lab, alice, bob } = await pair('read-only');
  await alice.write('a.txt', 'first');
  await lab.settle();
  await fs.chmod(bob.path('a.txt'), 0o444);
  await bob.sync.scan();
  await alice.write('a.txt', 'second');
  await lab.settle();
  expect(await bob.read('a.txt')).toBe('second');
});

test('a file rewritten ten times while it is being sent ends right', async () => {
  const { lab, alice, bob } = await pair('rewritten');
  lab.network.onBlock = async (block) => {
    await new Promise((done) => setTimeout(done, 20));
    return block;
  };
  for (let i = 1; i <= 10; i++) {
    await alice.write('big.bin', new Uint8Array(900_000 + i).fill(i));
    await new Promise((done) => setTimeout(done, 60));
  }
  await lab.settle();
  expect(await fs.readFile(bob.path('big.bin'))).toEqual(Buffer.alloc(900_010, 10));
  expect((await show(bob.folder)).length).toBe(1);
});

test('a full disk pauses the drive with a clear message and goes on by itself', async (context) => {
  const lab = await createLab('full', ['alice', 'bob']);
  const small = `${lab.root}/small`;
  await fs.mkdir(small);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', small]);
  if (mounted.status !== 0) context.skip(true, 'only root may mount a small disk');
  onTestFinished(async () => void spawnSync('umount', ['-l', small]));
  const alice = await lab.boot(0);
  await alice.sync.start();
  await fs.mkdir(`${small}/bob`);
  await fs.writeFile(`${small}/filler`, new Uint8Array(4_000_000));
  const bob = await lab.boot(1, { folder: `${small}/bob` });
  await bob.sync.start();
  await alice.write('big.bin', new Uint8Array(2_500_000).fill(9));
  await alice.sync.scan();
  await lab.network.gossip();
  await eventually('the disk is full', () =>
    bob.sync.status().problems.some((problem) => problem.code === 'disk_full'),
  );
  expect(await show(bob.folder)).toEqual([]);
  await fs.rm(`${small}/filler`);
  await lab.settle();
  expect((await fs.stat(bob.path('big.bin'))).size).toBe(2_500_000);
  expect(bob.sync.status().problems).toEqual([]);
  await bob.sync.stop();
}, 30_000);

test('one computer alone restores what its own editor overwrote', async () => {
  const lab = await createLab('restore', ['alice']);
  const [alice] = await lab.start();
  if (!alice) throw new Error('no computer');
  await alice.write('big.bin', new Uint8Array(400_000).fill(1));
  await alice.sync.scan();
  await alice.sync.settled();
  const version = alice.drive.tree.resolve('big.bin')?.version ?? '';
  await alice.write('big.bin', new Uint8Array(400_000).fill(2));
  await alice.sync.scan();
  await alice.sync.settled();
  const old = alice.drive.contentOf(version);
  const now = alice.drive.tree.resolve('big.bin');
  if (!old || !now) throw new Error('no version');
  expect(alice.sync.contentState(old)).toBe('here');
  const parts: Uint8Array[] = [];
  for await (const part of alice.sync.readContent(old, { start: 10, end: 300_000 })) parts.push(part);
  expect(Buffer.concat(parts)).toEqual(Buffer.alloc(299_990, 1));
  await alice.drive.commit([{ t: 'put', node: now.id, base: [now.version], content: old }]);
  await alice.sync.settled();
  expect(await fs.readFile(alice.path('big.bin'))).toEqual(Buffer.alloc(400_000, 1));
});

test('a restart goes on where it was, with a download half done and an edit not yet seen', async () => {
  const { lab, alice, bob } = await pair('restart');
  let left = 4;
  lab.network.onBlock = async (block) => {
    if (left-- <= 0) throw new Error('the line is cut');
    return block;
  };
  await alice.write(
    'big.bin',
    new Uint8Array(1_500_000).map((_, i) => i * 31 + (i >>> 17) * 7),
  );
  await alice.sync.scan();
  await lab.network.gossip();
  await eventually('it was cut off', () => left <= 0);
  await bob.sync.stop();
  await bob.write('mine.txt', 'while it was stopped');
  const before = lab.network.counts.blocks;
  lab.network.onBlock = async (block) => block;
  await bob.restart();
  await lab.settle();
  expect(await alice.read('mine.txt')).toBe('while it was stopped');
  expect(await fs.readFile(bob.path('big.bin'))).toEqual(await fs.readFile(alice.path('big.bin')));
  const content = alice.drive.tree.resolve('big.bin')?.content;
  if (content?.kind !== 'file') throw new Error('no file');
  expect(lab.network.counts.blocks - before).toBeLessThan(content.blocks.length);
});

test('a reader keeps in step, and what a reader changes stays with the reader and says so', async () => {
  const lab = await createLab('reader', ['alice', 'bob'], ['owner', 'reader']);
  const [alice, bob] = await lab.start();
  if (!alice || !bob) throw new Error('no computers');
  await alice.write('a.txt', 'one');
  await lab.settle();
  await bob.write('b.txt', 'mine');
  await bob.sync.scan();
  await eventually('he hears that he may not', () =>
    bob.sync.status().problems.some((problem) => problem.code === 'forbidden'),
  );
  await alice.write('a.txt', 'two');
  await alice.sync.scan();
  await lab.network.gossip();
  await eventually('the change is here', async () => (await bob.read('a.txt')) === 'two');
  expect(await show(alice.folder)).toEqual(['a.txt = two']);
  expect(await bob.read('b.txt')).toBe('mine');
});

test('an edit made while a newer version comes in is never overwritten', async () => {
  const { lab, alice, bob } = await pair('never');
  await alice.write('a.bin', new Uint8Array(300_000).fill(1));
  await lab.settle();
  lab.network.onBlock = async (block) => {
    // Just before the last bytes arrive, bob saves his own.
    await bob.write('a.bin', 'bob was here');
    return block;
  };
  await alice.write('a.bin', new Uint8Array(300_000).fill(2));
  await alice.sync.scan();
  await lab.network.gossip();
  await eventually('three entries', async () => (await fs.readdir(alice.folder)).length === 3);
  lab.network.onBlock = async (block) => block;
  await lab.settle();
  const end = await show(alice.folder);
  expect(end).toHaveLength(2);
  expect(end.filter((line) => line.includes('conflict'))).toHaveLength(1);
  expect(end.some((line) => line.endsWith('bob was here'))).toBe(true);
});
