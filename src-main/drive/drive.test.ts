import { afterAll, expect, test } from 'vitest';
import { createTestBench, dump, gossip, nodeId, person, send, text } from './test-support/people.ts';
import { rootNode } from './types.ts';

const bench = createTestBench('drive');
afterAll(() => bench.clean());

test('two members share a drive and see one tree', async () => {
  const alice = bench.node(person('alice'));
  const bob = bench.node(person('bob', 'Desktop'));
  const a = await alice.create('Photos');
  expect(a.name()).toBe('Photos');
  const [made] = await a.commit([
    { t: 'make', node: nodeId('dir'), kind: 'dir', parent: rootNode, name: 'docs', content: null },
    {
      t: 'make',
      node: nodeId('f'),
      kind: 'file',
      parent: nodeId('dir'),
      name: 'a.txt',
      content: text('one'),
    },
  ]);
  expect(made).toMatch(/^bafyrei[a-z2-7]+\/\d+$/);
  expect(a.tree.resolve('docs/a.txt')?.content).toMatchObject({ size: 3 });

  const b = await bob.join(a);
  await send(a, b);
  expect(b.tree.children(rootNode)).toEqual([]);
  expect(() => b.currentEpoch()).toThrow(expect.objectContaining({ code: 'key_missing' }));

  await a.share(bob.who.userId, bob.who.encKey, 'editor');
  await send(a, b);
  expect(b.ownRole()).toBe('editor');
  expect(b.name()).toBe('Photos');
  expect(dump(b)).toEqual(dump(a));

  await b.commit([{ t: 'move', node: nodeId('dir'), parent: rootNode, name: 'papers' }]);
  await gossip(a, b);
  expect(a.tree.path(nodeId('f'))).toBe('papers/a.txt');
  expect(dump(b)).toEqual(dump(a));
  const check = await b.verify();
  expect(check).toMatchObject({ ok: true, forbidden: [], quarantined: [] });
});
