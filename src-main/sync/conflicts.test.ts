import * as fs from 'node:fs/promises';
import { expect, test } from 'vitest';
import { show, type Computer } from './test/computers.ts';
import { createLab, pair } from './test/lab.ts';

/** Both have the files of `before`, then change them while they are apart, then meet again. */
async function apart(
  name: string,
  before: Readonly<Record<string, string>>,
  alices: (alice: Computer) => Promise<unknown>,
  bobs: (bob: Computer) => Promise<unknown>,
): Promise<string[]> {
  const { lab, alice, bob } = await pair(name);
  for (const [path, text] of Object.entries(before)) await alice.write(path, text);
  await lab.settle();
  await lab.network.setOnline('bob', false);
  await alices(alice);
  await bobs(bob);
  await alice.sync.scan();
  await bob.sync.scan();
  await lab.network.setOnline('bob', true);
  await lab.settle();
  const end = await show(alice.folder);
  expect(await show(bob.folder)).toEqual(end);
  return end.map((line) => line.replace(/conflict \d{4}-\d\d-\d\d \d{4} \w+/, 'conflict'));
}

test('edit and edit: one keeps the name, the other is a conflict copy', async () => {
  const end = await apart(
    'edit-edit',
    { 'a.txt': 'old' },
    (alice) => alice.write('a.txt', 'from alice'),
    (bob) => bob.write('a.txt', 'from bob'),
  );
  expect(end.map((line) => line.split(' = ')[0]).sort()).toEqual(['a (conflict).txt', 'a.txt']);
  expect(end.map((line) => line.split(' = ')[1]).sort()).toEqual(['from alice', 'from bob']);
});

test('the same edit on both sides is no conflict', async () => {
  const end = await apart(
    'same-edit',
    { 'a.txt': 'old' },
    (alice) => alice.write('a.txt', 'equal'),
    (bob) => bob.write('a.txt', 'equal'),
  );
  expect(end).toEqual(['a.txt = equal']);
});

test('edit beats delete', async () => {
  const end = await apart(
    'edit-delete',
    { 'd/a.txt': 'old', 'd/b.txt': 'gone' },
    (alice) => alice.write('d/a.txt', 'edited'),
    (bob) => fs.rm(bob.path('d'), { recursive: true }),
  );
  expect(end).toEqual(['d/', 'd/a.txt = edited']);
});

test('move and move: one place wins, nothing is doubled', async () => {
  const end = await apart(
    'move-move',
    { 'a.txt': 'text' },
    (alice) => fs.rename(alice.path('a.txt'), alice.path('b.txt')),
    (bob) => fs.rename(bob.path('a.txt'), bob.path('c.txt')),
  );
  expect(end).toHaveLength(1);
  expect(['b.txt = text', 'c.txt = text']).toContain(end[0]);
});

test('move and edit both hold', async () => {
  const end = await apart(
    'move-edit',
    { 'd/a.txt': 'text' },
    (alice) => fs.rename(alice.path('d'), alice.path('e')),
    (bob) => bob.write('d/a.txt', 'edited'),
  );
  expect(end).toEqual(['e/', 'e/a.txt = edited']);
});

test('folders moved into one another end without a ring', async () => {
  const end = await apart(
    'ring',
    { 'a/1.txt': 'one', 'b/2.txt': 'two' },
    (alice) => fs.rename(alice.path('a'), alice.path('b/a')),
    (bob) => fs.rename(bob.path('b'), bob.path('a/b')),
  );
  expect(
    end
      .filter((line) => line.includes(' = '))
      .map((line) => line.split(' = ')[1])
      .sort(),
  ).toEqual(['one', 'two']);
});

test('a file and a folder of one name: both stay, the folder keeps the name', async () => {
  const end = await apart(
    'file-folder',
    {},
    (alice) => alice.write('x', 'a file'),
    (bob) => bob.write('x/inside.txt', 'in a folder'),
  );
  expect(end).toEqual(['x (conflict) = a file', 'x/', 'x/inside.txt = in a folder']);
});

test('a file becomes a folder on one side while the other edits it', async () => {
  const end = await apart(
    'swap',
    { x: 'old' },
    async (alice) => {
      await fs.rm(alice.path('x'));
      await alice.write('x/inside.txt', 'in a folder');
    },
    (bob) => bob.write('x', 'edited'),
  );
  expect(
    end
      .map((line) => line.split(' = ')[1] ?? '')
      .filter(Boolean)
      .sort(),
  ).toEqual(['edited', 'in a folder']);
});

test('deleted here and made again there', async () => {
  const end = await apart(
    'recreate',
    { 'a.txt': 'old' },
    (alice) => fs.rm(alice.path('a.txt')),
    async (bob) => {
      await fs.rm(bob.path('a.txt'));
      await bob.write('a.txt', 'new');
    },
  );
  expect(end).toEqual(['a.txt = new']);
});

test('both make a folder of one name: the folders merge', async () => {
  const end = await apart(
    'merge',
    {},
    async (alice) => {
      await alice.write('both/a.txt', 'a');
      await alice.write('both/same.txt', 's');
    },
    async (bob) => {
      await bob.write('both/b.txt', 'b');
      await bob.write('both/same.txt', 's');
    },
  );
  expect(end).toEqual(['both/', 'both/a.txt = a', 'both/b.txt = b', 'both/same.txt = s']);
});

test('names exchanged on one side arrive as they are', async () => {
  const end = await apart(
    'exchange',
    { a: 'one', b: 'two', 'd/x': 'three', 'e/x': 'four' },
    async (alice) => {
      await fs.rename(alice.path('a'), alice.path('t'));
      await fs.rename(alice.path('b'), alice.path('a'));
      await fs.rename(alice.path('t'), alice.path('b'));
      await fs.rename(alice.path('d'), alice.path('t'));
      await fs.rename(alice.path('e'), alice.path('d'));
      await fs.rename(alice.path('t'), alice.path('e'));
    },
    async () => {},
  );
  expect(end).toEqual(['a = two', 'b = one', 'd/', 'd/x = four', 'e/', 'e/x = three']);
});

test('joining with a folder that holds most files already moves only the rest, without conflicts', async () => {
  const lab = await createLab('join', ['alice', 'bob']);
  const alice = await lab.boot(0);
  const bob = await lab.boot(1);
  const big = new Uint8Array(300_000).map((_, i) => i * 7);
  for (const one of [alice, bob]) {
    await one.write('d/same.txt', 'the same');
    await one.write('d/big.bin', big);
  }
  await alice.write('d/differs.txt', 'alice');
  await bob.write('d/differs.txt', 'bob');
  await alice.write('only-alice.bin', new Uint8Array(200_000).fill(3));
  await bob.write('only-bob.txt', 'mine');
  await alice.sync.start();
  await alice.sync.settled();
  await bob.sync.start();
  await lab.settle();
  const end = await show(alice.folder);
  expect(end).toHaveLength(7);
  expect(end.filter((line) => line.includes('conflict'))).toHaveLength(1);
  // The padded blocks of the one large file that bob lacked, nothing of what he had.
  expect(lab.network.counts.bytes).toBeLessThan(280_000);
});
