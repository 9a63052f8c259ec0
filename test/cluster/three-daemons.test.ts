import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { editAtRandom } from '../support/random-edits.ts';
import { differences, readTree, until } from '../support/trees.ts';

const seconds = Number(process.env['EXTRACHAIN_EDIT_SECONDS'] ?? 20);
const seed = Number(process.env['EXTRACHAIN_SEED'] ?? 20261122);
const hosts = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];

interface DriveStatus {
  readonly state: string;
  readonly heads: readonly string[];
  readonly problems: readonly unknown[];
}

let temp: { dir: string; remove(): Promise<void> } | undefined;
const daemons: Daemon[] = [];
const folder = (i: number): string => path.join(temp!.dir, `folder-${i}`);
let driveId: string;

beforeAll(async () => {
  temp = await tempDir('three');
  for (const [i, host] of hosts.entries()) {
    await mkdir(folder(i));
    const args = daemons[0] ? ['--bootstrap', daemons[0].ready.addresses[0]!] : [];
    daemons.push(await startDaemon({ data: path.join(temp!.dir, `data-${i}`), host, args }));
  }
  const users: string[] = [];
  for (const daemon of daemons) users.push((await daemon.cli<{ userId: string }>('id', 'create')).userId);
  ({ driveId } = await daemons[0]!.cli<{ driveId: string }>(
    'drive',
    'create',
    'shared',
    '--folder',
    folder(0),
  ));
  for (const i of [1, 2]) {
    await until('the card', 10_000, async () => {
      const peers = await daemons[0]!.cli<{ userId: string | null }[]>('net', 'peers');
      return peers.some((peer) => peer.userId === users[i]);
    });
    const { link } = await daemons[0]!.cli<{ link: string }>(
      'drive',
      'share',
      driveId,
      users[i]!,
      '--role',
      'editor',
    );
    await daemons[i]!.cli('drive', 'join', link, '--folder', folder(i));
  }
}, 120_000);

afterAll(async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop()));
  await temp?.remove();
});

it(
  `three daemons with concurrent random edits for ${seconds} s end identical (seed ${seed})`,
  { timeout: (seconds + 240) * 1000 },
  async () => {
    // Beside the shared part, each has a folder that only it edits: what is there must arrive exactly.
    const own = (i: number, at = i): string => path.join(folder(at), `own-${i}`);
    for (const i of [0, 1, 2]) await mkdir(own(i), { recursive: true });
    const statuses = (): Promise<DriveStatus[]> =>
      Promise.all(daemons.map((daemon) => daemon.cli<DriveStatus>('drive', 'status', driveId)));
    const explain = async (error: unknown): Promise<never> => {
      throw new Error(`${String(error)}: ${JSON.stringify(await statuses())}`);
    };
    const end = performance.now() + seconds * 1000;
    const over = (): boolean => performance.now() > end;
    const edits = await Promise.all(
      [0, 1, 2].flatMap((i) => [
        editAtRandom(folder(i), seed + i, over),
        editAtRandom(own(i), seed + 10 + i, over),
      ]),
    );
    expect(Math.min(...edits)).toBeGreaterThan(seconds);
    const stopped = performance.now();
    // What one settles by signing something may reach the others after they were asked.
    await until('all in step', 120_000, async () => {
      await Promise.all(
        daemons.map((daemon) => daemon.cli('drive', 'wait', driveId, '--timeout', '120').catch(explain)),
      );
      const all = await statuses();
      return (
        all.every((one) => one.state === 'in_step') && new Set(all.map((one) => one.heads.join())).size === 1
      );
    });
    console.log(
      `${edits.reduce((a, b) => a + b)} edits, in step after ${Math.round(performance.now() - stopped)} ms`,
    );
    const trees = await Promise.all([0, 1, 2].map((i) => readTree(folder(i))));
    expect(differences(trees)).toEqual([]);
    expect(trees[0]!.size).toBeGreaterThan(10);
    expect((await statuses()).flatMap((one) => one.problems)).toEqual([]);
    const checks = await Promise.all(
      daemons.map((daemon) =>
        daemon.cli<{ ok: boolean; entries: number; forks: number }>('drive', 'verify', driveId),
      ),
    );
    expect(checks.every((check) => check.ok && check.forks === 0)).toBe(true);
    expect(new Set(checks.map((check) => check.entries)).size).toBe(1);
  },
);
