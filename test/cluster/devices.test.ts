import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { readTree, until } from '../support/trees.ts';

let temp: { dir: string; remove(): Promise<void> };
let first: Daemon;
let second: Daemon;
let third: Daemon | undefined;
/** Another user's. */
let other: Daemon | undefined;
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

async function link(device: Daemon): Promise<void> {
  const { code } = await first.cli<{ code: string }>('device', 'invite');
  const joined = await device.cli<{ code: string }>('device', 'join', code);
  await until('the request', 10_000, async () =>
    (await first.cli<{ state: string }[]>('device', 'list')).some((one) => one.state === 'waiting'),
  );
  await first.cli('device', 'approve', joined.code);
  await until(
    'the link',
    20_000,
    async () => (await device.cli<{ userId: string | null }>('status')).userId === userId,
  );
}

afterAll(async () => {
  await first?.stop();
  await second?.stop();
  await third?.stop();
  await other?.stop();
  await temp.remove();
});

describe('a second computer of one user', () => {
  it('is linked by a short code and an approval, without the phrase', async () => {
    await link(second);
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

  it('knows what the user calls people, and what he calls them no more', async () => {
    const names = (device: Daemon) => device.cli<{ userId: string; name: string }[]>('person', 'list');
    await first.cli('person', 'name', userId, 'Myself');
    await until('the name', 20_000, async () => (await names(second))[0]?.name === 'Myself');
    await second.cli('person', 'name', userId);
    await until('it is forgotten', 20_000, async () => (await names(first)).length === 0);
  });

  it('is cut off when it is revoked: new keys for the card and for every drive, also where it only read', async () => {
    third = await startDaemon({
      data: path.join(temp.dir, 'third'),
      host: '127.0.0.5',
      args: ['--bootstrap', first.ready.addresses[0]!],
    });
    other = await startDaemon({
      data: path.join(temp.dir, 'other'),
      host: '127.0.0.6',
      args: ['--bootstrap', first.ready.addresses[0]!],
    });
    await link(third);
    const { link: place } = await first.cli<{ link: string }>('drive', 'link', driveId);
    await third.cli('drive', 'join', place, '--folder', folder('third'));
    // Somebody else's drive, in which the user may only read, on both of his computers.
    await other.cli('id', 'create');
    await mkdir(folder('other'));
    const theirs = await other.cli<{ driveId: string }>(
      'drive',
      'create',
      'Theirs',
      '--folder',
      folder('other'),
    );
    const shared = await other.cli<{ link: string }>(
      'drive',
      'share',
      theirs.driveId,
      userId,
      '--role',
      'reader',
    );
    await first.cli('drive', 'join', shared.link, '--folder', folder('first-theirs'));
    await second.cli('drive', 'join', shared.link, '--folder', folder('second-theirs'));
    await first.cli('drive', 'wait', theirs.driveId, '--timeout', '60');
    await first.cli('drive', 'wait', driveId, '--timeout', '60');

    const before = await first.cli<{ encKey: string; card: string }>('id', 'show');
    const lost = second.ready.peerId;
    await first.cli('device', 'revoke', lost);
    const after = await first.cli<{ encKey: string; card: string }>('id', 'show');
    expect(after.encKey).not.toBe(before.encKey);
    const devices = await first.cli<{ peerId: string; state: string }[]>('device', 'list');
    expect(devices).toContainEqual(expect.objectContaining({ peerId: lost, state: 'revoked' }));

    await writeFile(path.join(folder('first'), 'secret.txt'), 'after the loss');
    await writeFile(path.join(folder('second'), 'late.txt'), 'from the lost computer');
    await writeFile(path.join(folder('other'), 'news.txt'), 'not for the thief');
    const text = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
    await until('the remaining computer', 40_000, async () => {
      return (await text(path.join(folder('third'), 'secret.txt'))) === 'after the loss';
    });
    await until('the drive of somebody else', 40_000, async () => {
      return (await text(path.join(folder('first-theirs'), 'news.txt'))) === 'not for the thief';
    });
    expect((await readTree(folder('second'))).has('secret.txt')).toBe(false);
    expect((await readTree(folder('second-theirs'))).has('news.txt')).toBe(false);
    for (const name of ['first', 'third']) expect((await readTree(folder(name))).has('late.txt')).toBe(false);
    for (const [daemon, drive] of [
      [first, driveId],
      [other, theirs.driveId],
    ] as const) {
      expect((await daemon.cli<{ ok: boolean }>('drive', 'verify', drive)).ok).toBe(true);
    }
  }, 240_000);

  it('is not needed to come back: the phrase alone restores the user', async () => {
    const phrase = path.join(temp.dir, 'my.phrase');
    await first.cli('id', 'backup', '--out', phrase);
    expect((await stat(phrase)).mode & 0o777).toBe(0o600);
    const fresh = await startDaemon({ data: path.join(temp.dir, 'fresh'), host: '127.0.0.4' });
    try {
      const restored = await fresh.cli<{ userId: string }>('id', 'restore', '--phrase-file', phrase);
      expect(restored.userId).toBe(userId);
    } finally {
      await fresh.stop();
    }
  });
});
