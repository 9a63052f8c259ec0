import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DriveHosts } from '../../src-shared/contract/index.ts';
import { tempDir } from '../support/daemon.ts';
import { folderIn, meet, startNode } from '../support/nodes.ts';
import type { LocalNode } from '../support/nodes.ts';
import { differences, readTree, seeded, seededBytes, until } from '../support/trees.ts';

/** A large file on six hosts, of which any four give it back: 1.5 times its size survives the loss of any two. */
const never = new AbortController().signal;
const random = seeded(12);
const large = 9_000_000;
/** For a machine that is busy with other things. ms. */
const patience = 240_000;
let temp: { dir: string; remove(): Promise<void> };
let a: LocalNode;
const hosts: LocalNode[] = [];
let drive: string;
let phrase: string;
const quick = {
  'hosting.pollSeconds': 1,
  'hosting.auditSeconds': 2,
  'hosting.silenceSeconds': 600,
  'hosting.codedBytes': 1_000_000,
  'hosting.coldSeconds': 0,
};

const hostsSeenBy = async (node: LocalNode): Promise<DriveHosts> => node.node.hosting.hosts({ drive }, never);

async function chunkFiles(host: LocalNode): Promise<string[]> {
  const dir = path.join(host.data, 'hosting', 'drives', 'chunks');
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  return names
    .filter((one) => one.isFile() && !one.parentPath.endsWith('tmp'))
    .map((one) => path.join(one.parentPath, one.name));
}

async function chunkBytes(some: readonly LocalNode[]): Promise<number> {
  const files = (await Promise.all(some.map(chunkFiles))).flat();
  // Some may be on their way out.
  const size = (file: string): Promise<number> =>
    stat(file).then(
      (one) => one.size,
      () => 0,
    );
  const sizes = await Promise.all(files.map(size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function startHost(n: number, keeper = a): Promise<LocalNode> {
  const host = await startNode(path.join(temp.dir, `host-${n}`), `127.0.0.${60 + n}`);
  await host.node.hosting.offer({ quota: 500_000_000 }, never);
  await meet(keeper, host);
  return host;
}

beforeAll(async () => {
  temp = await tempDir('erasure');
  a = await startNode(path.join(temp.dir, 'a'), '127.0.0.60', quick);
  await a.node.identity.create({ words: 12 }, never);
  for (let n = 1; n <= 6; n++) hosts.push(await startHost(n));
}, 120_000);
afterAll(async () => {
  await Promise.all([a?.stop(), ...hosts.map((host) => host.stop())]);
  await temp.remove();
});

describe('an erasure-coded file', () => {
  it(
    'takes 1.5 times its size on six hosts, each with one shard of every stripe',
    async () => {
      const folder = await folderIn(temp.dir, 'folder-a');
      await writeFile(path.join(folder, 'film.bin'), seededBytes(random, large));
      await writeFile(path.join(folder, 'notes.bin'), seededBytes(random, 50_000));
      ({ driveId: drive } = await a.node.drives.create(
        { name: 'Coded', folder, visibility: 'private' },
        never,
      ));
      await a.node.drives.wait({ drive }, never);
      await a.node.hosting.replicate({ drive, copies: 3 }, never);
      await until('all slots are filled', patience, async () => {
        const { coded, copies } = await hostsSeenBy(a);
        return coded?.complete === 6 && copies === 3;
      });
      const seen = await hostsSeenBy(a);
      expect(seen.coded).toMatchObject({ data: 4, parity: 2, complete: 6 });
      expect(seen.coded!.bytes).toBeGreaterThan(large);
      expect(seen.hosts.map(({ slot }) => slot).sort()).toEqual([0, 1, 2, 3, 4, 5]);
      expect(seen.hosts.filter(({ whole }) => whole)).toHaveLength(3);
      // 1.5 times the film, and three copies of the notes; padding comes on top.
      await until(
        'whole copies are gone',
        patience,
        async () => (await chunkBytes(hosts)) < 1.6 * large + 200_000,
      );
      expect(await chunkBytes(hosts)).toBeGreaterThan(1.5 * large);
    },
    4 * patience,
  );

  it(
    'goes back to whole copies when fewer hosts could be lost than with as many copies, and is coded again',
    async () => {
      await a.node.hosting.replicate({ drive, copies: 4 }, never);
      await until('four whole copies', patience, async () => {
        const { coded, copies } = await hostsSeenBy(a);
        return coded === null && copies === 4;
      });
      await a.node.hosting.replicate({ drive, copies: 3 }, never);
      await until('coded again', patience, async () => {
        const { coded, copies } = await hostsSeenBy(a);
        return coded?.complete === 6 && copies === 3 && (await chunkBytes(hosts)) < 1.6 * large + 300_000;
      });
    },
    4 * patience,
  );

  it(
    'keeps the stripe of a block that changes, and codes the new one',
    async () => {
      const file = path.join(temp.dir, 'folder-a', 'film.bin');
      const film = await readFile(file);
      film[100] = film[100]! ^ 1;
      await writeFile(file, film);
      await a.node.drives.wait({ drive }, never);
      const before = (await hostsSeenBy(a)).coded!.bytes!;
      await until('the changed block is coded', patience, async () => {
        const { coded, copies } = await hostsSeenBy(a);
        return coded?.complete === 6 && copies === 3 && coded.bytes! > before;
      });
      await until('no whole copy is left', patience, async () => (await chunkBytes(hosts)) < 2 * large);
    },
    4 * patience,
  );

  it(
    'is repaired by hosts alone, from the shards of others',
    async () => {
      ({ phrase } = await a.node.identity.phrase({}, never));
      await a.stop();
      const [host] = hosts;
      const files = await chunkFiles(host!);
      await host!.stop();
      await Promise.all(files.filter((_, i) => i % 2 === 0).map((file) => rm(file)));
      hosts[0] = await startNode(host!.data, '127.0.0.61');
      const before = files.sort().join();
      await until(
        'all chunks are back',
        patience,
        async () => (await chunkFiles(host!)).sort().join() === before,
      );
    },
    4 * patience,
  );

  it(
    'reaches a second computer while any two hosts and the first computer are off',
    async () => {
      await Promise.all([hosts[1]!.stop(), hosts[4]!.stop()]);
      const b = await startNode(path.join(temp.dir, 'b'), '127.0.0.70', {
        ...quick,
        'hosting.silenceSeconds': 5,
      });
      try {
        await b.node.identity.restore({ phrase }, never);
        for (const host of [hosts[0]!, hosts[2]!, hosts[3]!, hosts[5]!]) await meet(b, host);
        const folder = await folderIn(temp.dir, 'folder-b');
        await b.node.drives.join({ link: drive, folder, onlineOnly: false }, never);
        await until('B has everything', patience, async () => {
          const { state } = await b.node.drives.status({ drive }, never);
          return state === 'in_step';
        });
        const expected = await readTree(path.join(temp.dir, 'folder-a'));
        expect(differences([expected, await readTree(folder)])).toEqual([]);
        // The first computer is silent, so this one has taken over, or does now: the shards that are there are the ones it goes on with, and lost ones are made anew from them.
        const shards = await chunkFiles(hosts[3]!);
        for (const n of [7, 8]) hosts.push(await startHost(n, b));
        await b.node.hosting.replicate({ drive, copies: 3 }, never);
        await until('all slots are filled again', patience, async () => {
          const { coded, copies } = await hostsSeenBy(b);
          return coded?.complete === 6 && copies === 3;
        });
        const now = [0, 2, 3, 5, 6, 7].map((n) => hosts[n]!);
        await until('there are no other shards', patience, async () => (await chunkBytes(now)) < 2 * large);
        expect(await chunkFiles(hosts[3]!)).toEqual(expect.arrayContaining(shards));
      } finally {
        await b.stop();
      }
    },
    4 * patience,
  );

  it(
    'survives the loss of any two hosts after another computer has taken over',
    async () => {
      await Promise.all([hosts[0]!.stop(), hosts[2]!.stop()]);
      const c = await startNode(path.join(temp.dir, 'c'), '127.0.0.71', quick);
      try {
        await c.node.identity.restore({ phrase }, never);
        for (const n of [3, 5, 6, 7]) await meet(c, hosts[n]!);
        const folder = await folderIn(temp.dir, 'folder-c');
        await c.node.drives.join({ link: drive, folder, onlineOnly: false }, never);
        await until('C has everything', patience, async () => {
          const { state } = await c.node.drives.status({ drive }, never);
          return state === 'in_step';
        });
        expect(
          differences([await readTree(path.join(temp.dir, 'folder-a')), await readTree(folder)]),
        ).toEqual([]);
      } finally {
        await c.stop();
      }
    },
    4 * patience,
  );
});
