import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sameBytes } from '../codec/index.ts';
import {
  addressOfName,
  balanceIn,
  genesisOf,
  openChainNode,
  tempFolder,
  transfer,
  until,
} from './testing/world.ts';
import type { ChainNode, ChainNodeOptions } from './testing/world.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
const open: ChainNode[] = [];
/** Quicker than in the field, so that tests are short. */
const fast = { blockInterval: 100, emptyBlockInterval: 400, propose: 500, prevote: 250, precommit: 250 };

beforeAll(async () => {
  folder = await tempFolder();
});
afterAll(async () => {
  await Promise.all(open.map((node) => node.stop()));
  await folder.remove();
});

async function start(options: Omit<ChainNodeOptions, 'dir'> & { dir?: string }): Promise<ChainNode> {
  const dir = options.dir ?? path.join(folder.dir, options.name);
  await mkdir(dir, { recursive: true });
  const node = await openChainNode({ consensus: fast, ...options, dir });
  open.push(node);
  await node.chain.start();
  return node;
}

async function stop(node: ChainNode): Promise<void> {
  open.splice(open.indexOf(node), 1);
  await node.stop();
}

const heightOf = (node: ChainNode): number => node.chain.status().height;

describe('a chain', { timeout: 150_000 }, () => {
  test('one validator alone, in a thread, makes blocks, takes transactions, and goes on after a restart', async () => {
    const genesis = genesisOf(1, ['ada']);
    // Time enough between two blocks that what is handed in still waits when it is asked for.
    const consensus = { ...fast, blockInterval: 2000, emptyBlockInterval: 2000 };
    const solo = await start({
      name: 'solo',
      ip: '127.0.1.2',
      genesis,
      consensusKey: 'consensus 0',
      consensus,
      thread: true,
    });
    await until(
      () => heightOf(solo) >= 1,
      () => JSON.stringify(heightOf(solo)),
    );
    const ben = addressOfName('ben');
    const txs = [0, 1, 2].map((nonce) => transfer(genesis, 'ada', nonce, ben, 1000n));
    for (const tx of txs) await solo.chain.submit(tx);
    await expect(solo.chain.submit(txs[0]!)).rejects.toMatchObject({ code: 'tx_known' });
    expect(await solo.chain.nextNonce(addressOfName('ada'), 0)).toBe(3);
    await until(
      () => balanceIn(solo.ledger, ben) === 3000n,
      () => String(balanceIn(solo.ledger, ben)),
    );
    await until(
      () => solo.chain.status().mempool.count === 0,
      () => JSON.stringify(solo.chain.status()),
    );
    expect(solo.chain.status()).toMatchObject({ voting: true, sync: 'following' });
    const before = heightOf(solo);
    await stop(solo);
    expect(() => solo.ledger.last()).toThrow(expect.objectContaining({ code: 'shutting_down' }));
    const again = await start({
      name: 'solo',
      ip: '127.0.1.2',
      genesis,
      consensusKey: 'consensus 0',
      thread: true,
    });
    await until(
      () => heightOf(again) > before + 1,
      () => JSON.stringify(again.chain.status().problem),
    );
    expect(again.chain.status().problem).toBeNull();
    await stop(again);
  });

  test('four validators agree; one stops and comes back; a full and a light node follow', async () => {
    const genesis = genesisOf(4, ['ada']);
    const nodes = await Promise.all(
      [0, 1, 2, 3].map((i) =>
        start({ name: `four ${i}`, ip: `127.0.1.${10 + i}`, genesis, consensusKey: `consensus ${i}` }),
      ),
    );
    for (const [i, one] of nodes.entries())
      for (const other of nodes.slice(i + 1))
        await one.node.network.connect(other.node.network.addresses()[0]!);
    await until(
      () => nodes.every((node) => heightOf(node) >= 3),
      () =>
        nodes
          .map((node) =>
            JSON.stringify(node.chain.status(), (_k, v) =>
              typeof v === 'bigint' ? String(v) : v instanceof Uint8Array ? '' : v,
            ),
          )
          .join('\n'),
    );
    const ben = addressOfName('ben');
    for (let nonce = 0; nonce < 20; nonce++) {
      await nodes[nonce % 4]!.chain.submit(transfer(genesis, 'ada', nonce, ben, 500n)).catch(
        async (error) => {
          // A later nonce may come to another node before the earlier ones were gossiped there: they queue.
          throw error;
        },
      );
    }
    await until(
      () => nodes.every((node) => balanceIn(node.ledger, ben) === 10_000n),
      () => nodes.map((node) => balanceIn(node.ledger, ben)).join(' '),
    );
    const third = nodes[3]!;
    await stop(third);
    const at = heightOf(nodes[0]!);
    await until(
      () => nodes.slice(0, 3).every((node) => heightOf(node) > at + 5),
      () => 'three go on',
    );
    const back = await start({
      name: 'four 3',
      ip: '127.0.1.13',
      genesis,
      consensusKey: 'consensus 3',
    });
    await back.node.network.connect(nodes[0]!.node.network.addresses()[0]!);
    await until(
      () => heightOf(back) >= at + 6 && back.chain.status().voting,
      () => JSON.stringify(back.chain.status(), (_k, v) => (typeof v === 'bigint' ? String(v) : v)),
    );

    const full = await start({ name: 'full', ip: '127.0.1.20', genesis, role: 'full', consensusKey: null });
    const light = await start({
      name: 'light',
      ip: '127.0.1.21',
      genesis,
      role: 'light',
      consensusKey: null,
    });
    for (const node of nodes.slice(0, 3)) {
      await full.node.network.connect(node.node.network.addresses()[0]!);
      await light.node.network.connect(node.node.network.addresses()[0]!);
    }
    await until(
      () => heightOf(full) > at && heightOf(light) > at,
      () => `${heightOf(full)} ${heightOf(light)}`,
    );
    await until(
      () => light.chain.status().witnesses === 2,
      () => 'two witnesses',
    );
    const old = await light.chain.header(2);
    expect(sameBytes(old.commit.blockId, (await full.chain.header(2)).commit.blockId)).toBe(true);
    const height = heightOf(full);
    await until(
      () => nodes.slice(0, 3).every((node) => heightOf(node) >= height),
      () => 'all there',
    );
    for (let h = 1; h <= height; h++) {
      const roots = [full, ...nodes.slice(0, 3)].map((node) =>
        Buffer.from(node.ledger.signedHeaderAt(h)!.header.stateRoot).toString('hex'),
      );
      expect(new Set(roots).size).toBe(1);
    }
    // A transaction of a light node goes through others.
    await light.chain.submit(transfer(genesis, 'ada', 20, ben, 1n));
    await until(
      () => balanceIn(full.ledger, ben) === 10_001n,
      () => 'the light node’s transfer',
    );
  });
});
