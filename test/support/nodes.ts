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
  port = 0,
): Promise<LocalNode> {
  await mkdir(data, { recursive: true });
  const node = await createNode({
    dataDir: data,
    listen: [`/ip4/${host}/tcp/${port}`],
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

/** Three people on one network that the first founded; the second follows it as a light node, the third keeps all of it. */
export async function threeOnOneNetwork(
  dir: string,
  hosts: string,
  name: string,
): Promise<[LocalNode, LocalNode, LocalNode]> {
  const nodes = await Promise.all(
    ['ada', 'ben', 'cyd'].map((who, i) => startNode(path.join(dir, who), `${hosts}.${i + 1}`)),
  );
  const [ada, ben, cyd] = nodes as [LocalNode, LocalNode, LocalNode];
  for (const { node } of nodes) await node.identity.create({ words: 12 }, never);
  const { link } = await ada.node.chain.create({ name, genesis: null }, never);
  await meet(cyd, ada);
  await meet(ben, ada);
  await meet(ben, cyd);
  await cyd.node.chain.join({ link, light: false }, never);
  await ben.node.chain.join({ link, light: true }, never);
  return [ada, ben, cyd];
}

/** The user id of a node's identity. */
export const userOf = async ({ node }: LocalNode): Promise<string> =>
  (await node.identity.show({}, never)).userId;
