import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { seeded, seededBytes, until } from '../support/trees.ts';

let temp: { dir: string; remove(): Promise<void> };
let alice: Daemon;
let bob: Daemon;
/** Nobody: a fresh node without an identity, which knows Bob only. */
let guest: Daemon;
const folder = (name: string): string => path.join(temp.dir, `folder-${name}`);
const video = seededBytes(seeded(11), 40_000_000);

interface Listed {
  readonly path: string;
  readonly state: string;
}
const pathsOf = async (daemon: Daemon, drive: string): Promise<string[]> =>
  (await daemon.cli<Listed[]>('file', 'list', drive)).map((one) => one.path);
const create = async (name: string, ...args: string[]): Promise<{ driveId: string; link: string }> => {
  const made = await alice.cli<{ driveId: string; link: string }>(
    ...['drive', 'create', name, '--folder', folder(name)],
    ...args,
  );
  await alice.cli('drive', 'wait', made.driveId);
  return made;
};
const fill = async (name: string, file: string, bytes: string | Uint8Array): Promise<void> => {
  await mkdir(folder(name), { recursive: true });
  await writeFile(path.join(folder(name), file), bytes);
};

beforeAll(async () => {
  temp = await tempDir('sharing');
  alice = await startDaemon({ data: path.join(temp.dir, 'alice'), host: '127.0.0.2' });
  bob = await startDaemon({
    data: path.join(temp.dir, 'bob'),
    host: '127.0.0.3',
    args: ['--bootstrap', alice.ready.addresses[0]!],
  });
  guest = await startDaemon({
    data: path.join(temp.dir, 'guest'),
    host: '127.0.0.4',
    args: ['--bootstrap', bob.ready.addresses[0]!],
  });
  await alice.cli('id', 'create');
  await bob.cli('id', 'create');
}, 180_000);

afterAll(async () => {
  await Promise.all([alice, bob, guest].map((daemon) => daemon?.stop()));
  await temp.remove();
});

describe('invitations by link', () => {
  let driveId: string;
  const invite = (...args: string[]): Promise<{ link: string; invite: string }> =>
    alice.cli('drive', 'link', driveId, '--role', ...args);
  const join = (link: string, name: string): Promise<unknown> =>
    bob.cli('drive', 'join', link, '--folder', folder(name));

  it('let in a user whose id nobody knew', async () => {
    await fill('Team', 'plan.txt', 'our plan');
    ({ driveId } = await create('Team'));
    const { link } = await invite('editor', '--uses', '1');
    await join(link, 'bob');
    await bob.cli('drive', 'wait', driveId, '--timeout', '60');
    expect(await readFile(path.join(folder('bob'), 'plan.txt'), 'utf8')).toBe('our plan');
    await writeFile(path.join(folder('bob'), 'mine.txt'), 'his part');
    await bob.cli('drive', 'wait', driveId, '--timeout', '60');
    await until('his file', 30_000, async () => (await pathsOf(alice, driveId)).includes('mine.txt'));
    const [shown] = await alice.cli<{ used: string[]; state: string }[]>('drive', 'invites', driveId);
    expect(shown).toMatchObject({ used: [await userOf(bob)], state: 'used_up' });
  });

  it('are refused, each with its own code, when used up, expired, taken back, cut short or altered', async () => {
    await bob.cli('drive', 'leave', driveId);
    await alice.cli('drive', 'unshare', driveId, await userOf(bob));
    const once = await invite('reader', '--uses', '1');
    // It ends while the one use of the other one is made.
    const soon = await alice.cli<typeof once>('drive', 'link', driveId, '--expires', '3s');
    const back = await invite('reader');
    // The one use is Carol's.
    const carol = await startDaemon({ data: path.join(temp.dir, 'carol'), host: '127.0.0.5' });
    try {
      await carol.cli('id', 'create');
      await carol.cli('drive', 'join', once.link, '--folder', folder('carol'));
    } finally {
      await carol.stop();
    }
    await alice.cli('drive', 'unshare', driveId, back.invite);
    const refused = (link: string) => expect(join(link, 'refused')).rejects;
    await refused(once.link).toMatchObject({ code: 'invite_used_up' });
    await until('the end', 30_000, async () =>
      (await alice.cli<{ id: string; state: string }[]>('drive', 'invites', driveId)).some(
        (one) => one.id === soon.invite && one.state === 'expired',
      ),
    );
    await refused(soon.link).toMatchObject({ code: 'invite_expired' });
    await refused(back.link).toMatchObject({ code: 'invite_revoked' });
    await refused(back.link.slice(0, -5)).toMatchObject({ code: 'link_cut_short' });
    await refused(`${back.link.slice(0, -1)}_`).toMatchObject({ code: 'link_altered' });
    await refused(driveId).toMatchObject({ code: 'forbidden' });
    await expect(stat(folder('refused'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('drives shared with somebody', () => {
  interface Shared {
    driveId: string;
    name: string;
    role: string;
    from: string;
  }
  const shownTo = (daemon: Daemon): Promise<Shared[]> => daemon.cli<Shared[]>('drive', 'shared');
  const opened = async (driveId: string): Promise<boolean[]> =>
    (await alice.cli<{ opened: boolean }[]>('drive', 'members', driveId)).map((one) => one.opened);

  it('are told to the person, joined by their id, and no longer told when the right is gone', async () => {
    await fill('Told', 'hello.txt', 'for you');
    const { driveId } = await create('Told');
    expect(await shownTo(bob)).toEqual([]);
    await alice.cli('drive', 'share', driveId, await userOf(bob), '--role', 'reader');
    await until('the notice', 20_000, async () => (await shownTo(bob)).length === 1);
    expect(await shownTo(bob)).toMatchObject([
      { driveId, name: 'Told', role: 'reader', from: await userOf(alice) },
    ]);
    expect(await shownTo(guest)).toEqual([]);
    expect((await opened(driveId)).toSorted()).toEqual([false, true]);
    await alice.cli('drive', 'unshare', driveId, await userOf(bob));
    await until('it is gone', 20_000, async () => (await shownTo(bob)).length === 0);
    await alice.cli('drive', 'share', driveId, await userOf(bob), '--role', 'editor');
    await until('the notice again', 20_000, async () => (await shownTo(bob))[0]?.role === 'editor');
    await bob.cli('drive', 'shared', '--hide', driveId);
    expect(await shownTo(bob)).toEqual([]);
    await bob.cli('drive', 'join', driveId, '--folder', folder('told-bob'));
    await bob.cli('drive', 'wait', driveId, '--timeout', '60');
    expect(await readFile(path.join(folder('told-bob'), 'hello.txt'), 'utf8')).toBe('for you');
    await until('he is known to have it', 20_000, async () => (await opened(driveId)).every(Boolean));
  });

  it('are from people who can be given a name', async () => {
    const user = await userOf(alice);
    await bob.cli('person', 'name', user, 'Alice');
    expect(await bob.cli('person', 'list')).toEqual([{ userId: user, name: 'Alice' }]);
    await bob.cli('person', 'name', user);
    expect(await bob.cli('person', 'list')).toEqual([]);
    await expect(bob.cli('person', 'name', 'exc1nobody', 'X')).rejects.toMatchObject({
      code: 'invalid_argument',
    });
  });
});

const userOf = async (daemon: Daemon): Promise<string> =>
  (await daemon.cli<{ userId: string }>('status')).userId;

describe('an unlisted drive', () => {
  it('opens by its link only, on a node without an identity, until it is private again', async () => {
    await fill('Album', 'one.txt', 'x'.repeat(10_000));
    const { driveId, link } = await create('Album', '--visibility', 'unlisted');
    const plain = link.slice(0, link.indexOf('?')).replace('open', 'drive');
    await expect(guest.cli('file', 'list', plain)).rejects.toMatchObject({ code: 'forbidden' });
    expect(await pathsOf(guest, link)).toEqual(['one.txt']);
    // What is added later is seen, too, also after a new key epoch.
    await fill('Album', 'two.txt', 'later');
    await alice.cli('drive', 'wait', driveId);
    await until('the new file', 30_000, async () => (await pathsOf(guest, link)).includes('two.txt'));
    // Looked at first, then kept.
    expect(await pathsOf(bob, link)).toEqual(['one.txt', 'two.txt']);
    await bob.cli('drive', 'join', link, '--folder', folder('copy'));
    await bob.cli('drive', 'wait', driveId, '--timeout', '60');
    expect(await readFile(path.join(folder('copy'), 'one.txt'), 'utf8')).toBe('x'.repeat(10_000));
    await alice.cli('drive', 'visibility', driveId, 'private');
    await fill('Album', 'secret.txt', 'for members');
    await alice.cli('drive', 'wait', driveId);
    const late = await startDaemon({ data: path.join(temp.dir, 'late'), host: '127.0.0.6' });
    try {
      await expect(late.cli('file', 'list', link)).rejects.toMatchObject({ code: 'forbidden' });
    } finally {
      await late.stop();
    }
    expect(await pathsOf(bob, driveId)).not.toContain('secret.txt');
  });
});

describe('a drive that is looked at', () => {
  it('is closed to who looks at it once it is private again', async () => {
    await fill('Diary', 'monday.txt', 'a secret by tomorrow');
    const { driveId, link } = await create('Diary', '--visibility', 'unlisted');
    expect(await pathsOf(guest, link)).toEqual(['monday.txt']);
    await alice.cli('drive', 'visibility', driveId, 'private');
    // Not after the quarter of an hour that a view stays open unused: as soon as its members say so.
    await until('the view is closed', 60_000, () =>
      pathsOf(guest, link).then(
        () => false,
        (error: { code?: string }) => error.code === 'forbidden',
      ),
    );
  });
});

describe('a public drive', () => {
  let driveId: string;
  let link: string;

  it('opens on a fresh node, and a seek fetches only what it shows', async () => {
    await fill('Film', 'film.mp4', video);
    ({ driveId, link } = await create('Film', '--visibility', 'public'));
    const { client, close } = await connectToDaemon(guest.data);
    try {
      const { url, size } = await client.files.open({ drive: link, path: 'film.mp4' });
      expect(size).toBe(video.length);
      const first = await range(url, 0, 65_535);
      expect(first.bytes.equals(video.subarray(0, 65_536))).toBe(true);
      const at = 31_000_000;
      const later = await range(url, at, at + 65_535);
      expect(later.bytes.equals(video.subarray(at, at + 65_536))).toBe(true);
      const [peer] = (await client.net.peers({})).filter((one) => one.peerId === alice.ready.peerId);
      expect(peer!.received).toBeLessThan(video.length / 4);
    } finally {
      close();
    }
  });

  it('is found by its id alone, and served by whoever keeps a copy', async () => {
    await bob.cli('drive', 'join', link, '--folder', folder('kept'));
    await bob.cli('drive', 'wait', driveId, '--timeout', '60');
    const fresh = await startDaemon({
      data: path.join(temp.dir, 'fresh'),
      host: '127.0.0.7',
      args: ['--bootstrap', guest.ready.addresses[0]!],
    });
    try {
      // Only the DHT can tell it who has the drive: the node it knows has not.
      await until('a provider', 60_000, async () =>
        (await pathsOf(fresh, driveId).catch((): string[] => [])).includes('film.mp4'),
      );
      // Its neighbour told it by name, who had it from the one that keeps it. Searching has neighbours asked.
      await until('the list of public drives', 60_000, async () => {
        await guest.cli('directory', 'search', 'fil');
        const found = await fresh.cli<{ driveId: string; holders: number }[]>('directory', 'search', 'fil');
        return found.some((one) => one.driveId === driveId && one.holders >= 1);
      });
      const { readers } = await alice.cli<{ readers: { sent: number } }>('net', 'bandwidth');
      expect(readers.sent).toBeGreaterThan(0);
      await alice.stop();
      const { client, close } = await connectToDaemon(fresh.data);
      const { url } = await client.files.open({ drive: driveId, path: 'film.mp4' });
      const end = await range(url, video.length - 65_536, video.length - 1);
      close();
      expect(end.bytes.equals(video.subarray(-65_536))).toBe(true);
      // Kept by its id alone, from who keeps it and is no member.
      await fresh.cli('id', 'create');
      await fresh.cli('drive', 'join', driveId, '--folder', folder('fresh'));
      await fresh.cli('drive', 'wait', driveId, '--timeout', '60');
      expect(hashOf(await readFile(path.join(folder('fresh'), 'film.mp4')))).toBe(hashOf(video));
    } finally {
      await fresh.stop();
    }
  });
});

async function range(url: string, start: number, end: number): Promise<{ bytes: Buffer }> {
  const answer = await fetch(url, { headers: { range: `bytes=${start}-${end}` } });
  expect(answer.status).toBe(206);
  return { bytes: Buffer.from(await answer.arrayBuffer()) };
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
