import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DriveHosts } from '../../src-shared/contract/index.ts';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { differences, readTree, seeded, seededBytes, until } from '../support/trees.ts';

/** A folder of A, copied to three hosts that cannot read it. B is a second computer of A's user. */
let temp: { dir: string; remove(): Promise<void> };
let a: Daemon;
const hosts = new Map<string, Daemon>();
let driveId: string;
const random = seeded(4);
const folder = (name: string): string => path.join(temp.dir, `folder-${name}`);
const data = (name: string): string => path.join(temp.dir, name);

async function startHost(n: number): Promise<Daemon> {
  const host = await startDaemon({ data: data(`host-${n}`), host: `127.0.0.${20 + n}` });
  hosts.set(host.ready.peerId, host);
  await host.cli('host', 'offer', '--quota', '500MB');
  await a.cli('net', 'ping', host.ready.addresses[0]!);
  return host;
}

const hostsOf = (): Promise<DriveHosts> => a.cli<DriveHosts>('drive', 'hosts', driveId);

async function untilComplete(what: string, copies: number): Promise<void> {
  await until(what, 60_000, async () => {
    const { hosts: all } = await hostsOf();
    return all.filter((host) => host.complete && host.problem === null && host.connected).length >= copies;
  });
}

async function chunkFiles(host: Daemon): Promise<string[]> {
  const dir = path.join(host.data, 'hosting', 'drives', 'chunks');
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  return names.filter((one) => one.isFile()).map((one) => path.join(one.parentPath, one.name));
}

async function write(name: string, bytes: number): Promise<void> {
  await writeFile(path.join(folder('a'), name), seededBytes(random, bytes));
}

beforeAll(async () => {
  temp = await tempDir('hosting');
  for (const name of ['a', 'b']) await mkdir(folder(name));
  a = await startDaemon({ data: data('a'), host: '127.0.0.20' });
  await a.cli('id', 'create');
  await a.cli('settings', 'set', 'hosting.pollSeconds', '1');
  await a.cli('settings', 'set', 'hosting.auditSeconds', '2');
  await a.cli('settings', 'set', 'hosting.silenceSeconds', '5');
  await Promise.all([1, 2, 3].map(startHost));
}, 240_000);
afterAll(async () => {
  await Promise.all([a?.stop(), ...[...hosts.values()].map((host) => host.stop())]);
  await temp.remove();
});

describe('a drive and its hosts', () => {
  it('puts complete copies on three hosts and audits them', async () => {
    await mkdir(path.join(folder('a'), 'photos'));
    await write('photos/one.bin', 3_000_000);
    await write('two.bin', 700_000);
    await writeFile(path.join(folder('a'), 'note.txt'), 'A note that no host can read.');
    driveId = (await a.cli<{ driveId: string }>('drive', 'create', 'Kept', '--folder', folder('a'))).driveId;
    await a.cli('drive', 'replicate', driveId, '--copies', '3');
    await a.cli('drive', 'wait', driveId, '--timeout', '60');
    await untilComplete('three copies', 3);
    await until('every copy passed an audit', 30_000, async () =>
      (await hostsOf()).hosts.every((host) => host.lastAudit?.ok === true),
    );
    const { wanted, hosts: all } = await hostsOf();
    expect(wanted).toBe(3);
    expect(all.map((host) => host.peerId).sort()).toEqual([...hosts.keys()].sort());
    expect(all.every((host) => host.bytes > 3_700_000)).toBe(true);
    expect((await a.cli<{ copies: number }>('drive', 'status', driveId)).copies).toBe(4);
  });

  it('keeps nothing readable on a host', async () => {
    const [host] = hosts.values();
    const disk = await readTree(path.join(host!.data, 'hosting'));
    const all = JSON.stringify([...disk.keys()]);
    expect(all).not.toContain('note.txt');
    expect((await chunkFiles(host!)).length).toBeGreaterThan(10);
  });

  it('repairs a host that lost half of its chunks', async () => {
    const [host] = hosts.values();
    const files = await chunkFiles(host!);
    const lost = files.filter((_, i) => i % 2 === 0);
    await Promise.all(lost.map((file) => rm(file)));
    await until('the chunks are back', 60_000, async () => (await chunkFiles(host!)).length === files.length);
    await until('an audit passes again', 30_000, async () =>
      (await hostsOf()).hosts.every((one) => one.complete && one.lastAudit?.ok === true),
    );
    expect((await hostsOf()).hosts.map((one) => one.peerId)).toContain(host!.ready.peerId);
  });

  it('keep a collection of an app for members who are never on at one time, and cannot read it', async () => {
    const app = 'a'.repeat(52);
    const written = async (at: Daemon, collection: string): Promise<string[]> => {
      const page = await at.cli<{ entries: { key: string }[] }>('collection', 'entries', collection);
      return page.entries.map(({ key }) => key);
    };
    const api = await connectToDaemon(a.data);
    const { collection } = await api.client.collections.create({ app, name: 'Sunday walk' });
    await api.client.collections.write({
      app,
      collection,
      writes: [{ key: 'm/1', value: 'A word for members.' }],
    });
    await a.cli('settings', 'set', 'collections.copies', '2');
    const kept = () =>
      a.cli<{ wanted: number; copies: number; hosts: { problem: string | null }[] }>(
        'collection',
        'hosts',
        collection,
      );
    await until('two hosts have it', 60_000, async () => (await kept()).copies === 2);

    const m = await startDaemon({ data: data('member'), host: '127.0.0.29' });
    try {
      const { userId } = await m.cli<{ userId: string }>('id', 'create');
      await m.cli('net', 'ping', a.ready.addresses[0]!);
      await api.client.collections.share({ app, collection, user: userId, role: 'editor' });
      api.close();
      const invited = async (): Promise<number> => {
        const there = await connectToDaemon(m.data);
        const list = await there.client.collections.invitations({ app });
        there.close();
        return list.length;
      };
      await until('the member is invited', 30_000, async () => (await invited()) === 1);
      await until('two hosts know of the member', 60_000, async () => (await kept()).copies === 2);
      await a.stop();

      // A member's computer that has nothing of it gets it from hosts alone, and leaves there what it writes.
      const there = await connectToDaemon(m.data);
      await there.client.collections.join({ app, collection });
      expect(await written(m, collection)).toEqual(['m/1']);
      await there.client.collections.write({ app, collection, writes: [{ key: 'm/2', value: 'Another.' }] });
      const complete = async (): Promise<number> =>
        (await there.client.collections.hosts({ app, collection })).copies;
      await until('two hosts have what was added', 60_000, async () => (await complete()) === 2);
      there.close();
      await m.stop();

      a = await startDaemon({ data: data('a'), host: '127.0.0.20' });
      await until('A has it though the member is off', 60_000, async () =>
        (await written(a, collection)).includes('m/2'),
      );
      for (const host of hosts.values()) {
        const dir = path.join(host.data, 'hosting');
        const files = await readdir(dir, { recursive: true, withFileTypes: true });
        for (const one of files.filter((file) => file.isFile())) {
          const bytes = await readFile(path.join(one.parentPath, one.name));
          for (const secret of ['word for members', 'Sunday walk'])
            expect(bytes.includes(secret)).toBe(false);
        }
      }
    } finally {
      await m.stop();
    }
  }, 180_000);

  it('replaces a host that went away, and with A gone hosts give everything to who has only the phrase', async () => {
    const [peerId, gone] = [...hosts][1]!;
    hosts.delete(peerId);
    await gone.kill();
    await startHost(4);
    await write('late.bin', 400_000);
    await a.cli('drive', 'wait', driveId, '--timeout', '60');
    await untilComplete('three copies again', 3);

    const phrase = path.join(temp.dir, 'phrase');
    await a.cli('id', 'backup', '--out', phrase);
    const expected = await readTree(folder('a'));
    await until('its hosts keep the list of its drives', 60_000, async () => {
      const { checks } = await a.cli<{ checks: { name: string; message: string }[] }>('doctor');
      return checks.some(({ name, message }) => name === 'recovery' && message.startsWith('3 '));
    });
    await a.stop();
    // It knows a host by chance, and no drive.
    const [known] = hosts.values();
    const b = await startDaemon({
      data: data('b'),
      host: '127.0.0.30',
      args: ['--bootstrap', known!.ready.addresses[0]!],
    });
    try {
      await b.cli('settings', 'set', 'hosting.pollSeconds', '1');
      await b.cli('id', 'restore', '--phrase-file', phrase);
      await until('B finds the drive', 60_000, async () => {
        const found = await b.cli<{ driveId: string; name: string; role: string }[]>('drive', 'shared');
        return found.some((one) => one.driveId === driveId && one.name === 'Kept' && one.role === 'owner');
      });
      await b.cli('drive', 'join', driveId, '--folder', folder('b'));
      await until('B has everything', 60_000, async () => {
        const { state } = await b.cli<{ state: string }>('drive', 'status', driveId);
        return state === 'in_step';
      });
      expect(differences([expected, await readTree(folder('b'))])).toEqual([]);
      await until('B sees three complete copies', 30_000, async () => {
        const { hosts: all } = await b.cli<DriveHosts>('drive', 'hosts', driveId);
        return all.filter((host) => host.connected && host.complete).length === 3;
      });
    } finally {
      await b.stop();
    }
  }, 180_000);
});
