import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sameHistory } from './testing/memory-drive.ts';
import { startRealNode } from './testing/real-network.ts';
import type { RealNode } from './testing/real-network.ts';
import { createReplica, driveId, makeBlocks, put, requestsFor, until } from './testing/world.ts';
import type { Replica } from './testing/world.ts';

const never = new AbortController().signal;
const names = ['one', 'two', 'three'];
let nodes: RealNode[] = [];
let replicas: Replica[] = [];

beforeAll(async () => {
  nodes = await Promise.all(names.map((name, i) => startRealNode(name, `127.0.0.${i + 2}`)));
  replicas = await Promise.all(nodes.map((node, i) => createReplica(node.network, names[i]!, names)));
  for (const { drive } of replicas) for (const { user } of nodes) drive.roles.set(user, 'editor');
});
afterAll(async () => {
  await Promise.all(replicas.map(({ exchange }) => exchange.stop()));
  await Promise.all(nodes.map((node) => node.stop()));
});

/** Everything runs over real libp2p connections on loopback addresses, one after another. */
describe('the exchange over libp2p', () => {
  test('three replicas find the union of their entries', async () => {
    replicas.forEach(({ drive }, i) => drive.append(50 + i));
    await nodes[0]!.network.connect(nodes[1]!.network.addresses()[0]!);
    await nodes[0]!.network.connect(nodes[2]!.network.addresses()[0]!);
    await nodes[1]!.network.connect(nodes[2]!.network.addresses()[0]!);
    await until(() => replicas.every(({ drive }) => drive.entries().length === 153), 10_000);
    await until(() =>
      replicas.every(({ exchange }) => {
        const members = exchange.members(driveId);
        return members.length === 2 && members.every((member) => member.sameHistory);
      }),
    );
    expect(sameHistory(replicas[0]!.drive, replicas[1]!.drive)).toBe(true);
  });

  test('a new entry arrives within milliseconds', async () => {
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      const at = performance.now();
      const arrived = new Promise<void>((resolve) => {
        const off = replicas[1]!.drive.on('entries', () => (off(), resolve()));
      });
      replicas[0]!.drive.append(1);
      await arrived;
      delays.push(performance.now() - at);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    delays.sort((a, b) => a - b);
    expect(delays[10]!).toBeLessThan(25);
  });

  test('large and small blocks from two sources', async () => {
    const large = makeBlocks(64, 1 << 20, 7);
    const small = makeBlocks(2000, 20_000, 8);
    put(replicas[0]!.source, [...large, ...small.slice(0, 1500)]);
    put(replicas[2]!.source, [...large, ...small.slice(500)]);
    const got = new Map<string, Uint8Array>();
    await replicas[1]!.exchange.fetch(driveId, requestsFor([...large, ...small], got), never);
    expect(got.size).toBe(2064);
    expect(replicas[0]!.source.reads + replicas[2]!.source.reads).toBeLessThan(2064 + 1200);
  });

  test('a transfer survives that one of its sources goes away, and history heals when it is back', async () => {
    const blocks = makeBlocks(100, 1 << 20, 9);
    put(replicas[0]!.source, blocks);
    put(replicas[2]!.source, blocks);
    const fetching = replicas[1]!.exchange.fetch(driveId, requestsFor(blocks), never);
    setTimeout(() => void nodes[1]!.network.disconnect(nodes[2]!.network.peerId), 30);
    await fetching;
    // Whose stream broke before the connection was seen to end may have called again by now.
    for (const node of nodes.slice(0, 2)) await node.network.disconnect(nodes[2]!.network.peerId);
    await until(() => nodes[2]!.network.peers().length === 0);
    replicas[2]!.drive.append(5);
    const count = replicas[2]!.drive.entries().length;
    await nodes[2]!.network.connect(nodes[0]!.network.addresses()[0]!);
    await until(() => replicas.every(({ drive }) => drive.entries().length === count), 10_000);
  });
});
