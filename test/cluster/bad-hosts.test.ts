import { readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DriveHosts } from '../../src-shared/contract/index.ts';
import { openDatabase } from '../../src-main/store/index.ts';
import { tempDir } from '../support/daemon.ts';
import { folderIn, meet, startNode } from '../support/nodes.ts';
import type { LocalNode } from '../support/nodes.ts';
import { startOddHost } from '../support/odd-host.ts';
import type { OddHost, OddWays } from '../support/odd-host.ts';
import { differences, readTree, seeded, seededBytes, until } from '../support/trees.ts';

/** A keeper and hosts that do not do what they should; all of them libp2p nodes. */
const never = new AbortController().signal;
const random = seeded(21);
const quick = {
  'hosting.pollSeconds': 1,
  'hosting.auditSeconds': 1,
  'hosting.silenceSeconds': 600,
  'hosting.repairSeconds': 3,
};
let temp: { dir: string; remove(): Promise<void> };
const running: { stop(): Promise<void> }[] = [];
let ip = 100;

async function start(name: string): Promise<LocalNode> {
  const node = await startNode(path.join(temp.dir, name), `127.0.1.${ip++}`, quick);
  running.push(node);
  return node;
}

async function startKeeper(name: string): Promise<{ node: LocalNode; drive: string; folder: string }> {
  const node = await start(name);
  await node.node.identity.create({ words: 12 }, never);
  const folder = await folderIn(temp.dir, `folder-${name}`);
  for (const n of [1, 2, 3]) {
    await writeFile(path.join(folder, `${n}.bin`), seededBytes(random, 400_000));
  }
  const made = await node.node.drives.create({ name, folder, visibility: 'private' }, never);
  await node.node.drives.wait({ drive: made.driveId }, never);
  return { node, drive: made.driveId, folder };
}

async function startHost(keeper: LocalNode, name: string): Promise<LocalNode> {
  const host = await start(name);
  await host.node.hosting.offer({ quota: 500_000_000 }, never);
  await meet(keeper, host);
  return host;
}

async function startOdd(keeper: LocalNode, name: string, ways: Partial<OddWays> = {}): Promise<OddHost> {
  const host = await startOddHost(path.join(temp.dir, name), name, `127.0.1.${ip++}`, ways);
  running.push(host);
  await keeper.node.net.ping({ peer: host.address() }, never);
  return host;
}

type Host = DriveHosts['hosts'][number];
const hostsOf = async (keeper: LocalNode, drive: string): Promise<readonly Host[]> =>
  (await keeper.node.hosting.hosts({ drive }, never)).hosts;

async function untilHosts(
  what: string,
  keeper: LocalNode,
  drive: string,
  holds: (hosts: readonly Host[]) => boolean,
): Promise<void> {
  await until(what, 45_000, async () => holds(await hostsOf(keeper, drive)), 50);
}

const isGood = (host: Host | undefined): boolean => host?.complete === true && host.problem === null;
const wasAudited = (host: Host | undefined): boolean => isGood(host) && host?.lastAudit?.ok === true;
const by = (hosts: readonly Host[], peerId: string): Host | undefined =>
  hosts.find((host) => host.peerId === peerId);

async function removeChunks(dir: string): Promise<void> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = names.filter((one) => one.isFile());
  expect(files.length).toBeGreaterThan(5);
  await Promise.all(files.map((one) => rm(path.join(one.parentPath, one.name), { force: true })));
}

beforeAll(async () => {
  temp = await tempDir('bad-hosts');
});
afterAll(async () => {
  await Promise.all(running.map((one) => one.stop()));
  await temp.remove();
});

it('takes no wrong byte from a host, whatever it serves, and leaves it', async () => {
  const { node: a, drive, folder } = await startKeeper('served');
  const liar = await startOdd(a, 'liar', { wrongBytes: true });
  const honest = await startHost(a, 'honest');
  await a.node.hosting.replicate({ drive, copies: 2 }, never);
  // Its disk is in order: it passes audits.
  await untilHosts('two copies', a, drive, (all) =>
    [liar.peerId, honest.peerId].every((peer) => wasAudited(by(all, peer))),
  );
  const { phrase } = await a.node.identity.phrase({}, never);
  await a.stop();

  const b = await start('served-b');
  await b.node.identity.restore({ phrase }, never);
  await b.node.net.ping({ peer: liar.address() }, never);
  await meet(b, honest);
  const copy = await folderIn(temp.dir, 'folder-served-b');
  await b.node.drives.join({ link: drive, folder: copy, onlineOnly: false }, never);
  await until('everything is there', 30_000, async () => {
    const { state } = await b.node.drives.status({ drive }, never);
    return state === 'in_step';
  });
  expect(differences([await readTree(folder), await readTree(copy)])).toEqual([]);
  const peers = await b.node.net.peers({}, never);
  expect(peers.map(({ peerId }) => peerId)).not.toContain(liar.peerId);
  await b.stop();
}, 120_000);

it('replaces a host that does not bring back what it lost, and one that takes in nothing of what it promised', async () => {
  const { node: a, drive } = await startKeeper('kept');
  const lazy = await startOdd(a, 'lazy');
  const greedy = await startOdd(a, 'greedy', { takesNothingIn: true });
  await a.node.hosting.replicate({ drive, copies: 2 }, never);
  await untilHosts('a copy', a, drive, (all) => wasAudited(by(all, lazy.peerId)));
  expect(greedy.drives()).toBe(1);
  await untilHosts(
    'the host without room is found out',
    a,
    drive,
    (all) => by(all, greedy.peerId)?.problem === 'overcommitted',
  );
  lazy.ways.takesNothingIn = true;
  await removeChunks(lazy.chunks);
  await untilHosts(
    'the loss is seen, and not made good',
    a,
    drive,
    (all) => by(all, lazy.peerId)?.problem === 'repair_refused',
  );
  const others = [await startHost(a, 'other-1'), await startHost(a, 'other-2')];
  await untilHosts('two good copies, and the bad hosts are left', a, drive, (all) => {
    const good = others.every(({ peerId }) => wasAudited(by(all, peerId)));
    return good && all.length === 2;
  });
  const told = a.node.node.activity(100);
  const messages = told.map(({ message }) => message);
  expect(messages).toContain('A host takes in nothing of what it promised to keep.');
  expect(messages).toContain('A host did not bring back what it lost.');

  // One of them fails an audit too many.
  await a.stop();
  const careless = others[1]!;
  const db = openDatabase(path.join(a.data, 'hosting', 'hosting.db'));
  db.prepare('UPDATE replica_reputation SET alpha = 96.1, beta = 4 WHERE host = ?').run(careless.peerId);
  db.close();
  await removeChunks(path.join(careless.data, 'hosting', 'drives', 'chunks'));
  const again = await startNode(a.data, '127.0.1.98', quick);
  running.push(again);
  for (const host of others) await meet(again, host);
  // It may be left so fast that no look at the list sees it.
  await until(
    'it is found out',
    90_000,
    async () =>
      by(await hostsOf(again, drive), careless.peerId)?.problem === 'disqualified' ||
      again.node.node.activity(100).some(({ said }) => said?.values['code'] === 'disqualified'),
    50,
  );
  // The other one lost its whole disk, and is reached where it was.
  const empty = others[0]!;
  const [, , ip, , port] = empty.address().split('/');
  await empty.stop();
  await rm(path.join(empty.data, 'hosting'), { recursive: true });
  const emptied = await startNode(empty.data, ip!, quick, Number(port));
  running.push(emptied);
  await meet(again, emptied);
  await untilHosts(
    'it keeps nothing any more',
    again,
    drive,
    (all) => by(all, empty.peerId)?.problem === 'audit_failed',
  );
  await again.stop();
}, 180_000);

it('cannot tell two hosts with one disk from two disks, until that disk loses something', async () => {
  const { node: a, drive } = await startKeeper('twins');
  const one = await startHost(a, 'twin-1');
  const chunksOf = (host: LocalNode): string => path.join(host.data, 'hosting', 'drives', 'chunks');
  await a.node.hosting.replicate({ drive, copies: 1 }, never);
  await untilHosts('the first copy', a, drive, (all) => wasAudited(by(all, one.peerId)));

  // The second one has the disk of the first, and stores nothing of its own.
  const data = path.join(temp.dir, 'twin-2');
  await folderIn(data, path.join('hosting', 'drives'));
  await symlink(chunksOf(one), chunksOf({ ...one, data }));
  const two = await startHost(a, 'twin-2');
  await a.node.hosting.replicate({ drive, copies: 2 }, never);
  await untilHosts('both pass audits', a, drive, (all) =>
    [one, two].every(({ peerId }) => wasAudited(by(all, peerId))),
  );
  await removeChunks(chunksOf(one));
  await untilHosts('neither passes', a, drive, (all) =>
    [one, two].some(({ peerId }) => by(all, peerId)?.lastAudit?.ok === false),
  );
  await untilHosts('both are repaired by who has the file', a, drive, (all) =>
    [one, two].every(({ peerId }) => wasAudited(by(all, peerId))),
  );
  await a.stop();
}, 120_000);
