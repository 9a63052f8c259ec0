import { existsSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createRealFs } from './fs/real.ts';
import type { WatcherFactory } from './scan/watcher.ts';
import { show, type Computer } from './test/computers.ts';
import { pair } from './test/lab.ts';

/** A watcher that never tells anything: what a scan does not find stays unseen. */
const silent: WatcherFactory = async () => ({ newFolder() {}, async stop() {} });

async function filledPair(name: string) {
  const { lab, alice, bob } = await pair(name);
  await alice.write('a/one.txt', 'one');
  await alice.write('z/two.txt', 'two');
  await lab.settle();
  return { lab, alice, bob };
}

/** Bob renames a folder; resolves when it has its new name in Alice's folder. */
async function renamedByBob(alice: Computer, bob: Computer, from: string, to: string): Promise<void> {
  const node = bob.drive.tree.resolve(from);
  if (node === null) throw new Error('no such folder');
  await bob.drive.commit([{ t: 'move', node: node.id, parent: node.parent, name: to }]);
  while (!existsSync(alice.path(to))) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Restarts Alice with a watcher that tells only what the test says. @returns says that something happened in a folder */
async function hintedByHand(alice: Computer): Promise<(dir: string) => void> {
  let hint: (dir: string) => void = () => {};
  await alice.restart({
    async watcher(_folder, _kind, events) {
      hint = events.hint;
      return { newFolder() {}, async stop() {} };
    },
  });
  return (dir) => hint(dir);
}

async function signedByAlice(alice: Computer, path: string): Promise<string> {
  await alice.sync.settled(AbortSignal.timeout(10_000));
  const content = alice.drive.tree.resolve(path)?.content;
  return content?.kind === 'file' ? Buffer.from(content.inline ?? []).toString() : 'none';
}

test('an edit is seen although its folder is renamed before a scan gets there', async () => {
  const { alice, bob } = await filledPair('rename-list');
  await alice.sync.stop();
  await alice.write('z/two.txt', 'two, edited');
  let renamed = false;
  const real = createRealFs();
  onTestFinished(() => real.stop());
  await alice.restart({
    watcher: silent,
    fs: {
      ...real,
      async list(path) {
        if (path === alice.path('a') && !renamed) {
          renamed = true;
          await renamedByBob(alice, bob, 'z', 'm');
        }
        return real.list(path);
      },
    },
  });
  expect(await signedByAlice(alice, 'm/two.txt')).toBe('two, edited');
});

test.for([
  ['an edit is seen although its folder is renamed before the file is read', null],
  [
    'what is read at the old path of a renamed folder is not taken for the file that was there',
    'another file',
  ],
] as const)('%s', async ([, another]) => {
  const { lab, alice, bob } = await filledPair(`rename-read ${another === null}`);
  await alice.sync.stop();
  await alice.write('z/two.txt', 'two, edited');
  let renamed = false;
  await alice.restart({
    watcher: silent,
    content: {
      ...lab.content,
      async index(requests, signal) {
        if (!renamed) {
          renamed = true;
          await renamedByBob(alice, bob, 'z', 'm');
          if (another !== null) await alice.write('z/two.txt', another);
        }
        return lab.content.index(requests, signal);
      },
    },
  });
  expect(await signedByAlice(alice, 'm/two.txt')).toBe('two, edited');
});

test('a hint for a folder that is renamed before it is scanned is not lost', async () => {
  const { alice, bob } = await filledPair('rename-hint');
  const hint = await hintedByHand(alice);
  await alice.sync.settled();
  await fs.writeFile(alice.path('z/two.txt'), 'two, edited');
  const renaming = renamedByBob(alice, bob, 'z', 'm');
  // Until the folder has moved, again and again: the last hint comes right before it.
  const timer = setInterval(() => {
    if (existsSync(alice.path('z'))) hint('z');
  }, 1);
  await renaming;
  clearInterval(timer);
  expect(await signedByAlice(alice, 'm/two.txt')).toBe('two, edited');
});

test('a file moved to where no watcher tells of it is told as moved, not as deleted', async () => {
  const { lab, alice, bob } = await filledPair('silent-move');
  const hint = await hintedByHand(alice);
  await alice.sync.settled(AbortSignal.timeout(10_000));
  const node = alice.drive.tree.resolve('a/one.txt')?.id;
  await fs.mkdir(alice.path('z/new'));
  await fs.rename(alice.path('a/one.txt'), alice.path('z/new/one.txt'));
  hint('a');
  while (alice.drive.tree.resolve('a/one.txt') !== null)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(alice.drive.tree.resolve('z/new/one.txt')?.id).toBe(node);
  await lab.settle();
  expect(await bob.read('z/new/one.txt')).toBe('one');
  expect(bob.sync.trash.list()).toEqual([]);
});

for (const [what, act] of [
  ['deletes', 'del'],
  ['replaces', 'put'],
] as const) {
  test(`what is written right before the engine ${what} the file is not taken to the trash`, async () => {
    const { lab, alice, bob } = await filledPair(`late-${act}`);
    const real = createRealFs();
    onTestFinished(() => real.stop());
    let written = false;
    await alice.restart({
      fs: {
        ...real,
        async rename(from, to) {
          if (from === alice.path('a/one.txt') && !written) {
            written = true;
            await fs.writeFile(from, 'written in the last moment');
          }
          return real.rename(from, to);
        },
      },
    });
    await alice.sync.settled(AbortSignal.timeout(10_000));
    if (act === 'del') await fs.rm(bob.path('a/one.txt'));
    else await bob.write('a/one.txt', 'by bob');
    await lab.settle();
    expect(written).toBe(true);
    const shown = await show(bob.folder);
    expect(shown.filter((line) => line.endsWith('= written in the last moment'))).toHaveLength(1);
    expect(shown.filter((line) => line.endsWith('= by bob'))).toHaveLength(act === 'put' ? 1 : 0);
  });
}
