import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DriveHosts } from '../../src-shared/contract/index.ts';
import { startRealNode } from '../../src-main/exchange/testing/real-network.ts';
import { tempDir } from '../support/daemon.ts';
import { folderIn, meet, startNode } from '../support/nodes.ts';
import type { LocalNode } from '../support/nodes.ts';
import { seeded, seededBytes, until } from '../support/trees.ts';

/** A knows one other node, which lends nothing; that one knows hosts. */
const never = new AbortController().signal;
let temp: { dir: string; remove(): Promise<void> };
const nodes: LocalNode[] = [];
let a: LocalNode;
let hub: LocalNode;

const quick = {
  'hosting.pollSeconds': 1,
  'hosting.auditSeconds': 2,
  'hosting.silenceSeconds': 3,
};

async function start(name: string, host: number): Promise<LocalNode> {
  const node = await startNode(path.join(temp.dir, name), `127.0.0.${host}`, quick);
  nodes.push(node);
  return node;
}

async function startHost(n: number, quota = 500_000_000): Promise<LocalNode> {
  const host = await start(`host-${n}`, 182 + n);
  await host.node.hosting.offer({ quota }, never);
  await meet(hub, host);
  return host;
}

beforeAll(async () => {
  temp = await tempDir('hosts-found');
  [a, hub] = await Promise.all([start('a', 180), start('hub', 181)]);
  await a.node.identity.create({ words: 12 }, never);
  await meet(a, hub);
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await temp.remove();
});

const hosts = async (node: LocalNode, drive: string): Promise<DriveHosts> =>
  node.node.hosting.hosts({ drive }, never);

async function untilOn(node: LocalNode, drive: string, peers: readonly string[]): Promise<void> {
  await until('complete copies there', 60_000, async () => {
    const { hosts: all } = await hosts(node, drive);
    const good = all.filter((host) => host.complete && host.connected && host.problem === null);
    return good.length >= peers.length && peers.every((peer) => good.some(({ peerId }) => peerId === peer));
  });
}

async function contentOf({ node }: LocalNode, drive: string, file: string): Promise<Buffer> {
  const asked = { drive, path: file, version: null, start: 0, end: null };
  const { bytes } = await node.files.read(asked, never);
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

it('finds hosts through a peer, leaves one that stops lending, and hands over to another device of a manager', async () => {
  const first = await Promise.all([startHost(1), startHost(2)]);
  const folder = await folderIn(temp.dir, 'folder');
  await writeFile(path.join(folder, 'note.bin'), seededBytes(seeded(7), 300_000));
  const { driveId: drive, link } = await a.node.drives.create(
    { name: 'Found', folder, visibility: 'private' },
    never,
  );
  await a.node.hosting.replicate({ drive, copies: 2 }, never);
  await untilOn(
    a,
    drive,
    first.map(({ peerId }) => peerId),
  );

  // A host that lends no more is left for another one, and forgets the drive once that has everything.
  const third = await startHost(3);
  await first[0]!.node.hosting.stop({}, never);
  await untilOn(a, drive, [first[1]!.peerId, third.peerId]);
  await until('the host forgot the drive', 30_000, async () => {
    const { drives } = await first[0]!.node.hosting.status({}, never);
    return drives.length === 0;
  });

  // The keeper goes away for good: a second computer of the same person sees to the copies.
  const b = await start('b', 190);
  const { phrase } = await a.node.identity.phrase({}, never);
  await b.node.identity.restore({ phrase }, never);
  await meet(b, a);
  await b.node.drives.join({ link, folder: await folderIn(temp.dir, 'folder-b'), onlineOnly: false }, never);
  await until('B is in step', 30_000, async () => {
    const { state } = await b.node.drives.status({ drive }, never);
    return state === 'in_step';
  });
  await meet(b, hub);
  await a.stop();
  await third.stop();
  const fourth = await startHost(4);
  await untilOn(b, drive, [first[1]!.peerId, fourth.peerId]);
  await writeFile(path.join(temp.dir, 'folder-b', 'later.bin'), seededBytes(seeded(8), 200_000));
  await b.node.drives.wait({ drive }, never);
  await until('the copies have what came later', 30_000, async () => {
    const told = (await hosts(b, drive)).hosts.find(({ peerId }) => peerId === fourth.peerId);
    const { bytes, missing } = (await fourth.node.hosting.status({}, never)).drives[0]!;
    const hasAll = missing === 0 && bytes > 500_000;
    // Never said before it is so, however late the keeper gets to it.
    if (told?.complete) expect(hasAll).toBe(true);
    return hasAll;
  });
}, 180_000);

it('finds a host in the DHT, where nobody connected knows any', async () => {
  // It has a DHT and nothing else: it neither hosts nor tells of others.
  const signpost = await startRealNode('signpost', '127.0.0.189');
  try {
    const [address] = signpost.network.addresses();
    const host = await start('host-far', 193);
    await host.node.hosting.offer({ quota: 500_000_000 }, never);
    await host.node.net.ping({ peer: address! }, never);
    const keeper = await start('keeper-far', 194);
    await keeper.node.identity.create({ words: 12 }, never);
    await keeper.node.net.ping({ peer: address! }, never);
    const folder = await folderIn(temp.dir, 'far');
    await writeFile(path.join(folder, 'far.bin'), seededBytes(seeded(10), 200_000));
    const { driveId: drive } = await keeper.node.drives.create(
      { name: 'Far', folder, visibility: 'private' },
      never,
    );
    await keeper.node.hosting.replicate({ drive, copies: 1 }, never);
    await untilOn(keeper, drive, [host.peerId]);
  } finally {
    await signpost.stop();
  }
}, 120_000);

it('places nothing where the quota leaves no room', async () => {
  const folder = await folderIn(temp.dir, 'large');
  await writeFile(path.join(folder, 'large.bin'), seededBytes(seeded(9), 30_000_000));
  const small = await startHost(5, 20_000_000);
  const keeper = await start('c', 191);
  await keeper.node.identity.create({ words: 12 }, never);
  await meet(keeper, small);
  const { driveId: drive } = await keeper.node.drives.create(
    { name: 'Large', folder, visibility: 'private' },
    never,
  );
  await keeper.node.drives.wait({ drive }, never);
  await keeper.node.hosting.replicate({ drive, copies: 1 }, never);
  expect((await hosts(keeper, drive)).hosts.map(({ peerId }) => peerId)).not.toContain(small.peerId);
  expect((await small.node.hosting.status({}, never)).reserved).toBe(0);
}, 90_000);

it('lets strangers reserve their share and no more, known people what is free, and moves what outgrew its host', async () => {
  const folder = await folderIn(temp.dir, 'outgrown');
  await writeFile(path.join(folder, 'large.bin'), seededBytes(seeded(10), 30_000_000));
  const [keeper, host, larger] = [
    await start('stranger', 200),
    await start('host-share', 201),
    await start('host-large', 202),
  ];
  const { userId } = await keeper.node.identity.create({ words: 12 }, never);
  // Three times of 16 MiB are reserved for the file: more than a quarter.
  const offered = await host.node.hosting.offer({ quota: 200_000_000, strangerShare: 0.25 }, never);
  expect(offered).toMatchObject({ strangers: { each: 50_000_000, together: 150_000_000 } });
  await meet(keeper, host);
  const { driveId: drive } = await keeper.node.drives.create(
    { name: 'Outgrown', folder, visibility: 'private' },
    never,
  );
  await keeper.node.drives.wait({ drive }, never);
  await keeper.node.hosting.replicate({ drive, copies: 1 }, never);
  expect((await hosts(keeper, drive)).hosts).toEqual([]);
  expect((await host.node.hosting.status({}, never)).reserved).toBe(0);

  await host.node.people.name({ user: userId, name: 'Ada' }, never);
  await untilOn(keeper, drive, [host.peerId]);
  const { reserved } = await host.node.hosting.status({}, never);
  expect(reserved).toBeGreaterThan(50_000_000);

  // A stranger again: what was promised is kept, and nothing more is.
  await host.node.people.name({ user: userId, name: null }, never);
  await writeFile(path.join(folder, 'more.bin'), seededBytes(seeded(12), 30_000_000));
  await keeper.node.drives.wait({ drive }, never);
  await until('no copy is whole', 30_000, async () => (await hosts(keeper, drive)).copies === 0);
  expect((await host.node.hosting.status({}, never)).reserved).toBe(reserved);
  expect((await hosts(keeper, drive)).hosts).toMatchObject([{ peerId: host.peerId, problem: null }]);

  await larger.node.hosting.offer({ quota: 1_000_000_000 }, never);
  await meet(keeper, larger);
  await untilOn(keeper, drive, [larger.peerId]);
  await until('the small one let go', 30_000, async () => {
    const { drives } = await host.node.hosting.status({}, never);
    return drives.length === 0;
  });
}, 180_000);

it('lets who keeps a drive for others look at it, join it and leave it, and goes on keeping it', async () => {
  const keeper = await start('keeper-own', 195);
  await keeper.node.identity.create({ words: 12 }, never);
  const host = await start('host-own', 196);
  const second = await start('host-own-2', 197);
  for (const one of [host, second]) {
    await one.node.hosting.offer({ quota: 500_000_000 }, never);
    await meet(keeper, one);
  }
  const { userId } = await host.node.identity.create({ words: 12 }, never);
  const folder = await folderIn(temp.dir, 'folder-own');
  const bytes = seededBytes(seeded(11), 300_000);
  await writeFile(path.join(folder, 'own.bin'), bytes);
  const { driveId: drive, link } = await keeper.node.drives.create(
    { name: 'Own', folder, visibility: 'unlisted' },
    never,
  );
  await keeper.node.drives.wait({ drive }, never);
  await keeper.node.hosting.replicate({ drive, copies: 2 }, never);
  await untilOn(keeper, drive, [host.peerId, second.peerId]);

  // It may keep the drive and not read it: only the link opens it.
  const into = await folderIn(temp.dir, 'folder-host');
  const join = (text: string) =>
    host.node.drives.join({ link: text, folder: into, onlineOnly: false }, never);
  await expect(join(drive)).rejects.toMatchObject({ code: 'forbidden' });
  const listed = await host.node.files.list({ drive: link, path: '', after: null, limit: 10 }, never);
  expect(listed.items.map(({ name }) => name)).toEqual(['own.bin']);
  const kept = async () => (await host.node.hosting.status({}, never)).drives[0];
  expect(await kept()).toMatchObject({ driveId: drive, missing: 0 });
  // What it keeps lies on its own disk: it is not fetched from anybody.
  const received = async () =>
    (await host.node.net.peers({}, never)).reduce((sum, peer) => sum + peer.received, 0);
  const before = await received();
  expect(Buffer.compare(await contentOf(host, link, 'own.bin'), bytes)).toBe(0);
  expect((await received()) - before).toBeLessThan(100_000);

  // Its keeper sleeps: who has the link reads it from a host, which can't, and nobody else does.
  await keeper.stop();
  const guest = await start('guest-own', 199);
  await meet(guest, second);
  await expect(contentOf(guest, drive, 'own.bin')).rejects.toMatchObject({ code: 'forbidden' });
  expect(Buffer.compare(await contentOf(guest, link, 'own.bin'), bytes)).toBe(0);
  await guest.stop();

  // Nobody else is there: what it keeps for others is enough.
  await second.stop();
  await join(link);
  await until('it has the file', 30_000, async () => {
    const { state } = await host.node.drives.status({ drive }, never);
    return state === 'in_step';
  });
  expect(Buffer.compare(await readFile(path.join(into, 'own.bin')), bytes)).toBe(0);

  // Its keeper makes its person a member: another host takes over, and this one forgets what it kept for others.
  const again = await startNode(keeper.data, '127.0.0.195', quick);
  nodes.push(again);
  const third = await start('host-own-3', 198);
  await third.node.hosting.offer({ quota: 500_000_000 }, never);
  for (const one of [host, third]) await meet(again, one);
  await again.node.drives.share({ drive, user: userId, role: 'reader' }, never);
  await untilOn(again, drive, [third.peerId]);
  // With one copy wanted the other one is enough.
  await again.node.hosting.replicate({ drive, copies: 1 }, never);
  await until('the member is no host any more', 30_000, async () => (await kept()) === undefined);
  await host.node.drives.leave({ drive }, never);
}, 180_000);
