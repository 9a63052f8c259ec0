import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { readTree, until } from '../support/trees.ts';

let temp: { dir: string; remove(): Promise<void> };
let first: Daemon;
let second: Daemon;
let userId: string;
let driveId: string;
const folder = (name: string): string => path.join(temp.dir, `folder-${name}`);

beforeAll(async () => {
  temp = await tempDir('devices');
  await mkdir(folder('first'));
  first = await startDaemon({ data: path.join(temp.dir, 'first'), host: '127.0.0.2' });
  second = await startDaemon({ data: path.join(temp.dir, 'second'), host: '127.0.0.3' });
  ({ userId } = await first.cli<{ userId: string }>('id', 'create'));
  await writeFile(path.join(folder('first'), 'diary.txt'), 'before');
  ({ driveId } = await first.cli<{ driveId: string }>(
    'drive',
    'create',
    'Diary',
    '--folder',
    folder('first'),
  ));
}, 120_000);

afterAll(async () => {
  await first?.stop();
  await second?.stop();
  await temp.remove();
});

describe('a second computer of one user', () => {
  it('is linked by a short code and an approval, without the phrase', async () => {
    const { code } = await first.cli<{ code: string }>('device', 'invite');
    const joined = await second.cli<{ code: string }>('device', 'join', code);
    await until('the request', 10_000, async () =>
      (await first.cli<{ state: string }[]>('device', 'list')).some((device) => device.state === 'waiting'),
    );
    await first.cli('device', 'approve', joined.code);
    await until(
      'the link',
      20_000,
      async () => (await second.cli<{ userId: string | null }>('status')).userId === userId,
    );
    await expect(
      second.cli('id', 'backup', '--out', path.join(temp.dir, 'none.phrase')),
    ).rejects.toMatchObject({
      code: 'not_allowed',
    });
  });

  it('joins the drives of its user and keeps them in step', async () => {
    const { link } = await first.cli<{ link: string }>('drive', 'link', driveId);
    await second.cli('drive', 'join', link, '--folder', folder('second'));
    await writeFile(path.join(folder('first'), 'more.txt'), 'to both');
    await until('the files', 30_000, async () => {
      const tree = await readTree(folder('second'));
      return tree.has('diary.txt') && tree.has('more.txt');
    });
    await writeFile(path.join(folder('second'), 'back.txt'), 'from the second');
    await until('the way back', 30_000, async () => (await readTree(folder('first'))).has('back.txt'));
    expect(await readFile(path.join(folder('first'), 'back.txt'), 'utf8')).toBe('from the second');
  });

  it('is cut off when it is revoked', async () => {
    const devices = await first.cli<{ peerId: string; current: boolean }[]>('device', 'list');
    const lost = devices.find((device) => !device.current)!;
    await first.cli('device', 'revoke', lost.peerId);
    await writeFile(path.join(folder('first'), 'secret.txt'), 'after the loss');
    await writeFile(path.join(folder('second'), 'late.txt'), 'from the lost computer');
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect((await readTree(folder('second'))).has('secret.txt')).toBe(false);
    expect((await readTree(folder('first'))).has('late.txt')).toBe(false);
    expect((await first.cli<{ ok: boolean }>('drive', 'verify', driveId)).ok).toBe(true);
  });

  it('is not needed to come back: the phrase alone restores the user', async () => {
    const phrase = path.join(temp.dir, 'my.phrase');
    await first.cli('id', 'backup', '--out', phrase);
    expect((await stat(phrase)).mode & 0o777).toBe(0o600);
    const third = await startDaemon({ data: path.join(temp.dir, 'third'), host: '127.0.0.4' });
    try {
      const restored = await third.cli<{ userId: string }>('id', 'restore', '--phrase-file', phrase);
      expect(restored.userId).toBe(userId);
    } finally {
      await third.stop();
    }
  });
});
