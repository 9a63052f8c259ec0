import * as fs from 'node:fs/promises';
import { expect, test } from 'vitest';
import { show, type Computer } from './test/computers.ts';
import { createLab, eventually } from './test/lab.ts';

/** Retains no versions, so that what an editor overwrites is gone. */
const forgetful = { options: { versionsShare: 0, versionsBytes: 0 } };

async function lab(name: string, ...names: string[]) {
  const made = await createLab(name, names);
  const computers: Computer[] = [];
  for (let i = 0; i < names.length; i++) {
    const one = await made.boot(i, forgetful);
    await one.sync.start();
    computers.push(one);
  }
  return { made, computers };
}

/** Larger than what rides in the history. */
const text = (word: string): string => `${word}\n`.repeat(4000);

/** Alice deletes `f`, and Bob, who does not hear of it, moves it to `g`. Resolves when both is signed. */
async function deletedAndMoved(alice: Computer, bob: Computer): Promise<void> {
  await fs.rm(alice.path('f'));
  await alice.sync.scan();
  await eventually('the delete is signed', () => alice.drive.tree.resolve('f') === null);
  await fs.rename(bob.path('f'), bob.path('g'));
  await bob.sync.scan();
  await eventually('the move is signed', () => bob.drive.tree.resolve('g') !== null);
}

/**
 * Alice and Bob share `f`. Apart, Alice overwrites it, has that signed, and deletes it; Bob moves the old one. So the drive shows,
 * at the new place, a version that nobody has.
 */
async function lose(
  made: Awaited<ReturnType<typeof lab>>['made'],
  alice: Computer,
  bob: Computer,
): Promise<void> {
  await alice.write('f', text('old'));
  await made.settle();
  await made.network.setOnline(alice.name, false);
  await alice.write('f', text('new'));
  await alice.sync.scan();
  await eventually('the edit is signed', () => alice.drive.versions('f').length === 2);
  await deletedAndMoved(alice, bob);
}

test('a version that nobody has gives way to the newest one that exists, wherever that is', async () => {
  const { made, computers } = await lab('gives-way', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await lose(made, alice, bob);
  const told: string[] = [];
  alice.sync.on('problem', (error) => told.push(error.code));
  await made.network.setOnline('alice', true);
  await made.settle();
  expect(await show(alice.folder)).toEqual(await show(bob.folder));
  expect(await bob.read('g')).toBe(text('old'));
  expect(told).toContain('content_lost');
  for (const one of computers) {
    const states = one.drive
      .versions('g')
      .map(({ op, content }) => `${op} ${content ? one.sync.contentState(content) : '-'}`);
    expect(states).toContain('change lost');
    expect(one.sync.status().problems).toEqual([]);
    expect(one.sync.trash.list()).toEqual([]);
  }
});

test('nothing is decided while a storage host is away: it may have the version', async () => {
  const made = await createLab('host-away', ['alice', 'bob']);
  let isAway = true;
  const alice = await made.boot(0, { ...forgetful, hostAway: () => isAway });
  const bob = await made.boot(1, forgetful);
  for (const one of [alice, bob]) await one.sync.start();
  await lose(made, alice, bob);
  await made.network.setOnline('alice', true);
  const problems = (): string[] => alice.sync.status().problems.map(({ code }) => code);
  await eventually('the loss shows', () => problems().includes('content_lost'));
  await eventually('nothing waits', () => alice.sync.status().state === 'in_step');
  const undecided = alice.drive.versions('g').length;
  const lost = alice.drive.tree.resolve('g')!.version;
  expect(await fs.readdir(alice.folder)).toEqual(['.extrachain']);
  isAway = false;
  await made.settle();
  expect(alice.drive.versions('g')).toHaveLength(undecided + 1);
  expect(alice.drive.tree.resolve('g')!.version).not.toBe(lost);
  expect(await alice.read('g')).toBe(text('old'));
  expect(problems()).toEqual([]);
});

test('nothing is decided while a device that takes part is away, and nothing waits for it; then it brings the version', async () => {
  const { made, computers } = await lab('away', 'alice', 'bob', 'cid');
  const [alice, bob, cid] = computers as [Computer, Computer, Computer];
  await alice.write('f', text('old'));
  await made.settle();
  await made.network.setOnline('bob', false);
  await alice.write('f', text('new'));
  await made.network.gossip();
  // Read while it is replaced, it is not there for a moment.
  await eventually('cid has it', async () => (await cid.read('f').catch(() => '')) === text('new'));
  await eventually('cid is at rest', () => cid.sync.status().state === 'in_step');
  await made.network.setOnline('cid', false);
  await deletedAndMoved(alice, bob);
  await made.network.setOnline('bob', true);
  const lacks = (one: Computer): boolean =>
    one.sync.status().problems.some(({ code, path }) => code === 'content_lost' && path === 'g');
  await eventually('the loss shows', () => lacks(alice) && lacks(bob));
  await eventually('nothing waits', () => [alice, bob].every((one) => one.sync.status().state === 'in_step'));
  expect(await bob.read('g')).toBe(text('old'));
  await made.network.setOnline('cid', true);
  await made.settle();
  for (const one of computers) {
    expect(await one.read('g')).toBe(text('new'));
    expect(one.sync.status().problems).toEqual([]);
  }
});

test('who wrote the version is away: it is waited for', async () => {
  const { made, computers } = await lab('author-away', 'alice', 'bob');
  const [alice, bob] = computers as [Computer, Computer];
  await alice.write('f', text('old'));
  await made.settle();
  const { id, version, content } = alice.drive.tree.resolve('f')!;
  if (content?.kind !== 'file') throw new Error('no file');
  await alice.sync.stop();
  // Its block exists nowhere.
  const plainHash = new Uint8Array(32).fill(7);
  const block = { ...content.blocks[0]!, id: new Uint8Array(32).fill(9), plainHash };
  const lost = { ...content, hash: plainHash, blocks: [block] };
  await alice.drive.commit([{ t: 'put', node: id, base: [version], content: lost }]);
  await made.network.gossip();
  await made.network.setOnline('alice', false);
  await eventually('it waits', () => bob.sync.status().state === 'waiting');
  expect(await bob.read('f')).toBe(text('old'));
  expect(bob.sync.status().problems).toEqual([]);
});
