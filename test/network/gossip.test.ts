import { afterAll, expect, test } from 'vitest';
import type { TopicVerdict } from '../../src-main/network/index.ts';
import { startNode, stopAll } from './harness.ts';

afterAll(stopAll);

test('a message goes round through others, once, after each looked at it; what is rejected goes no further', async () => {
  // a - b - c: what a says reaches c through b only.
  const nodes = await Promise.all(
    ['127.0.0.2', '127.0.0.3', '127.0.0.4'].map((address) => startNode({ address, gossip: true })),
  );
  const got: string[][] = [[], [], []];
  const topics = nodes.map(({ network }, i) =>
    network.topic('test-chain/votes/1', {
      maxBytes: 100,
      validate(_from, data): TopicVerdict {
        const text = Buffer.from(data).toString();
        got[i]!.push(text);
        return text.startsWith('bad') ? 'reject' : 'accept';
      },
    }),
  );
  await nodes[0]!.network.connect(nodes[1]!.network.addresses()[0]!);
  await nodes[1]!.network.connect(nodes[2]!.network.addresses()[0]!);
  await expect.poll(() => topics[1]!.peers().length).toBe(2);
  await expect.poll(() => topics[2]!.peers().length).toBe(1);
  // The mesh of c forms at a heartbeat; until it has, a message may be lost.
  await expect
    .poll(
      async () => {
        await topics[0]!.publish(Buffer.from(`hello ${Date.now()}`));
        return got[2]!.some((text) => text.startsWith('hello'));
      },
      { interval: 200 },
    )
    .toBe(true);
  await topics[0]!.publish(Buffer.from('bad news'));
  await topics[0]!.publish(Buffer.from('once'));
  await topics[0]!.publish(Buffer.from('once'));
  await expect.poll(() => got[2]!.includes('once')).toBe(true);
  expect(got[1]!.filter((text) => text === 'bad news')).toHaveLength(1);
  expect(got[1]!.filter((text) => text === 'once')).toHaveLength(1);
  expect(got[2]).not.toContain('bad news');
  await expect(topics[0]!.publish(new Uint8Array(101))).rejects.toMatchObject({ code: 'too_large' });
  expect(() =>
    nodes[0]!.network.topic('test-chain/votes/1', { maxBytes: 1, validate: () => 'ignore' }),
  ).toThrow(expect.objectContaining({ code: 'already_exists' }));
});
