import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { wallClock as clock } from '../../../src-shared/wall-clock.ts';
import { createContentIo, type Drive, type Role } from '../../drive/index.ts';
import { createTestBench, gossip, person, seededRandom, type TestNode } from '../../drive/testing.ts';
import { createChunkStore, type Database } from '../../store/index.ts';
import { createFolderSync } from '../engine/folder-sync.ts';
import type { FolderSyncDeps } from '../engine/folder-sync-deps.ts';
import type { FolderSync } from '../types.ts';
import { createLocalNetwork } from './local-network.ts';

export interface Computer {
  readonly name: string;
  readonly folder: string;
  readonly drive: Drive;
  readonly db: Database;
  sync: FolderSync;
  path(...parts: string[]): string;
  write(path: string, content: string | Uint8Array): Promise<void>;
  read(path: string): Promise<string>;
  /** Stops and starts the engine over the same database and folder. */
  restart(overrides?: Partial<FolderSyncDeps>): Promise<void>;
}

/** Real folders, real drives and real databases of several members, joined by a network inside the process. */
export async function createComputers(test: string, names: readonly string[], roles: readonly Role[] = []) {
  const root = await fs.mkdtemp(join(tmpdir(), `extrachain-sync-${test}-`));
  const bench = createTestBench(`sync ${test}`);
  const content = createContentIo({ threads: 1 });
  const network = createLocalNetwork();
  const computers: Computer[] = [];
  const stops: (() => Promise<void>)[] = [];
  const nodes: TestNode[] = names.map((name) => bench.node(person(name)));
  const first = await nodes[0]!.create('Test');
  const drives = [first];
  for (const [index, node] of nodes.entries()) {
    if (index === 0) continue;
    const drive = await node.join(first);
    const role = roles[index] ?? 'editor';
    if (role !== 'owner') await first.share(node.who.userId, node.who.encKey, role);
    drives.push(drive);
  }
  await gossip(...drives);

  async function boot(index: number, overrides: Partial<FolderSyncDeps> = {}): Promise<Computer> {
    const name = names[index] ?? '';
    const drive = drives[index]!;
    const folder = overrides.folder ?? join(root, name);
    const chunks = createChunkStore({ dir: join(root, `${name}-chunks`), budget: 2e9 });
    await chunks.start();
    const { exchange, attach } = network.join(name, drive, nodes[index]!.who);
    const random = seededRandom(`${test} ${name} ${Date.now()}`);
    const make = (more: Partial<FolderSyncDeps>): FolderSync => {
      const sync = createFolderSync({
        drive,
        exchange,
        content,
        chunks,
        db: nodes[index]!.db(drive),
        folder,
        clock,
        random,
        logger: silentLogger,
        ...overrides,
        ...more,
      });
      attach(sync.blocks);
      return sync;
    };
    const path = (...parts: string[]): string => join(folder, ...parts);
    const computer: Computer = {
      name,
      folder,
      drive,
      db: nodes[index]!.db(drive),
      sync: make({}),
      path,
      async write(at, bytes) {
        await fs.mkdir(join(path(at), '..'), { recursive: true });
        await fs.writeFile(path(at), bytes);
      },
      read: (at) => fs.readFile(path(at), 'utf8'),
      async restart(more = {}) {
        await computer.sync.stop();
        computer.sync = make(more);
        await computer.sync.start();
      },
    };
    stops.push(() => computer.sync.stop());
    computers.push(computer);
    return computer;
  }

  return {
    root,
    network,
    content,
    boot,
    async start(): Promise<Computer[]> {
      for (let i = 0; i < names.length; i++) await (await boot(i)).sync.start();
      return computers;
    },
    /** Scans everywhere until every folder equals its tree and all trees are one. */
    async settle(same: (lines: string[]) => string[] = (lines) => lines): Promise<void> {
      for (let round = 0; round < 20; round++) {
        for (const one of computers) await one.sync.scan();
        await network.gossip();
        for (const one of computers) await one.sync.settled(AbortSignal.timeout(20_000));
        await network.gossip();
        const shown = await Promise.all(computers.map((one) => show(one.folder)));
        const distinct = new Set(shown.map((lines) => same(lines).sort().join('\n')));
        if (computers.every((one) => one.sync.status().state === 'in_step') && distinct.size === 1) return;
      }
      throw new Error(`Not settled: ${JSON.stringify(computers.map((one) => one.sync.status()))}`);
    },
    async clean(): Promise<void> {
      for (const stop of stops) await stop();
      await network.stop();
      await content.stop();
      bench.clean();
      await fs.rm(root, { recursive: true, force: true });
    },
  };
}

/** Every path of a folder with what it holds, sorted; the engine's own folder left out. */
export async function show(folder: string, prefix = ''): Promise<string[]> {
  const lines: string[] = [];
  for (const entry of await fs.readdir(join(folder, prefix), { withFileTypes: true })) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (path === '.extrachain') continue;
    if (entry.isDirectory()) lines.push(`${path}/`, ...(await show(folder, path)));
    else if (entry.isSymbolicLink()) lines.push(`${path} -> ${await fs.readlink(join(folder, path))}`);
    else if (entry.isFile()) {
      const bytes = await fs.readFile(join(folder, path));
      const { mode } = await fs.stat(join(folder, path));
      const shown = bytes.length <= 40 ? bytes.toString() : createHash('sha256').update(bytes).digest('hex');
      lines.push(`${path}${(mode & 0o100) === 0 ? '' : '*'} = ${shown}`);
    }
  }
  return lines.sort();
}
