/**
 * Several libp2p nodes in one process, for `bench:hosting`: each has a real network and exchange and keeps blocks in memory. Told over
 * IPC what to do.
 */
import { isAppError } from '../../src-shared/errors.ts';
import { createReplica, driveId, makeBlocks, put, until } from '../../src-main/exchange/testing/world.ts';
import type { Replica } from '../../src-main/exchange/testing/world.ts';
import { startRealNode } from '../../src-main/exchange/testing/real-network.ts';
import type { RealNode } from '../../src-main/exchange/testing/real-network.ts';
import type { Orders, Report, SwarmNode } from './swarm.ts';

const blockBytes = 256 * 1024;
const never = new AbortController().signal;
const nodes = new Map<string, { readonly node: RealNode; readonly replica: Replica }>();
let blocks: ReturnType<typeof makeBlocks> = [];

const say = (report: Report): void => void process.send!(report);

async function begin({
  names,
  host,
  bytes,
  upload,
}: Extract<Orders, { t: 'begin' }>): Promise<readonly SwarmNode[]> {
  blocks = makeBlocks(bytes / blockBytes, blockBytes, 3);
  const started = names.map(async (name, i) => {
    const node = await startRealNode(name, `127.0.0.${host + i}`);
    node.network.setLimits({ up: upload, down: null });
    const replica = await createReplica(node.network, name, []);
    nodes.set(name, { node, replica });
    return { name, address: node.network.addresses()[0]!, user: node.user };
  });
  return Promise.all(started);
}

/** On a busy machine a dial may take longer than is waited for. */
async function connect({ network }: RealNode, address: string): Promise<void> {
  for (let tries = 1; tries <= 10; tries++) {
    if ((await network.connect(address).catch(() => null)) !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** Connects to those it knows, and fetches all blocks; what it has it serves. */
async function fetchAll(name: string, peers: readonly string[]): Promise<number> {
  const { node, replica } = nodes.get(name)!;
  const since = performance.now();
  await Promise.all(peers.map((address) => connect(node, address)));
  // Each side has seen the other's card then, and may have the drive.
  const known = (): number => replica.exchange.members(driveId).filter((one) => one.sameHistory).length;
  await until(() => known() >= Math.min(peers.length, node.network.peers().length), 120_000);
  const requests = blocks.map(({ ref, bytes }) => ({
    ref,
    // The blocks are known beforehand: what comes is compared, and served from then on.
    accept: async (ciphertext: Uint8Array): Promise<void> => {
      if (Buffer.compare(ciphertext, bytes) !== 0) throw new Error('a block is not what it should be');
      put(replica.source, [{ ref, bytes }]);
    },
  }));
  for (let left = requests; left.length > 0;) {
    await replica.exchange.fetch(driveId, left, never).catch(async (error: unknown) => {
      // A connection was lost, as happens on a busy machine: what is missing is fetched again, as a drive does.
      if (!isAppError(error, 'gone')) throw error;
      await Promise.all(peers.map((address) => connect(node, address)));
    });
    left = left.filter(({ ref }) => !replica.source.blocks.has(Buffer.from(ref.id).toString('hex')));
  }
  return performance.now() - since;
}

async function obey(orders: Orders): Promise<void> {
  switch (orders.t) {
    case 'begin':
      return say({ t: 'begun', nodes: await begin(orders) });
    case 'members':
      for (const { replica } of nodes.values())
        for (const user of orders.users) replica.drive.roles.set(user, 'editor');
      return say({ t: 'ready' });
    case 'hold':
      put(nodes.get(orders.name)!.replica.source, blocks);
      return say({ t: 'ready' });
    case 'fetch':
      return say({ t: 'fetched', name: orders.name, ms: await fetchAll(orders.name, orders.peers) });
    case 'count':
      return say({
        t: 'counted',
        sent: [...nodes].map(([name, { node }]) => ({ name, bytes: node.network.traffic().sent })),
      });
    case 'end':
      for (const { node, replica } of nodes.values()) {
        await replica.exchange.stop();
        await node.stop();
      }
      process.exit(0);
  }
}

process.on('message', (orders: Orders) => {
  obey(orders).catch((error: unknown) => say({ t: 'failed', message: String(error) }));
});
process.once('disconnect', () => process.exit(1));
