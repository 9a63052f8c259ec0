import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli, startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { differences, readTree, seeded, seededBytes, until } from '../support/trees.ts';

interface Status {
  readonly state: string;
  readonly problems: readonly { readonly code: string; readonly message: string }[];
}

const root = process.getuid?.() === 0 && process.platform === 'linux';
let temp: { dir: string; remove(): Promise<void> };
let a: Daemon;
let b: Daemon;
let driveId: string;
const folder = (side: string): string => path.join(temp.dir, `folder-${side}`);
let mounted = false;

beforeAll(async () => {
  temp = await tempDir('faults');
  await mkdir(folder('a'));
  await mkdir(folder('b'));
  if (root) {
    // A disk of 24 MB under b's folder, that can really be full.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder('b')]);
    mounted = true;
  }
  a = await startDaemon({ data: path.join(temp.dir, 'a'), host: '127.0.0.2' });
  b = await startDaemon({
    data: path.join(temp.dir, 'b'),
    host: '127.0.0.3',
    args: ['--bootstrap', a.ready.addresses[0]!],
  });
  await a.cli('id', 'create');
  const { userId } = await b.cli<{ userId: string }>('id', 'create');
  ({ driveId } = await a.cli<{ driveId: string }>('drive', 'create', 'faults', '--folder', folder('a')));
  const { link } = await a.cli<{ link: string }>('drive', 'share', driveId, userId, '--role', 'editor');
  await b.cli('drive', 'join', link, '--folder', folder('b'));
}, 120_000);

afterAll(async () => {
  await a?.stop();
  await b?.stop();
  if (mounted) execFileSync('umount', [folder('b')]);
  await temp.remove();
});

it.skipIf(!root)(
  'a full disk pauses the drive with a clear message and it goes on by itself, or is skipped where there is no root to mount a small one',
  async () => {
    await writeFile(path.join(folder('b'), 'ballast.local'), Buffer.alloc(14_000_000, 1));
    await b.cli('drive', 'wait', driveId, '--timeout', '60');
    await writeFile(path.join(folder('a'), 'large.bin'), seededBytes(seeded(3), 12_000_000));
    await until('the message', 60_000, async () =>
      (await b.cli<Status>('drive', 'status', driveId)).problems.some(
        (problem) => problem.code === 'disk_full',
      ),
    );
    expect((await readTree(folder('a'))).has('large.bin')).toBe(true);
    await rm(path.join(folder('b'), 'ballast.local'));
    await a.cli('drive', 'wait', driveId, '--timeout', '90');
    expect(differences([await readTree(folder('a')), await readTree(folder('b'))])).toEqual([]);
  },
  240_000,
);

it('a folder that vanishes stops the drive, deletes nothing anywhere, and goes on when it is back', async () => {
  await writeFile(path.join(folder('a'), 'precious.txt'), 'only copy');
  // a's wait looks at its folder first, which b knows nothing of.
  for (const daemon of [a, b]) await daemon.cli('drive', 'wait', driveId, '--timeout', '60');
  await rename(folder('a'), folder('away'));
  await until('the stop', 60_000, async () => {
    await runCli(['--data', a.data, 'drive', 'wait', driveId, '--timeout', '1']);
    return (await a.cli<Status>('drive', 'status', driveId)).state === 'stopped';
  });
  expect((await readTree(folder('b'))).has('precious.txt')).toBe(true);
  await rename(folder('away'), folder('a'));
  await until(
    'going on',
    60_000,
    async () => (await a.cli<Status>('drive', 'status', driveId)).state === 'in_step',
    300,
  );
  expect(differences([await readTree(folder('a')), await readTree(folder('b'))])).toEqual([]);
}, 240_000);

it('a drive that cannot have its folder does not come about, and the folder is free for another try', async () => {
  const before = await a.cli('drive', 'list');
  const create = (at: string) =>
    runCli(['--data', a.data, '--json', 'drive', 'create', 'other', '--folder', at]);
  const code = async (at: string): Promise<unknown> =>
    (JSON.parse((await create(at)).stdout) as { error?: { code: string } }).error?.code;
  if (process.platform === 'linux') expect(await code('/proc')).toBe('permission_denied');
  // Marked by a drive that another data folder knows of.
  const marker = path.join(folder('c'), '.extrachain', 'marker.json');
  await mkdir(path.dirname(marker), { recursive: true });
  await writeFile(marker, '{"v":1,"driveId":"another"}');
  expect(await code(folder('c'))).toBe('folder_in_use');
  expect(await a.cli('drive', 'list')).toEqual(before);
  await rm(marker);
  expect((await create(folder('c'))).code).toBe(0);
  await a.cli('drive', 'leave', 'other');
});

it('a second daemon on one data folder is refused', async () => {
  const second = await runCli(['--data', a.data, '--json', 'daemon', '--no-mdns']);
  expect(second.code).toBe(1);
  expect(JSON.parse(second.stdout)).toMatchObject({ error: { code: 'locked' } });
});

it('SIGTERM in the middle of a transfer ends both within five seconds, and nothing is lost', async () => {
  await writeFile(path.join(folder('a'), 'moving.bin'), seededBytes(seeded(4), 6_000_000));
  await new Promise((resolve) => setTimeout(resolve, 150));
  const start = performance.now();
  expect(await Promise.all([a.stop(), b.stop()])).toEqual([0, 0]);
  expect(performance.now() - start).toBeLessThan(8000);
  a = await startDaemon({ data: a.data, host: '127.0.0.2' });
  b = await startDaemon({ data: b.data, host: '127.0.0.3', args: ['--bootstrap', a.ready.addresses[0]!] });
  await until('both connected', 30_000, async () => (await a.cli<unknown[]>('net', 'peers')).length > 0);
  for (const daemon of [a, b, a]) await daemon.cli('drive', 'wait', driveId, '--timeout', '60');
  expect(differences([await readTree(folder('a')), await readTree(folder('b'))])).toEqual([]);
}, 120_000);
