import { afterAll, expect, test } from 'vitest';
import { createTestBench, gossip, nodeId, person, send, text } from './test-support/people.ts';
import type { Deed, Drive, TimelineQuery } from './types.ts';
import { rootNode } from './types.ts';

const bench = createTestBench('timeline');
afterAll(() => bench.clean());

/** Everything, by pages of `limit`. */
function all(drive: Drive, filter: Partial<TimelineQuery> = {}, limit = 2): Deed[] {
  const found: Deed[] = [];
  let before: string | null = null;
  do {
    const page = drive.timeline({ limit, user: null, deviceId: null, op: null, ...filter, before });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push(...page.items);
    before = page.next;
  } while (before !== null);
  return found;
}
const words = (deeds: readonly Deed[]): string[] =>
  deeds.map(({ op, path, from }) => (from === null ? `${op} ${path}` : `${op} ${from} > ${path}`));

async function sharedDrive() {
  const alice = bench.node(person('alice'));
  const bob = bench.node(person('bob', 'Desktop'));
  const a = await alice.create('Photos');
  const [, first] = await a.commit([
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
  const b = await bob.join(a);
  await a.share(bob.who.userId, bob.who.encKey, 'editor');
  await send(a, b);
  const [second] = await b.commit([{ t: 'put', node: nodeId('f'), base: [first!], content: text('two!') }]);
  await gossip(a, b);
  await a.commit([{ t: 'move', node: nodeId('dir'), parent: rootNode, name: 'papers' }]);
  const [third] = await a.commit([{ t: 'put', node: nodeId('f'), base: [second!], content: text('one') }]);
  await a.commit([{ t: 'del', node: nodeId('f'), base: [third!] }]);
  await gossip(a, b);
  return { a, b, alice, bob };
}

test('tells what was done to what, newest first, the same on every replica, however it is paged', async () => {
  const { a, b, alice, bob } = await sharedDrive();
  const expected = [
    'delete papers/a.txt',
    'restore papers/a.txt',
    'move docs > papers',
    'change docs/a.txt',
    'create docs/a.txt',
    'create docs',
  ];
  for (const limit of [1, 2, 3, 200]) expect(words(all(a, {}, limit))).toEqual(expected);
  expect(all(b)).toEqual(all(a));
  const [gone, , moved, changed, made, folder] = all(a);
  expect(gone).toMatchObject({ now: null, device: 'Laptop', user: alice.who.userId });
  expect(moved).toMatchObject({ kind: 'dir', now: 'papers' });
  expect(changed).toMatchObject({
    size: 4,
    device: 'Desktop',
    user: bob.who.userId,
    deviceId: bob.who.deviceId,
  });
  expect(made).toMatchObject({ size: 3, kind: 'file', version: a.versions('papers/a.txt').at(-1)?.version });
  expect(folder).toMatchObject({ kind: 'dir', now: 'papers' });
});

test('shows only what one asks for, and goes on where a page of it ends', async () => {
  const { a, bob } = await sharedDrive();
  expect(words(all(a, { user: bob.who.userId }, 1))).toEqual(['change docs/a.txt']);
  expect(words(all(a, { deviceId: bob.who.deviceId }))).toEqual(['change docs/a.txt']);
  expect(words(all(a, { op: 'create' }, 1))).toEqual(['create docs/a.txt', 'create docs']);
  expect(all(a, { user: 'exc1nobody' })).toEqual([]);
  expect(
    a
      .writers()
      .map(({ device }) => device)
      .sort(),
  ).toEqual(['Desktop', 'Laptop']);
});

test('refuses a place that is none', async () => {
  const a = await bench.node(person('alice')).create('Photos');
  const query = { limit: 10, user: null, deviceId: null, op: null };
  for (const before of ['', 'zz', '00', 'f'.repeat(2000)])
    expect(() => a.timeline({ ...query, before })).toThrow(
      expect.objectContaining({ code: 'invalid_argument' }),
    );
  expect(a.timeline({ ...query, before: '00'.repeat(41) })).toEqual({ items: [], next: null });
});

test('a page of a long history costs the same wherever it lies', async () => {
  const a = await bench.node(person('alice')).create('Photos');
  for (let batch = 0; batch < 5; batch += 1) {
    await a.commit(
      Array.from({ length: 400 }, (_, n) => ({
        t: 'make' as const,
        node: nodeId(`${batch}/${n}`),
        kind: 'file' as const,
        parent: rootNode,
        name: `${batch}-${n}.txt`,
        content: text(`${batch} ${n}`),
      })),
    );
  }
  const seen = new Set(all(a, {}, 100).map((deed) => deed.path));
  expect(seen.size).toBe(2000);
  expect(all(a, { op: 'delete' }, 50)).toEqual([]);
});
