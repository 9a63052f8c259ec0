import * as fs from 'node:fs/promises';
import { expect, test } from 'vitest';
import { tempName } from './plan/rows.ts';
import { show } from './test/computers.ts';
import { pair } from './test/lab.ts';

/**
 * Alice made `docs/a.txt`, Bob deleted it while she was away, and a power cut took back what her database knew of having agreed on
 * it: the chain says that she made it, the database does not.
 */
async function deletedAndForgotten(name: string) {
  const { lab, alice, bob } = await pair(name);
  await alice.write('docs/a.txt', 'by alice');
  await lab.settle();
  await alice.sync.stop();
  await fs.rm(bob.path('docs'), { recursive: true });
  await bob.sync.scan();
  await bob.sync.settled();
  await lab.network.gossip();
  expect(alice.drive.tree.count()).toMatchObject({ files: 0, dirs: 0 });
  alice.db.exec('DELETE FROM sync_synced');
  return { lab, alice, bob };
}

test('a deleted file follows the delete although it was forgotten that it had been agreed on', async () => {
  const { lab, alice, bob } = await deletedAndForgotten('forgotten');
  await alice.restart();
  await lab.settle();
  expect(await show(alice.folder)).toEqual([]);
  expect(await show(bob.folder)).toEqual([]);
  expect(alice.sync.trash.list().map(({ path }) => path)).toEqual(['docs/a.txt']);
});

test('edited meanwhile, it beats the delete', async () => {
  const { lab, alice, bob } = await deletedAndForgotten('forgotten-edited');
  await alice.write('docs/a.txt', 'by alice, edited');
  await alice.restart();
  await lab.settle();
  expect(await bob.read('docs/a.txt')).toBe('by alice, edited');
  expect(await show(bob.folder)).toEqual(await show(alice.folder));
});

test('moved meanwhile, it stays where it was moved', async () => {
  const { lab, alice, bob } = await deletedAndForgotten('forgotten-moved');
  await fs.rename(alice.path('docs/a.txt'), alice.path('b.txt'));
  await alice.restart();
  await lab.settle();
  expect(await bob.read('b.txt')).toBe('by alice');
  expect(await show(bob.folder)).toEqual(await show(alice.folder));
});

test.for([
  ['right after it got it', ''],
  ['and its row was lost as well', 'DELETE FROM sync_local; DELETE FROM sync_synced'],
] as const)(
  'a file left under the name it had for a moment only is neither hidden nor deleted (%s)',
  async ([when, lose]) => {
    const { lab, alice, bob } = await pair(`left-over ${when.length}`);
    await alice.write('docs/a.txt', 'by alice');
    await lab.settle();
    const node = alice.drive.tree.resolve('docs/a.txt');
    await alice.sync.stop();
    // The program ended after the rename and before its database knew of it.
    await fs.rename(alice.path('docs/a.txt'), alice.path('docs', tempName(node?.id ?? '')));
    alice.db.exec(lose);
    await alice.restart();
    await lab.settle();
    for (const one of [alice, bob])
      expect(await show(one.folder)).toEqual(['docs/', 'docs/a.txt = by alice']);
    expect(bob.sync.trash.list()).toEqual([]);
  },
);
