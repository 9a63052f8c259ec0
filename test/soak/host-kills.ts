import { mkdir, rm, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { DriveHosts } from '../../src-shared/contract/index.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { differences, readTree, seeded, seededBytes, until } from '../support/trees.ts';
import { commitNow } from './commit.ts';

/**
 * A drive of three copies, hosts that are killed while it is written to. In each round two of the three get SIGKILL at a random
 * moment, some lose their disk with it; then the keeper goes away, too, and another computer has to get everything, byte for
 * byte, from the one host that is left.
 */
export interface HostKills {
  /** One round; throws when something was lost. */
  round(): Promise<void>;
  /** Ends all daemons. @param keep whether their folders, with their logs, are left; returns where those are (or were) */
  stop(keep?: boolean): Promise<string>;
}

const copies = 3;
/** A soak runs at low priority beside other work: long waits say nothing. */
const patience = 300_000;

/** Starts a keeper and three hosts in processes of their own; `net` is the third byte of their loopback addresses. */
export async function startHostKills(seed: number, net: number): Promise<HostKills> {
  const random = seeded(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const temp = await tempDir('host-kills');
  const at = (name: string): string => path.join(temp.dir, name);
  const folder = at('folder');
  const hosts: Daemon[] = [];
  let count = 0;
  let rounds = 0;

  const startKeeper = (): Promise<Daemon> => startDaemon({ data: at('a'), host: `127.0.${net}.1` });
  async function startHost(data: string): Promise<Daemon> {
    const host = await startDaemon({ data, host: `127.0.${net}.${2 + (count++ % 200)}` });
    await host.cli('host', 'offer', '--quota', '2GB');
    await a.cli('net', 'ping', host.ready.addresses[0]!);
    return host;
  }

  await mkdir(folder);
  let a = await startKeeper();
  await a.cli('id', 'create');
  await a.cli('id', 'backup', '--out', at('phrase'));
  for (const [key, value] of [
    ['hosting.pollSeconds', '1'],
    ['hosting.auditSeconds', '5'],
    ['hosting.silenceSeconds', '5'],
  ] as const) {
    await a.cli('settings', 'set', key, value);
  }
  for (let n = 0; n < copies; n++) hosts.push(await startHost(at(`host-${n}`)));
  const { driveId, link } = await a.cli<{ driveId: string; link: string }>(
    'drive',
    'create',
    'Kept',
    '--folder',
    folder,
  );
  await a.cli('drive', 'replicate', driveId, '--copies', String(copies));

  /** Waits until these hosts have everything that the keeper has. */
  async function untilComplete(peers: readonly string[]): Promise<void> {
    await until(`complete copies on ${peers.length} hosts`, patience, async () => {
      const { hosts: all } = await a.cli<DriveHosts>('drive', 'hosts', driveId);
      const good = all.filter((one) => one.connected && one.complete && one.problem === null);
      return peers.every((peer) => good.some(({ peerId }) => peerId === peer));
    });
  }

  async function write(): Promise<void> {
    for (let n = 0; n < 6; n++) {
      const name = path.join(folder, `file-${below(12)}.bin`);
      if (random() < 0.1) await unlink(name).catch(() => {});
      else await writeFile(name, seededBytes(random, 1000 + below(random() < 0.3 ? 4_000_000 : 200_000)));
      await new Promise((resolve) => setTimeout(resolve, below(150)));
    }
  }

  async function kill(victims: readonly Daemon[]): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, below(1500)));
    await Promise.all(victims.map((host) => host.kill()));
  }

  /** Another computer of the same person, which has nothing of the drive, gets everything from that host alone. */
  async function verify(survivor: Daemon): Promise<void> {
    const expected = await readTree(folder);
    const target = at(`folder-b-${rounds}`);
    await mkdir(target);
    const b = await startDaemon({ data: at('b'), host: `127.0.${net}.254` });
    try {
      if (b.ready.userId === null) await b.cli('id', 'restore', '--phrase-file', at('phrase'));
      await b.cli('net', 'ping', survivor.ready.addresses[0]!);
      await b.cli('drive', 'join', link, '--folder', target);
      let found: string[] = [];
      await until('everything came from the host that is left', patience, async () => {
        found = differences([expected, await readTree(target)]);
        return found.length === 0;
      }).catch((error: unknown) => {
        throw new Error(`round ${rounds}: ${found.slice(0, 5).join('; ')}`, { cause: error });
      });
      await b.cli('drive', 'leave', driveId);
    } finally {
      await b.stop();
      await rm(target, { recursive: true, force: true });
    }
  }

  return {
    async round() {
      rounds++;
      await untilComplete(hosts.map((host) => host.ready.peerId));
      const survivor = hosts[below(copies)]!;
      const victims = hosts.filter((host) => host !== survivor);
      // What runs stands in the list at any time: a round that fails must leave no process behind.
      hosts.splice(0, hosts.length, survivor);
      await Promise.all([write(), kill(victims)]);
      await a.cli('drive', 'wait', driveId, '--timeout', '300');
      await untilComplete([survivor.ready.peerId]);
      await a.stop();
      await verify(survivor);
      a = await startKeeper();
      await a.cli('net', 'ping', survivor.ready.addresses[0]!);
      for (const victim of victims) {
        if (random() < 0.3) {
          await rm(victim.data, { recursive: true, force: true });
          hosts.push(await startHost(at(`host-${count}-new`)));
        } else hosts.push(await startHost(victim.data));
      }
    },
    async stop(keep = false) {
      await Promise.all([a.stop(), ...hosts.map((host) => host.stop())]);
      if (!keep) await temp.remove();
      return temp.dir;
    },
  };
}

/** `npm run soak -- --host-kills 50`. */
export async function soakHostKills(
  count: number,
  seed: number,
): Promise<{ summary: string; failed: number }> {
  const kills = await startHostKills(seed, 77);
  const commit = await commitNow();
  let done = 0;
  let failed = true;
  try {
    for (; done < count; done++) {
      await kills.round();
      console.error(`host kills: ${done + 1} of ${count}`);
    }
    failed = false;
    return {
      failed: 0,
      summary: `two of three hosts killed during writes: ${done} rounds (commit ${commit}), nothing lost`,
    };
  } catch (error) {
    console.error(error);
    return {
      failed: 1,
      summary: `two of three hosts killed during writes: round ${done + 1} FAILED (commit ${commit})`,
    };
  } finally {
    const dir = await kills.stop(failed);
    if (failed) console.error(`what the daemons logged is in ${dir}`);
  }
}
