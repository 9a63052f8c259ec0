import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, type Daemon } from './daemon.ts';
import { differences, readTree, seeded, seededBytes, sha256File, until, writeManyFiles } from './trees.ts';

/** Which daemon dies, in which of its threads, at which of its numbered points. */
export interface CrashPoint {
  readonly side: 'a' | 'b';
  readonly thread: 'main' | 'worker';
  readonly n: number;
}

/** A pair of daemons with a joined drive, laid out anew for every crash from one template. */
export interface CrashBench {
  /** How many points a whole transfer has, by side and thread. */
  count(): Promise<Record<`${'a' | 'b'}:${'main' | 'worker'}`, number>>;
  /** Runs the transfer, kills at the point, restarts, and throws unless both sides end whole and identical. */
  run(point: CrashPoint): Promise<{ readonly reached: boolean }>;
}

const preload = pathToFileURL(path.join(import.meta.dirname, 'crash-points.ts')).href;

/** A port nobody listens on at this address. */
async function freePort(host: string): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/**
 * Starts either daemon of a pair whose data lie in `live`, as often as wanted: `a` on one port for good, where `b` finds it.
 * @param hosts loopback addresses of the two that no other test uses, as the port is free now and then
 */
export async function startsPair(
  live: string,
  hosts: readonly [a: string, b: string],
): Promise<(side: 'a' | 'b', env?: NodeJS.ProcessEnv) => Promise<Daemon>> {
  const [hostA, hostB] = hosts;
  const port = await freePort(hostA);
  let peerA = '';
  return async (side, env = {}) => {
    const daemon = await startDaemon({
      data: path.join(live, `data-${side}`),
      host: side === 'a' ? hostA : hostB,
      port: side === 'a' ? port : 0,
      args: side === 'b' ? ['--bootstrap', `/ip4/${hostA}/tcp/${port}/p2p/${peerA}`] : [],
      env,
    });
    if (side === 'a') peerA = daemon.ready.peerId;
    return daemon;
  };
}

/** Makes the template in `dir`: identities, a shared drive with a few files, both in step, both stopped. */
export async function prepareCrashBench(dir: string): Promise<CrashBench> {
  const live = path.join(dir, 'live');
  const template = path.join(dir, 'template');
  const folder = (side: 'a' | 'b'): string => path.join(live, `folder-${side}`);
  await mkdir(live, { recursive: true });
  const start = await startsPair(live, ['127.0.0.62', '127.0.0.63']);
  await mkdir(folder('a'), { recursive: true });
  await mkdir(folder('b'), { recursive: true });

  const [a, b] = [await start('a'), await start('b')];
  await a.cli('id', 'create');
  const { userId } = await b.cli<{ userId: string }>('id', 'create');
  const { driveId } = await a.cli<{ driveId: string }>('drive', 'create', 'crash', '--folder', folder('a'));
  await a.cli('drive', 'share', driveId, userId, '--role', 'editor');
  await b.cli('drive', 'join', driveId, '--folder', folder('b'));
  await writeManyFiles(path.join(folder('a'), 'before'), 12, { min: 10, max: 9000 }, seeded(7));
  await writeFile(path.join(folder('a'), 'edited.bin'), seededBytes(seeded(8), 3_000_000));
  await writeFile(path.join(folder('b'), 'gone.txt'), 'to be deleted');
  await b.cli('drive', 'wait', driveId, '--timeout', '60');
  await a.cli('drive', 'wait', driveId, '--timeout', '60');
  await Promise.all([a.stop(), b.stop()]);
  await cp(live, template, { recursive: true, preserveTimestamps: true });

  /** The transfer: new, changed, moved, deleted, small and large, from both sides. */
  const change = async (): Promise<Map<string, string>> => {
    const A = folder('a');
    await writeManyFiles(path.join(A, 'new'), 30, { min: 100, max: 40_000 }, seeded(9));
    await writeFile(path.join(A, 'large.bin'), seededBytes(seeded(10), 9_000_000));
    await writeFile(
      path.join(A, 'edited.bin'),
      seededBytes(seeded(8), 3_000_000).fill(1, 1_000_000, 1_000_100),
    );
    await cp(path.join(A, 'before'), path.join(A, 'copied'), { recursive: true });
    await rm(path.join(A, 'gone.txt'));
    await writeFile(path.join(folder('b'), 'from-b.txt'), 'written by b');
    const expected = await readTree(A);
    // Not all of B's folder: its daemon has begun to change it.
    expected.set('from-b.txt', `sha256:${await sha256File(path.join(folder('b'), 'from-b.txt'))}`);
    return expected;
  };

  const reset = async (): Promise<void> => {
    await rm(live, { recursive: true, force: true });
    await cp(template, live, { recursive: true, preserveTimestamps: true });
  };

  const settle = async (daemons: readonly Daemon[], expected: ReadonlyMap<string, string>): Promise<void> => {
    // Asked over one connection each: a start of the command line for every question would take longer than the transfer.
    const apis = await Promise.all(daemons.map((daemon) => connectToDaemon(daemon.data)));
    try {
      // Waiting answers at once while the other side is not reachable (yet), so both have to know of each other as well;
      // and what one sends after the other's waiting is over shows in its state, not in its heads.
      await until('both in step with each other', 90_000, async () => {
        for (const { client } of apis) await client.drives.wait({ drive: driveId, timeout: 90 });
        const both = await Promise.all(apis.map(({ client }) => client.drives.status({ drive: driveId })));
        return both.every(
          (one) => one.state === 'in_step' && one.copies === 2 && one.heads.join() === both[0]?.heads.join(),
        );
      });
      await compare(expected, apis);
    } finally {
      for (const { close } of apis) close();
    }
  };
  const compare = async (
    expected: ReadonlyMap<string, string>,
    apis: readonly Awaited<ReturnType<typeof connectToDaemon>>[],
  ): Promise<void> => {
    const found = differences([expected, await readTree(folder('a')), await readTree(folder('b'))]);
    if (found.length > 0) throw new Error(`expected | a | b: ${found.slice(0, 8).join('; ')}`);
    for (const { client } of apis) {
      const check = await client.drives.verify({ drive: driveId });
      if (!check.ok) throw new Error(`the history does not verify: ${JSON.stringify(check)}`);
    }
  };

  return {
    async count() {
      await reset();
      const env = (side: string): NodeJS.ProcessEnv => ({
        NODE_OPTIONS: `--import=${preload}`,
        EXTRACHAIN_CRASH_COUNT: path.join(dir, `count-${side}`),
        EXTRACHAIN_CRASH_ARMED: path.join(dir, 'armed'),
      });
      const daemons = [await start('a', env('a')), await start('b', env('b'))];
      try {
        await writeFile(path.join(dir, 'armed'), '');
        await settle(daemons, await change());
        await new Promise((resolve) => setTimeout(resolve, 500));
      } finally {
        await Promise.all(daemons.map((daemon) => daemon.stop()));
        await rm(path.join(dir, 'armed'), { force: true });
      }
      const read = async (name: string): Promise<number> =>
        Number(await readFile(path.join(dir, name), 'utf8').catch(() => '0'));
      return {
        'a:main': await read('count-a.main'),
        'a:worker': await read('count-a.worker'),
        'b:main': await read('count-b.main'),
        'b:worker': await read('count-b.worker'),
      };
    },

    async run(point) {
      await reset();
      const armedFile = path.join(dir, 'armed');
      const env: NodeJS.ProcessEnv = {
        NODE_OPTIONS: `--import=${preload}`,
        EXTRACHAIN_CRASH_POINT: `${point.thread}:${point.n}`,
        EXTRACHAIN_CRASH_ARMED: armedFile,
      };
      const both = (['a', 'b'] as const).map((side) => start(side, point.side === side ? env : {}));
      const [a, b] = await Promise.all(both).catch(async (error: unknown) => {
        // Whoever did start would hold the port, and write into the folder of the next point.
        for (const one of await Promise.allSettled(both))
          if (one.status === 'fulfilled') await one.value.kill();
        throw error;
      });
      const daemons = { a: a!, b: b! };
      let reached = true;
      try {
        await writeFile(armedFile, '');
        const expected = await change();
        const victim = daemons[point.side];
        try {
          await until('the crash', 20_000, () => !alive(victim.pid), 20);
        } catch {
          reached = false;
          await victim.kill();
        }
        await rm(armedFile, { force: true });
        daemons[point.side] = await start(point.side);
        await settle([daemons.a, daemons.b], expected);
      } catch (error) {
        const where = `${point.side}:${point.thread}:${point.n}`;
        throw new Error(
          `crash point ${where}: ${(error as Error).message}\n--- a\n${daemons.a.log()}\n--- b\n${daemons.b.log()}`,
          { cause: error },
        );
      } finally {
        await rm(armedFile, { force: true });
        await Promise.all([daemons.a.stop(), daemons.b.stop()]);
      }
      return { reached };
    },
  };
}

/** Whether a process of ours still runs. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** `count` points spread evenly over all numbered ones. */
export function spread(
  total: Record<`${'a' | 'b'}:${'main' | 'worker'}`, number>,
  count: number,
): CrashPoint[] {
  const all = Object.entries(total).flatMap(([key, n]) => {
    const [side, thread] = key.split(':') as ['a' | 'b', 'main' | 'worker'];
    const share = Math.max(1, Math.round((count * n) / Object.values(total).reduce((x, y) => x + y, 0)));
    return n === 0
      ? []
      : Array.from({ length: share }, (_, i) => ({ side, thread, n: 1 + Math.floor((i * n) / share) }));
  });
  return all;
}
