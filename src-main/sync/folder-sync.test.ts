import * as fs from 'node:fs/promises';
import { expect, test } from 'vitest';
import { show } from './test/computers.ts';
import { pair } from './test/lab.ts';

test('files, folders, links and modes get to the other side, and changes follow', async () => {
  const { lab, alice, bob } = await pair('basics');
  await alice.write('docs/a.txt', 'small');
  await alice.write('docs/deep/er/b.bin', new Uint8Array(700_000).fill(7));
  await alice.write('run.sh', '#!/bin/sh\n');
  await fs.chmod(alice.path('run.sh'), 0o755);
  await fs.symlink('docs/a.txt', alice.path('link'));
  await fs.mkdir(alice.path('empty'));
  await lab.settle();
  expect(await show(bob.folder)).toEqual(await show(alice.folder));
  expect(await show(bob.folder)).toContain('link -> docs/a.txt');
  expect(await show(bob.folder)).toContain('run.sh* = #!/bin/sh\n');
  expect(await show(bob.folder)).toContain('empty/');

  await bob.write('docs/a.txt', 'changed by bob');
  await fs.rename(bob.path('docs'), bob.path('papers'));
  await fs.rm(bob.path('link'));
  const sent = lab.network.counts.bytes;
  await lab.settle();
  expect(await show(alice.folder)).toEqual(await show(bob.folder));
  expect(await alice.read('papers/a.txt')).toBe('changed by bob');
  expect(lab.network.counts.bytes).toBe(sent);
  expect(alice.sync.trash.list().map((item) => [item.path, item.reason])).toContainEqual(['link', 'deleted']);
});

test('a file moved away and another written under its name, both before anybody looks', async () => {
  const { lab, alice, bob } = await pair('backup-save');
  await alice.write('a.txt', 'the first');
  await lab.settle();

  alice.sync.pause();
  await fs.rename(alice.path('a.txt'), alice.path('z.txt'));
  await alice.write('a.txt', 'the second');
  alice.sync.resume();
  await lab.settle();
  for (const one of [alice, bob]) {
    expect(await one.read('z.txt')).toBe('the first');
    expect(await one.read('a.txt')).toBe('the second');
  }
});

test('an executable bit alone comes over as one: the file stays the same file, and nothing lands in the trash', async () => {
  const { lab, alice, bob } = await pair('exec');
  await alice.write('tool', '#!/bin/sh\n'.padEnd(20_000, '# and more\n'));
  await lab.settle();
  const before = await fs.stat(bob.path('tool'));
  const { blocks } = lab.network.counts;
  await fs.chmod(alice.path('tool'), 0o755);
  await lab.settle();
  const after = await fs.stat(bob.path('tool'));
  expect(after.mode & 0o111).toBe((after.mode & 0o444) >> 2);
  expect(after.ino).toBe(before.ino);
  expect(after.mtimeMs).toBe(before.mtimeMs);
  expect(bob.sync.trash.list()).toEqual([]);
  expect(lab.network.counts.blocks).toBe(blocks);
  await fs.chmod(bob.path('tool'), 0o644);
  await lab.settle();
  expect((await fs.stat(alice.path('tool'))).mode & 0o111).toBe(0);
});
