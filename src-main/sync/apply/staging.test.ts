import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Computer } from '../test/computers.ts';
import { createLab, pair } from '../test/lab.ts';

const MiB = 1024 * 1024;
const sha = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await fs.readFile(path))
    .digest('hex');
const temps = (computer: Computer): Promise<string[]> => fs.readdir(computer.path('.extrachain', 'tmp'));

test('blocks fetched ahead of their entry are the file: none is fetched twice, nothing is left over', async () => {
  const { lab, alice, bob } = await pair('ahead');
  await alice.write('big.bin', randomBytes(12 * MiB));
  await lab.settle();
  expect(await sha(bob.path('big.bin'))).toBe(await sha(alice.path('big.bin')));
  expect(lab.network.counts.blocks).toBe(96);
  expect(await temps(bob)).toEqual([]);
});

test('a repeated block that was announced once gets to all its places', async () => {
  const { lab, alice, bob } = await pair('repeated');
  const part = randomBytes(2 * MiB);
  await alice.write('big.bin', Buffer.concat([part, part, Buffer.alloc(3 * MiB), part]));
  await lab.settle();
  expect(await sha(bob.path('big.bin'))).toBe(await sha(alice.path('big.bin')));
  // 17 different ones of 72.
  expect(lab.network.counts.blocks).toBe(17);
});

test('a repeated block that is being placed when the entry comes is not fetched again', async () => {
  const { lab, alice, bob } = await pair('meeting');
  let open = (): void => {};
  const entryCame = new Promise<void>((resolve) => (open = resolve));
  await bob.restart({
    content: {
      ...lab.content,
      async place(requests) {
        await entryCame;
        return lab.content.place(requests);
      },
    },
  });
  const part = randomBytes(2 * MiB);
  await alice.write('big.bin', Buffer.concat([part, Buffer.alloc(3 * MiB), part]));
  const settled = lab.settle();
  await expect.poll(() => bob.sync.incoming(1).length, { timeout: 20_000 }).toBe(1);
  // The job takes over what was fetched ahead in its first step.
  await new Promise((resolve) => setTimeout(resolve, 100));
  open();
  await settled;
  expect(await sha(bob.path('big.bin'))).toBe(await sha(alice.path('big.bin')));
  // 17 different ones of 56.
  expect(lab.network.counts.blocks).toBe(17);
});

test('a restart before the entry came goes on with what was fetched ahead, after hashing it again', async () => {
  const { lab, alice, bob } = await pair('crash-early');
  let announcements = 0;
  let restarted = false;
  lab.network.onEarly = async () => {
    if (++announcements !== 8) return;
    // The receiver ends and begins anew in the middle, and one byte of what it had is damaged.
    await expect.poll(() => lab.network.counts.blocks, { timeout: 10_000 }).toBeGreaterThanOrEqual(64);
    await bob.sync.stop();
    const [name] = await temps(bob);
    const file = await fs.open(bob.path('.extrachain', 'tmp', name!), 'r+');
    await file.write(Buffer.from('damage'), 0, 6, 3 * MiB);
    await file.close();
    await bob.restart();
    restarted = true;
  };
  await alice.write('big.bin', randomBytes(12 * MiB));
  await lab.settle();
  expect(await sha(bob.path('big.bin'))).toBe(await sha(alice.path('big.bin')));
  expect(restarted).toBe(true);
  // 96 blocks and the damaged one once more.
  expect(lab.network.counts.blocks).toBe(97);
  expect(await temps(bob)).toEqual([]);
});

test('a file rewritten ten times while it is being sent arrives as it is in the end', async () => {
  const { lab, alice, bob } = await pair('rewritten');
  lab.network.onBlock = async (block) => {
    await new Promise((done) => setTimeout(done, 2));
    return block;
  };
  for (let i = 0; i < 10; i++) {
    await alice.write('big.bin', randomBytes(6 * MiB + i));
    void alice.sync.scan().catch(() => {});
    await new Promise((done) => setTimeout(done, 60));
  }
  await lab.settle();
  expect(await sha(bob.path('big.bin'))).toBe(await sha(alice.path('big.bin')));
  // What was fetched of versions that never got an entry is kept for a while, of the last few.
  const left = await temps(bob);
  expect(left.filter((name) => !name.startsWith('early-'))).toEqual([]);
  expect(left.length).toBeLessThanOrEqual(4);
});

test('a source that vanishes while it is fetched leaves no trace, and a new version is not held up by it', async () => {
  const { lab, alice, bob } = await pair('vanish');
  await lab.network.setOnline('bob', false);
  await alice.write('gone.bin', randomBytes(5 * MiB));
  await alice.sync.scan();
  let blocks = 0;
  lab.network.onBlock = async (block) => {
    if (++blocks === 10) await fs.rm(alice.path('gone.bin'));
    return block;
  };
  await lab.network.setOnline('bob', true);
  await expect.poll(() => blocks, { timeout: 10_000 }).toBeGreaterThanOrEqual(10);
  await alice.write('next.bin', randomBytes(1 * MiB));
  await lab.settle();
  expect(await sha(bob.path('next.bin'))).toBe(await sha(alice.path('next.bin')));
  expect(await fs.readdir(bob.folder)).not.toContain('gone.bin');
  expect(await temps(bob)).toEqual([]);
});

test('what is there of a file that is still coming is served to others', async () => {
  const lab = await createLab('parts', ['alice', 'bob', 'carol']);
  const [alice, bob, carol] = (await lab.start()) as [Computer, Computer, Computer];
  await lab.network.setOnline('bob', false);
  await lab.network.setOnline('carol', false);
  await alice.write('big.bin', randomBytes(8 * MiB));
  await alice.sync.scan();
  // Alice goes when Bob has a part of it: 64 blocks in all.
  lab.network.onBlock = async (block) => {
    if (lab.network.counts.blocks === 20) void lab.network.setOnline('alice', false);
    return block;
  };
  await lab.network.setOnline('bob', true);
  const left = (one: Computer): number => {
    const [flow] = one.sync.incoming(1);
    return flow ? flow.total - flow.done : -1;
  };
  await expect.poll(() => lab.network.counts.blocks).toBeGreaterThanOrEqual(20);
  await expect.poll(() => left(bob)).toBeLessThanOrEqual(44 * 128 * 1024);
  const hers = left(bob);
  expect(hers).toBeGreaterThan(0);
  await lab.network.setOnline('carol', true);
  await expect.poll(() => left(carol), { timeout: 10_000 }).toBe(hers);
  expect(await fs.readdir(bob.folder)).not.toContain('big.bin');
  await lab.network.setOnline('alice', true);
  await lab.settle();
  for (const one of [bob, carol])
    expect(await sha(one.path('big.bin'))).toBe(await sha(alice.path('big.bin')));
  expect(lab.network.counts.blocks).toBe(128);
});
