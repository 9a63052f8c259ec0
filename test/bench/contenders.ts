import { execFile, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { startDaemon, type Daemon } from '../support/daemon.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/trees.ts';
import { startSyncthingPair, syncthingVersion } from './syncthing.ts';

const run = promisify(execFile);

/** A program that brings folder `b` to the state of folder `a`, two processes on loopback. */
export interface Pair {
  readonly a: string;
  readonly b: string;
  /** Says "something changed in a" where the program would not find out at once by itself. */
  nudge(): Promise<void>;
  /** Bytes on the wire since `resetWire`, both ways; null where they can't be counted. */
  wire(): number | null;
  resetWire(): void;
  readonly pids: readonly number[];
  readonly daemons: readonly Daemon[];
  stop(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** Version, or null where it is not installed. */
  version(): Promise<string | null>;
  start(dir: string): Promise<Pair>;
}

/**
 * Two daemons; without the bulk channel the second reaches the first through a counting proxy. With it they must reach each
 * other directly, or there is no such channel.
 */
export async function startExtrachainPair(
  dir: string,
  options: { bulk: boolean },
): Promise<Pair & { driveId: string; restart(): Promise<void> }> {
  const folders = { a: path.join(dir, 'folder-a'), b: path.join(dir, 'folder-b') };
  await mkdir(folders.a, { recursive: true });
  await mkdir(folders.b, { recursive: true });
  const first = await startDaemon({ data: path.join(dir, 'data-a'), host: '127.0.0.2' });
  const [, , host, , port] = first.ready.addresses[0]!.split('/');
  const proxy = await startTcpProxy({ host: host!, port: Number(port) });
  const through = options.bulk
    ? first.ready.addresses[0]!
    : `/ip4/127.0.0.1/tcp/${proxy.port}/p2p/${first.ready.peerId}`;
  const second = await startDaemon({
    data: path.join(dir, 'data-b'),
    host: '127.0.0.3',
    args: ['--bootstrap', through],
  });
  const daemons = [first, second];
  for (const daemon of daemons) await daemon.cli('settings', 'set', 'net.bulk', String(options.bulk));
  // Before anything else dials: else the two may meet at the first's own address, where nobody counts.
  await until(
    'the two are connected',
    30_000,
    async () => (await second.cli<unknown[]>('net', 'peers')).length > 0,
  );
  await first.cli('id', 'create');
  const { userId } = await second.cli<{ userId: string }>('id', 'create');
  const { driveId } = await first.cli<{ driveId: string }>('drive', 'create', 'bench', '--folder', folders.a);
  await first.cli('drive', 'share', driveId, userId, '--role', 'editor');
  await second.cli('drive', 'join', driveId, '--folder', folders.b);
  await first.cli('drive', 'wait', driveId, '--timeout', '60');
  return {
    ...folders,
    driveId,
    nudge: async () => {},
    wire: () => (options.bulk ? null : proxy.bytes().toTarget + proxy.bytes().fromTarget),
    resetWire: () => proxy.reset(),
    pids: daemons.map((daemon) => daemon.pid),
    daemons,
    async restart() {
      await second.stop();
      daemons[1] = await startDaemon({
        data: path.join(dir, 'data-b'),
        host: '127.0.0.3',
        args: ['--bootstrap', through],
      });
    },
    async stop() {
      await Promise.all(daemons.map((daemon) => daemon.stop()));
      await proxy.close();
    },
  };
}

export const contenders: readonly Contender[] = [
  {
    name: 'ExtraChain, libp2p alone',
    version: async () => `Node ${process.versions.node}`,
    start: (dir) => startExtrachainPair(dir, { bulk: false }),
  },
  {
    name: 'ExtraChain, bulk channel',
    version: async () => `Node ${process.versions.node}`,
    start: (dir) => startExtrachainPair(dir, { bulk: true }),
  },
  {
    name: 'Syncthing',
    version: syncthingVersion,
    async start(dir) {
      const pair = await startSyncthingPair(dir);
      return {
        a: pair.a,
        b: pair.b,
        nudge: pair.rescan,
        wire: () => null,
        resetWire() {},
        pids: pair.pids(),
        daemons: [],
        stop: pair.stop,
      };
    },
  },
  ...([false, true] as const).map((fsync): Contender => ({
    name: fsync ? 'rsync --fsync' : 'rsync',
    version: async () => {
      try {
        return (await run('rsync', ['--version'])).stdout.split('\n')[0]!.replace(/ +/g, ' ');
      } catch {
        return null;
      }
    },
    async start(dir) {
      const a = path.join(dir, 'folder-a');
      const b = path.join(dir, 'folder-b');
      await mkdir(a, { recursive: true });
      await mkdir(b, { recursive: true });
      return {
        a,
        b,
        nudge: () =>
          new Promise((resolve, reject) => {
            const args = [
              '-a',
              '--no-whole-file',
              '--delete',
              ...(fsync ? ['--fsync'] : []),
              `${a}/`,
              `${b}/`,
            ];
            spawn('rsync', args, { stdio: 'ignore' })
              .on('error', reject)
              .on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`rsync ended with ${code}`))));
          }),
        wire: () => null,
        resetWire() {},
        pids: [],
        daemons: [],
        stop: async () => {},
      };
    },
  })),
];
