import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DriveHosts, HostStatus } from '../../src-shared/contract/index.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { seeded, seededBytes, until } from '../support/trees.ts';

/**
 * Ada pays two hosts for copies of a drive: contracts for what each keeps, proofs by hours of the ledger, pay for what was proven, and no pay and another
 * host for one that lost everything. The hours pass by the daemons' clocks.
 */

let temp: { dir: string; remove(): Promise<void> };
let ada: Daemon;
const hosts: Daemon[] = [];
let driveId: string;
let link: string;
let shifted = 0;
const random = seeded(44);
const clock = (): string => path.join(temp.dir, 'clock');
const folder = (): string => path.join(temp.dir, 'folder');

async function shift(hours: number): Promise<void> {
  shifted += hours * 3_600_000;
  await writeFile(`${clock()}.new`, String(Math.round(shifted)));
  await rename(`${clock()}.new`, clock());
}

async function start(name: string, host: number): Promise<Daemon> {
  const preload = pathToFileURL(path.join(import.meta.dirname, '../support/shifted-clock.mjs')).href;
  const env = { SHIFTED_CLOCK: clock(), NODE_OPTIONS: `--import ${preload}` };
  const daemon = await startDaemon({ data: path.join(temp.dir, name), host: `127.0.0.${host}`, env });
  await daemon.cli('id', 'create');
  return daemon;
}

/** The account has what it takes for fees. */
async function fund(daemon: Daemon, user: string): Promise<void> {
  const { hash } = await ada.cli<{ hash: string }>('wallet', 'send', user, '5', 'EXC');
  await ada.cli('tx', 'wait', hash, '--timeout', '60');
  await daemon.cli('wallet', 'balance');
}

async function addHost(n: number): Promise<Daemon> {
  const daemon = await start(`host-${n}`, 40 + n);
  hosts[n - 1] = daemon;
  await daemon.cli('net', 'ping', ada.ready.addresses[0]!);
  await daemon.cli('chain', 'join', link);
  await fund(daemon, (await daemon.cli<{ userId: string }>('id', 'show')).userId);
  return daemon;
}
const offer = (daemon: Daemon): Promise<unknown> =>
  daemon.cli('host', 'offer', '--quota', '500MB', '--price', '0.5', '--collateral', '1');

const copies = (): Promise<DriveHosts> => ada.cli<DriveHosts>('drive', 'hosts', driveId);
const earned = async (daemon: Daemon): Promise<NonNullable<HostStatus['drives'][0]['pay']> | null> =>
  (await daemon.cli<HostStatus>('host', 'status')).drives[0]?.pay ?? null;

/** Transactions of a kind that a host made and that stand. */
async function sent(daemon: Daemon, type: string): Promise<number> {
  const all = await daemon.cli<{ ok: boolean; messages: { type: string }[] }[]>('wallet', 'history');
  return all.filter(({ ok, messages }) => ok && messages.some((one) => one.type === type)).length;
}

/** A transaction of Ada's, so that a block tells all what time it is. */
async function block(): Promise<void> {
  const { userId } = await ada.cli<{ userId: string }>('id', 'show');
  const { hash } = await ada.cli<{ hash: string }>('wallet', 'send', userId, '0.01', 'EXC');
  await ada.cli('tx', 'wait', hash, '--timeout', '60');
}

beforeAll(async () => {
  temp = await tempDir('paid');
  await mkdir(folder());
  // Claims are made in the first half of an hour.
  await shift(1 - (Date.now() % 3_600_000) / 3_600_000);
  ada = await start('ada', 40);
  await ada.cli('settings', 'set', 'hosting.pollSeconds', '1');
  ({ link } = await ada.cli<{ link: string }>('chain', 'create', 'paid'));
  await Promise.all([1, 2, 3].map(addHost));
  await Promise.all(hosts.slice(0, 2).map(offer));
}, 240_000);
afterAll(async () => {
  await Promise.all([ada, ...hosts].map((daemon) => daemon?.stop()));
  await temp.remove();
});

describe('hosting for pay', { timeout: 300_000 }, () => {
  it('finds no host for less than it asks for, and wants a budget', async () => {
    await writeFile(path.join(folder(), 'film.bin'), seededBytes(random, 3_000_000));
    const made = await ada.cli<{ driveId: string }>('drive', 'create', 'Paid', '--folder', folder());
    driveId = made.driveId;
    await ada.cli('drive', 'wait', driveId, '--timeout', '60');
    await ada.cli('drive', 'replicate', driveId, '--copies', '2', '--price', '0.4', '--budget', '1');
    expect((await copies()).hosts).toEqual([]);
    await expect(ada.cli('drive', 'replicate', driveId, '--copies', '2', '--price', '1')).rejects.toThrow();
  });

  it('opens contracts with the hosts of a drive, which take them', async () => {
    const terms = ['--price', '1', '--budget', '10', '--collateral', '1', '--hours', '30'];
    const { pay } = await ada.cli<DriveHosts>('drive', 'replicate', driveId, '--copies', '2', ...terms);
    expect(pay).toMatchObject({ price: '1', collateral: '1', hours: 30, budget: '10', problem: null });
    await until('both hosts took a contract', 120_000, async () => {
      const { hosts: all } = await copies();
      return all.length === 2 && all.every((host) => host.pay?.taken === true);
    });
    const { pay: after } = await copies();
    expect(Number(after?.spent)).toBeGreaterThan(0);
    // The host learns of the block that has its contract a little after the founder.
    await until('the host counts its contract', 30_000, async () => (await earned(hosts[0]!)) !== null);
    expect(await earned(hosts[0]!)).toMatchObject({ contracts: 1, paid: '0', missed: 0 });
  });

  it('pays what was proven hour by hour, as the ledger shows', async () => {
    const both = hosts.slice(0, 2);
    // What is claimed in one hour is shown in the next, before anything else is claimed. The clock jumps when nothing is on its way: a claim
    // that a block of the next hour held would be of the wrong seed.
    const work = (daemon: Daemon): Promise<number> => sent(daemon, 'storage.claim');
    for (let hour = 0; hour < 4; hour++) {
      const before = await Promise.all(both.map(work));
      await shift(1);
      await block();
      await until(`a claim of both hosts in hour ${hour}`, 120_000, async () => {
        const now = await Promise.all(both.map(work));
        return now.every((times, i) => times > before[i]!);
      });
    }
    await until('the pay is there', 60_000, async () => Number((await earned(hosts[0]!))?.paid) > 0);
    const [proof] = await hosts[0]!.cli<{ hash: string; pay: string }[]>('storage', 'proofs');
    await hosts[0]!.cli('tx', 'wait', proof!.hash, '--timeout', '60');
    expect(await ada.cli('tx', 'show', proof!.hash, '--proof')).toMatchObject({ ok: true });
    expect((await copies()).hosts.every((host) => Number(host.pay?.paid) > 0)).toBe(true);
  });

  it('pays nothing to a host that is gone, and puts another in its place', async () => {
    const [gone] = hosts as [Daemon];
    const paidTo = async (): Promise<string | undefined> =>
      (await copies()).hosts.find((host) => host.peerId === gone.ready.peerId)?.pay?.paid;
    await gone.kill();
    await offer(hosts[2]!);
    // What it had sent before it went stands in the next block, and is paid.
    await shift(1);
    await block();
    let before = await paidTo();
    await until('what it had sent is counted', 60_000, async () => {
      const last = before;
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      before = await paidTo();
      return before === last;
    });
    await shift(1);
    await block();
    await until('the third host took a contract', 240_000, async () => {
      const { hosts: all } = await copies();
      return all.some((host) => host.peerId === hosts[2]!.ready.peerId && host.pay?.taken === true);
    });
    expect([before, undefined]).toContain(await paidTo());
  });

  it('lets go of what was never paid for', async () => {
    const [, host] = hosts as [Daemon, Daemon];
    await host.cli('settings', 'set', 'hosting.pollSeconds', '1');
    const unpaid = path.join(temp.dir, 'unpaid');
    await mkdir(unpaid);
    await writeFile(path.join(unpaid, 'film.bin'), seededBytes(random, 3_000_000));
    const made = await ada.cli<{ driveId: string }>('drive', 'create', 'Unpaid', '--folder', unpaid);
    await ada.cli('drive', 'wait', made.driveId, '--timeout', '120');
    // Ada says that she pays what is asked for, and has set aside too little for a single hour.
    const terms = ['--price', '1', '--budget', '0.000001', '--collateral', '1', '--hours', '30'];
    await ada.cli('drive', 'replicate', made.driveId, '--copies', '2', ...terms);
    const kept = async (): Promise<boolean> =>
      (await host.cli<HostStatus>('host', 'status')).drives.some((one) => one.driveId === made.driveId);
    await until('the host keeps it', 120_000, kept);
    await shift(80);
    await until('the host lets go of it', 120_000, async () => !(await kept()));
  });
});
