import { mkdir, open, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import type { DriveStatus, FileEntry } from '../../src-shared/contract/index.ts';
import { runCli, startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { seeded, seededBytes, until } from '../support/trees.ts';

const preload = pathToFileURL(path.join(import.meta.dirname, '../support/crash-points.ts')).href;
/** Numbered points of one freeing at which the program is killed. */
const points = 2;

let temp: { dir: string; remove(): Promise<void> };
let a: Daemon;
let b: Daemon;
let driveId: string;
let bUser: string;
const folder = (side: string, ...parts: string[]): string => path.join(temp.dir, `folder-${side}`, ...parts);
const photo = seededBytes(seeded(1), 700_000);
const film = seededBytes(seeded(2), 6_000_000);

async function startB(env: NodeJS.ProcessEnv = {}): Promise<void> {
  const args = ['--bootstrap', a.ready.addresses[0]!];
  b = await startDaemon({ data: path.join(temp.dir, 'b'), host: '127.0.0.3', args, env });
}

beforeAll(async () => {
  temp = await tempDir('online');
  await mkdir(folder('a', 'photos'), { recursive: true });
  a = await startDaemon({ data: path.join(temp.dir, 'a'), host: '127.0.0.2' });
  await startB();
  await a.cli('id', 'create');
  const { userId } = await b.cli<{ userId: string }>('id', 'create');
  bUser = userId;
  await writeFile(folder('a', 'photos', 'one.jpg'), photo);
  await writeFile(folder('a', 'film.mp4'), film);
  await writeFile(folder('a', 'note.txt'), 'small');
  const created = await a.cli<{ driveId: string }>('drive', 'create', 'Things', '--folder', folder('a'));
  driveId = created.driveId;
  await b.cli('net', 'ping', a.ready.addresses[0]!);
  await until('A knows B', 10_000, async () =>
    (await a.cli<{ userId: string | null }[]>('net', 'peers')).some((peer) => peer.userId === userId),
  );
  const { link } = await a.cli<{ link: string }>('drive', 'share', driveId, userId, '--role', 'editor');
  await b.cli('drive', 'join', link, '--folder', folder('b'), '--online-only');
}, 180_000);
afterAll(async () => {
  await a?.stop();
  await b?.stop();
  await temp.remove();
});

async function inStep(): Promise<void> {
  await until('both in step with each other', 60_000, async () => {
    const both: DriveStatus[] = [];
    for (const one of [a, b])
      both.push(await one.cli<DriveStatus>('drive', 'wait', driveId, '--timeout', '60'));
    return both[0]!.heads.join() === both[1]!.heads.join();
  });
}
const onDisk = async (side: string, at = ''): Promise<string[]> =>
  (await readdir(folder(side, at))).filter((name) => name !== '.extrachain').sort();
const list = async (one: Daemon, at = ''): Promise<string[]> =>
  (await one.cli<FileEntry[]>('file', 'list', driveId, at)).map(({ name, state }) => `${name} ${state}`);

it('joins online only: everything is listed, nothing is fetched, and what is opened streams', async () => {
  await inStep();
  expect(await onDisk('b')).toEqual([]);
  expect(await list(b)).toEqual(['film.mp4 online', 'note.txt online', 'photos online']);
  const status = await b.cli<DriveStatus>('drive', 'status', driveId);
  expect(status).toMatchObject({ state: 'in_step', files: 3, online: { files: 3 }, copies: 1 });
  expect((await a.cli<DriveStatus>('drive', 'status', driveId)).copies).toBe(1);
  const cat = await runCli(['--data', b.data, 'file', 'cat', driveId, 'note.txt']);
  expect(cat.stdout).toBe('small');
  const { client, close } = await connectToDaemon(b.data);
  try {
    const { url } = await client.files.open({ drive: driveId, path: 'film.mp4' });
    const part = await fetch(url, { headers: { range: 'bytes=5000000-5000099' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(film.subarray(5_000_000, 5_000_100))).toBe(true);
  } finally {
    close();
  }
  expect(await onDisk('b')).toEqual([]);
});

it('does not make a drive of a folder that is not here', async () => {
  await a.cli('drive', 'share', driveId, bUser, '--role', 'manager');
  await inStep();
  const refused = await b.cli('drive', 'share-folder', driveId, 'photos').catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'not_allowed' });
  expect(await list(a)).toEqual(['film.mp4 here', 'note.txt here', 'photos here']);
});

it('frees only what others hold, and says who does', async () => {
  const refused = await a.cli('file', 'free', driveId, 'film.mp4').catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'too_few_copies' });
  expect((refused as Error).message).toContain('no other computer that can be reached now holds it');
  await b.cli('file', 'fetch', driveId, 'photos');
  expect((await readFile(folder('b', 'photos', 'one.jpg'))).equals(photo)).toBe(true);
  expect(await b.cli('drive', 'keeps', driveId)).toEqual([
    { path: '', keep: false },
    { path: 'photos', keep: true },
  ]);
  await inStep();
  // What a program goes on to write to a file without a name would be nowhere; who only reads it does not matter.
  const writer = await open(folder('a', 'photos', 'one.jpg'), 'r+');
  const reader = await open(folder('a', 'photos', 'one.jpg'), 'r');
  const inUse = await a.cli('file', 'free', driveId, 'photos/one.jpg').catch((error: unknown) => error);
  await writer.close();
  expect(inUse).toMatchObject({ code: 'not_allowed' });
  expect(String(inUse)).toContain('open for writing');
  expect(await a.cli('file', 'free', driveId, 'photos/one.jpg')).toMatchObject({
    files: 1,
    bytes: photo.length,
  });
  await reader.close();
  expect(await onDisk('a', 'photos')).toEqual([]);
  expect(await b.cli('file', 'free', driveId, 'photos').catch((error: unknown) => error)).toMatchObject({
    code: 'too_few_copies',
  });
  // Others' edits, renames and deletes of what is not here.
  await writeFile(folder('b', 'photos', 'one.jpg'), photo.subarray(0, 500_000));
  await a.cli('file', 'fetch', driveId, 'photos/one.jpg').catch(() => {});
  await inStep();
  await a.cli('file', 'fetch', driveId, '/');
  expect((await readFile(folder('a', 'photos', 'one.jpg'))).length).toBe(500_000);
  await rm(folder('a', 'film.mp4'));
  await inStep();
  expect(await list(b)).toEqual(['note.txt online', 'photos here']);
});

it('frees by itself while the disk runs low, and only what is safe elsewhere', async () => {
  await b.cli('file', 'fetch', driveId, '/');
  await inStep();
  await b.cli('settings', 'set', 'free.below', String(10 ** 15));
  await until('it was freed', 20_000, async () => (await onDisk('b', 'photos')).length === 0);
  await b.cli('settings', 'set', 'free.below', 'null');
  await a.cli('settings', 'set', 'free.below', String(10 ** 15));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await a.cli('settings', 'set', 'free.below', 'null');
  expect(await onDisk('a', 'photos')).toEqual(['one.jpg']);
}, 60_000);

it(`loses and deletes nothing, killed at any of ${points} points of freeing`, async () => {
  await b.cli('file', 'fetch', driveId, '/');
  for (let i = 0; i < 4; i++)
    await writeFile(folder('a', 'photos', `${i}.jpg`), seededBytes(seeded(10 + i), 300_000));
  await inStep();
  const armed = path.join(temp.dir, 'armed');
  const env = { NODE_OPTIONS: `--import=${preload}`, EXTRACHAIN_CRASH_ARMED: armed };
  const expected = await list(a, 'photos');
  const count = path.join(temp.dir, 'count');
  await b.stop();
  await startB({ ...env, EXTRACHAIN_CRASH_COUNT: count });
  await inStep();
  await writeFile(armed, '');
  await b.cli('file', 'free', driveId, 'photos');
  await until(
    'the points are counted',
    5000,
    async () => Number(await readFile(`${count}.main`, 'utf8')) > 20,
  );
  await rm(armed);
  const total = Number(await readFile(`${count}.main`, 'utf8'));
  expect(await onDisk('b')).toEqual(['note.txt']);
  let killed = 0;
  for (let i = 0; i < points; i++) {
    await b.cli('file', 'fetch', driveId, '/');
    await inStep();
    await b.stop();
    await startB({ ...env, EXTRACHAIN_CRASH_POINT: `main:${1 + Math.floor((i * total) / points)}` });
    await inStep();
    await writeFile(armed, '');
    await b.cli('file', 'free', driveId, 'photos').catch(() => (killed += 1));
    await rm(armed);
    await b.kill();
    await startB();
    await inStep();
    expect(await list(a, 'photos')).toEqual(expected);
    expect((await b.cli<DriveStatus>('drive', 'status', driveId)).problems).toEqual([]);
  }
  expect(killed).toBeGreaterThan(0);
  await b.cli('file', 'fetch', driveId, '/');
  await inStep();
  for (const name of await onDisk('a', 'photos')) {
    const [one, other] = [
      await readFile(folder('a', 'photos', name)),
      await readFile(folder('b', 'photos', name)),
    ];
    expect(one.equals(other)).toBe(true);
  }
  expect(await b.cli('drive', 'verify', driveId)).toMatchObject({ ok: true });
}, 120_000);

it('a device that only receives keeps its changes to itself until they are undone; one that only sends takes nothing in', async () => {
  await a.cli('file', 'fetch', driveId, '/');
  await b.cli('file', 'fetch', driveId, '/');
  await b.cli('drive', 'mode', driveId, 'receive-only');
  await writeFile(folder('b', 'note.txt'), 'changed on b');
  await inStep();
  expect(await readFile(folder('a', 'note.txt'), 'utf8')).toBe('small');
  expect(await b.cli('drive', 'mode', driveId)).toEqual({
    mode: 'receive-only',
    differing: 1,
    differences: [{ path: 'note.txt', what: 'changed' }],
  });
  expect((await b.cli<DriveStatus>('drive', 'status', driveId)).state).toBe('differs');
  await b.cli('drive', 'revert', driveId);
  await inStep();
  expect(await readFile(folder('b', 'note.txt'), 'utf8')).toBe('small');
  await b.cli('drive', 'mode', driveId, 'send-receive');
  await a.cli('drive', 'mode', driveId, 'send-only');
  await writeFile(folder('b', 'note.txt'), 'changed again');
  await inStep();
  expect(await readFile(folder('a', 'note.txt'), 'utf8')).toBe('small');
  await a.cli('drive', 'override', driveId);
  await inStep();
  expect(await readFile(folder('b', 'note.txt'), 'utf8')).toBe('small');
  await a.cli('drive', 'mode', driveId, 'send-receive');
}, 60_000);
