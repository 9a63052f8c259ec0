import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Node } from '../../src-main/api/index.ts';
import { createNode } from '../../src-main/node/index.ts';

/** A whole node in the test's own process: as real as a daemon, without a process, a command line and their time. */
export interface LocalNode {
  readonly node: Node;
  readonly data: string;
  readonly peerId: string;
  address(): string;
  stop(): Promise<void>;
}

const never = new AbortController().signal;

/** Starts a node on a loopback address. The same folder starts the same node again. */
export async function startNode(
  data: string,
  host: string,
  settings: Readonly<Record<string, string | number | boolean>> = {},
): Promise<LocalNode> {
  await mkdir(data, { recursive: true });
  const node = await createNode({
    dataDir: data,
    listen: [`/ip4/${host}/tcp/0`],
    bootstrap: [],
    mdns: false,
    password: null,
    logLevel: (process.env['EXTRACHAIN_TEST_LOG'] ?? 'silent') as 'silent',
  });
  for (const [key, value] of Object.entries(settings)) await node.settings.set({ key, value }, never);
  await node.start();
  let stopping: Promise<void> | null = null;
  return {
    node,
    data,
    peerId: node.peerId,
    address: () => node.addresses()[0]!,
    stop: () => (stopping ??= node.stop()),
  };
}

/** Connects two nodes. */
export async function meet(a: LocalNode, b: LocalNode): Promise<void> {
  await a.node.net.ping({ peer: b.address() }, never);
}

/** A folder inside `dir`, made when missing. */
export async function folderIn(dir: string, name: string): Promise<string> {
  const folder = path.join(dir, name);
  await mkdir(folder, { recursive: true });
  return folder;
}
