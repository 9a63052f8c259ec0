import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { seeded, seededBytes, until } from '../support/trees.ts';

let temp: { dir: string; remove(): Promise<void> };
/** Owner and editor of a drive, and somebody who is to see one folder of it only. */
let alice: Daemon;
let bob: Daemon;
let zoe: Daemon;
const ids: Record<string, string> = {};
const folder = (name: string, ...parts: string[]): string => path.join(temp.dir, `folder-${name}`, ...parts);
const read = (name: string, ...parts: string[]): Promise<string> => readFile(folder(name, ...parts), 'utf8');
const write = async (name: string, file: string, text: string | Uint8Array): Promise<void> => {
  await mkdir(path.dirname(folder(name, file)), { recursive: true });
  await writeFile(folder(name, file), text);
};
const boot = (name: string, n: number, others: readonly Daemon[]): Promise<Daemon> =>
  startDaemon({
    data: path.join(temp.dir, name),
    host: `127.0.0.${n}`,
    args: others.flatMap((other) => ['--bootstrap', other.ready.addresses[0]!]),
  });
const wait = (daemon: Daemon, drive: string): Promise<unknown> =>
  daemon.cli('drive', 'wait', drive, '--timeout', '60');
const has = (name: string, file: string, text: string) => async (): Promise<boolean> =>
  existsSync(folder(name, file)) && (await read(name, file)) === text;

/** Names of all files of a folder, the engines' own left out. */
async function files(name: string, inside = ''): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder(name, inside), { withFileTypes: true })) {
    if (entry.name === '.extrachain') continue;
    const at = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await files(name, at)));
    else found.push(at);
  }
  return found.sort();
}

interface Listed {
  readonly driveId: string;
  readonly name: string;
  readonly folder: string;
  readonly state: string;
  readonly mount: { readonly drive: string; readonly path: string } | null;
}
const listed = async (daemon: Daemon, driveId: string): Promise<Listed | undefined> =>
  (await daemon.cli<Listed[]>('drive', 'list')).find((one) => one.driveId === driveId);

let parent: string;
let trip: string;
const photo = seededBytes(seeded(3), 3_000_000);

beforeAll(async () => {
  temp = await tempDir('mounts');
  alice = await boot('alice', 2, []);
  bob = await boot('bob', 3, [alice]);
  zoe = await boot('zoe', 4, [alice]);
  for (const [name, daemon] of Object.entries({ alice, bob, zoe })) {
    ids[name] = (await daemon.cli<{ userId: string }>('id', 'create')).userId;
  }
  await write('alice', 'plan.txt', 'the plan');
  await write('alice', 'Trip/notes.txt', 'notes');
  await write('alice', 'Trip/day 1/photo.raw', photo);
  await write('alice', 'Trip/day 1/list.txt', 'list');
  await write('alice', '.exignore', '*.log\n');
  await write('alice', 'Trip/private.log', 'not for anybody');
  const made = await alice.cli<{ driveId: string }>('drive', 'create', 'Team', '--folder', folder('alice'));
  parent = made.driveId;
  const { link } = await alice.cli<{ link: string }>('drive', 'share', parent, ids.bob!, '--role', 'editor');
  await bob.cli('drive', 'join', link, '--folder', folder('bob'));
  await wait(bob, parent);
}, 180_000);

afterAll(async () => {
  await Promise.all([alice, bob, zoe].map((daemon) => daemon?.stop()));
  await temp.remove();
});

describe('a folder shared as a drive of its own', () => {
  it(
    'stays where it is on everybody’s disk, while somebody who was offline has changed it',
    { timeout: 120_000 },
    async () => {
      const before = await stat(folder('bob', 'Trip/day 1/photo.raw'), { bigint: true });
      await bob.stop();
      await write('bob', 'Trip/notes.txt', 'notes, and Bob’s');
      await write('bob', 'Trip/bob.txt', 'new of Bob');
      await rename(folder('bob', 'Trip/day 1/list.txt'), folder('bob', 'Trip/day 1/things.txt'));
      const made = await alice.cli<{ driveId: string; link: string }>(
        ...['drive', 'share-folder', 'Team', 'Trip', ids.zoe!, '--role', 'editor'],
      );
      trip = made.driveId;
      expect(await listed(alice, trip)).toMatchObject({
        name: 'Trip',
        folder: folder('alice', 'Trip'),
        mount: { drive: parent, path: 'Trip' },
      });
      expect(await alice.cli('file', 'list', 'Team')).toContainEqual(
        expect.objectContaining({ path: 'Trip', mount: trip }),
      );
      bob = await boot('bob', 3, [alice]);
      await until('the drive at Bob’s', 60_000, async () => (await listed(bob, trip)) !== undefined);
      await wait(bob, trip);
      await until('Bob’s changes', 30_000, has('alice', 'Trip/notes.txt', 'notes, and Bob’s'));
      await wait(alice, trip);
      const all = ['Trip/bob.txt', 'Trip/day 1/photo.raw', 'Trip/day 1/things.txt', 'Trip/notes.txt'];
      expect(await files('bob')).toEqual(['.exignore', ...all, 'plan.txt']);
      expect(await files('alice')).toEqual(['.exignore', ...all, 'Trip/private.log', 'plan.txt'].sort());
      const after = await stat(folder('bob', 'Trip/day 1/photo.raw'), { bigint: true });
      expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
      // Nothing went into a trash, nothing conflicts.
      for (const daemon of [alice, bob]) {
        expect(await daemon.cli('drive', 'status', trip)).toMatchObject({ conflicts: 0, problems: [] });
        expect(await daemon.cli('trash', 'list', parent)).toEqual([]);
      }
    },
  );

  it(
    'is all that somebody invited to it alone sees; an ignored file is not let out by it',
    { timeout: 60_000 },
    async () => {
      await zoe.cli('drive', 'join', trip, '--folder', folder('zoe'));
      await wait(zoe, trip);
      expect(await files('zoe')).toEqual(['bob.txt', 'day 1/photo.raw', 'day 1/things.txt', 'notes.txt']);
      await write('zoe', 'zoe.txt', 'of Zoe');
      await wait(zoe, trip);
      await until('Zoe’s file', 30_000, has('bob', 'Trip/zoe.txt', 'of Zoe'));
      await expect(zoe.cli('drive', 'join', parent, '--folder', folder('zoe-parent'))).rejects.toMatchObject({
        code: 'forbidden',
      });
    },
  );

  it(
    'moves with its folder, and a file moved over its edge is a copy and a delete',
    { timeout: 90_000 },
    async () => {
      await rename(folder('bob', 'Trip'), folder('bob', 'Holiday'));
      await until('the folder at Alice’s', 30_000, has('alice', 'Holiday/zoe.txt', 'of Zoe'));
      await until('the place at Alice’s', 30_000, async () => {
        const one = await listed(alice, trip);
        return one?.folder === folder('alice', 'Holiday') && one.state === 'in_step';
      });
      await until('the place at Bob’s', 30_000, async () => {
        const one = await listed(bob, trip);
        return one?.folder === folder('bob', 'Holiday') && one.state === 'in_step';
      });
      await rename(folder('alice', 'plan.txt'), folder('alice', 'Holiday/plan.txt'));
      await rename(folder('alice', 'Holiday/bob.txt'), folder('alice', 'bob.txt'));
      await until('the plan at Zoe’s', 30_000, has('zoe', 'plan.txt', 'the plan'));
      await until('the plan at Bob’s', 30_000, has('bob', 'Holiday/plan.txt', 'the plan'));
      await until('the file outside at Bob’s', 30_000, has('bob', 'bob.txt', 'new of Bob'));
      await until('it gone at Zoe’s', 30_000, async () => !existsSync(folder('zoe', 'bob.txt')));
      await wait(bob, parent);
      expect(existsSync(folder('bob', 'plan.txt'))).toBe(false);
      expect(existsSync(folder('bob', 'Holiday/bob.txt'))).toBe(false);
    },
  );

  it('is not deleted with its folder', { timeout: 60_000 }, async () => {
    await expect(alice.cli('file', 'list', 'Team', 'Holiday')).resolves.toHaveLength(4);
    await bob.stop();
    await rm(folder('bob', 'Holiday'), { recursive: true });
    bob = await boot('bob', 3, [alice]);
    await until('Bob’s problem', 30_000, async () => {
      const one = await listed(bob, trip);
      return one?.state === 'stopped';
    });
    expect(await read('alice', 'Holiday/zoe.txt')).toBe('of Zoe');
    // Left and joined again in its place it comes back.
    await bob.cli('drive', 'leave', trip);
    await bob.cli('drive', 'join', trip, '--folder', folder('bob', 'Holiday'));
    await wait(bob, trip);
    expect(await read('bob', 'Holiday/zoe.txt')).toBe('of Zoe');
  });

  it(
    'becomes an ordinary folder again without losing what was done in it',
    { timeout: 120_000 },
    async () => {
      await write('alice', 'Holiday/late.txt', 'late');
      await rm(folder('alice', 'Holiday/day 1/things.txt'));
      await wait(alice, trip);
      await until('the late file', 30_000, has('bob', 'Holiday/late.txt', 'late'));
      await bob.stop();
      await write('bob', 'Holiday/notes.txt', 'notes of the last minute');
      await alice.cli('drive', 'unshare-folder', 'Team', 'Holiday');
      expect(await listed(alice, trip)).toBeUndefined();
      bob = await boot('bob', 3, [alice]);
      await until('the end at Bob’s', 60_000, async () => (await listed(bob, trip)) === undefined);
      await wait(bob, parent);
      await until('the last edit', 30_000, has('alice', 'Holiday/notes.txt', 'notes of the last minute'));
      await wait(alice, parent);
      const all = ['day 1/photo.raw', 'late.txt', 'notes.txt', 'plan.txt', 'zoe.txt'].map(
        (one) => `Holiday/${one}`,
      );
      expect(await files('bob')).toEqual(['.exignore', ...all, 'bob.txt'].sort());
      expect(await files('alice')).toEqual(['.exignore', ...all, 'Holiday/private.log', 'bob.txt'].sort());
      expect(await bob.cli('drive', 'status', parent)).toMatchObject({ conflicts: 0, problems: [] });
      // Zoe keeps her files; what she writes now goes nowhere.
      expect(await read('zoe', 'late.txt')).toBe('late');
      expect(await alice.cli('file', 'list', 'Team', 'Holiday')).toHaveLength(5);
    },
  );
});
