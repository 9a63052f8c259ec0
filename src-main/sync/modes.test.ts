import * as fs from 'node:fs/promises';
import { expect, test } from 'vitest';
import { show, type Computer } from './test/computers.ts';
import { createLab } from './test/lab.ts';

async function pair(name: string) {
  const made = await createLab(name, ['alice', 'bob']);
  const [alice, bob] = (await made.start()) as [Computer, Computer];
  async function settle(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      for (const one of [alice, bob]) await one.sync.scan();
      await made.network.gossip();
      for (const one of [alice, bob]) await one.sync.settled(AbortSignal.timeout(20_000));
    }
  }
  for (const path of ['kept', 'edited', 'moved', 'gone', 'dir/in', 'dir/sub/deep', 'tool']) {
    await alice.write(path, `${path} of the drive\n`.repeat(400));
  }
  await settle();
  return { made, alice, bob, settle };
}

const texts = (one: Computer): string[] =>
  one.sync.trash
    .list()
    .map((item) => item.path)
    .sort();
const differences = (one: Computer): string[] =>
  one.sync.differences(100).map(({ path, what }) => `${what} ${path}`);

/** Everything a person can do to a folder. */
async function upset(one: Computer): Promise<void> {
  await one.write('added', 'mine');
  await one.write('new/inside', 'mine');
  await one.write('edited', 'edited by me');
  await fs.rename(one.path('moved'), one.path('elsewhere'));
  await fs.rm(one.path('gone'));
  await fs.rm(one.path('dir'), { recursive: true });
  await fs.chmod(one.path('tool'), 0o755);
}

test('a device that only receives signs nothing, shows what differs, and reverts into the trash', async () => {
  const { alice, bob, settle } = await pair('receive');
  await bob.sync.setMode('receive-only');
  const before = await show(alice.folder);
  const heads = alice.drive.heads().length;
  await upset(bob);
  await settle();
  expect(await show(alice.folder)).toEqual(before);
  expect(alice.drive.heads().length).toBe(heads);
  expect(bob.sync.status()).toMatchObject({
    state: 'differs',
    mode: 'receive-only',
    whole: false,
    pendingUp: 0,
  });
  expect(differences(bob)).toEqual([
    'added added',
    'deleted dir',
    'deleted dir/in',
    'deleted dir/sub',
    'deleted dir/sub/deep',
    'changed edited',
    'moved elsewhere',
    'deleted gone',
    'added new',
    'added new/inside',
    'changed tool',
  ]);
  // What others do comes in all the same, but for what stands in its way.
  await alice.write('kept', 'newer');
  await alice.write('fresh', 'fresh');
  await alice.write('edited', 'edited by alice');
  await alice.write('added', 'alice has one too');
  await settle();
  expect(await bob.read('kept')).toBe('newer');
  expect(await bob.read('fresh')).toBe('fresh');
  expect(await bob.read('edited')).toBe('edited by me');
  expect(await bob.read('added')).toBe('mine');
  // It is remembered.
  await bob.restart();
  await settle();
  expect(bob.sync.status()).toMatchObject({ state: 'differs', mode: 'receive-only' });

  await bob.sync.revert();
  await settle();
  expect(bob.sync.status()).toMatchObject({ state: 'in_step', differing: 0, whole: true });
  expect(await show(bob.folder)).toEqual(await show(alice.folder));
  expect(await alice.read('edited')).toBe('edited by alice');
  expect(texts(bob)).toEqual(expect.arrayContaining(['added', 'edited', 'new/inside']));
  await expect(bob.sync.override()).rejects.toMatchObject({ code: 'not_allowed' });
});

test('leaving receive-only signs edits and what was added, and brings back what was deleted', async () => {
  const { alice, bob, settle } = await pair('leaving');
  await bob.sync.setMode('receive-only');
  await upset(bob);
  await settle();
  await bob.sync.setMode('send-receive');
  await settle();
  expect(bob.sync.status()).toMatchObject({ state: 'in_step', mode: 'send-receive' });
  const now = await show(alice.folder);
  expect(now).toEqual(await show(bob.folder));
  const names = now.map((line) => line.split(' ')[0]);
  for (const name of ['gone', 'dir/in', 'dir/sub/deep', 'added', 'new/inside', 'elsewhere', 'kept'])
    expect(names).toContain(name);
  expect(await alice.read('edited')).toBe('edited by me');
});

test('a device that only sends takes nothing in, says what differs, and can override it', async () => {
  const { alice, bob, settle } = await pair('send');
  await alice.sync.setMode('send-only');
  const before = await show(alice.folder);
  await upset(bob);
  await settle();
  expect(await show(alice.folder)).toEqual(before);
  expect(alice.sync.status()).toMatchObject({ state: 'differs', mode: 'send-only', whole: false });
  expect(differences(alice)).toEqual(
    expect.arrayContaining([
      'added added',
      'changed edited',
      'moved moved',
      'deleted gone',
      'deleted dir/in',
    ]),
  );
  await alice.write('sent', 'from alice');
  await settle();
  expect(await bob.read('sent')).toBe('from alice');
  await alice.restart();
  await settle();
  expect(alice.sync.status().state).toBe('differs');
  expect(await bob.read('edited')).toBe('edited by me');

  await alice.sync.override();
  await settle();
  expect(alice.sync.status()).toMatchObject({ state: 'in_step', differing: 0 });
  const now = await show(alice.folder);
  expect(await show(bob.folder)).toEqual(now);
  expect(now).toEqual([...before, 'sent = from alice'].sort());
  // Nothing others made is lost: it is in their trash.
  expect(texts(bob)).toEqual(expect.arrayContaining(['added', 'edited', 'new/inside']));
});

test('leaving send-only takes in what others did', async () => {
  const { alice, bob, settle } = await pair('back');
  await alice.sync.setMode('send-only');
  await upset(bob);
  await settle();
  await alice.sync.setMode('send-receive');
  await settle();
  expect(await show(alice.folder)).toEqual(await show(bob.folder));
  expect(alice.sync.status()).toMatchObject({ state: 'in_step', whole: true });
  await expect(alice.sync.revert()).rejects.toMatchObject({ code: 'not_allowed' });
});
