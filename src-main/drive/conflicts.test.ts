import { afterAll, expect, test } from 'vitest';
import { createTestBench, dump, gossip, nodeId, person, text } from './test-support/people.ts';
import type { Drive, OpDraft, TreeNode } from './types.ts';
import { rootNode } from './types.ts';

const bench = createTestBench('conflicts');
afterAll(() => bench.clean());

const make = (id: string, name: string, content = id, parent = rootNode): OpDraft => ({
  t: 'make',
  node: nodeId(id),
  kind: 'file',
  parent,
  name,
  content: text(content),
});
const dir = (id: string, name: string, parent = rootNode): OpDraft => ({
  t: 'make',
  node: nodeId(id),
  kind: 'dir',
  parent,
  name,
  content: null,
});
const put = (drive: Drive, id: string, content: string): OpDraft => ({
  t: 'put',
  node: nodeId(id),
  base: [drive.tree.get(nodeId(id))?.version as string],
  content: text(content),
});
const move = (id: string, parent: string, name: string): OpDraft => ({
  t: 'move',
  node: nodeId(id),
  parent,
  name,
});
const del = (drive: Drive, id: string): OpDraft => {
  const node = drive.tree.get(nodeId(id));
  return { t: 'del', node: nodeId(id), base: node?.kind === 'dir' ? [] : [node?.version as string] };
};

/** Path and text of every file, `path/` for folders. */
function look(drive: Drive): string[] {
  const lines: string[] = [];
  const walk = (id: string, prefix: string): void => {
    for (const child of drive.tree.children(id)) {
      const inline = child.content?.kind === 'file' ? child.content.inline : null;
      lines.push(
        child.kind === 'dir'
          ? `${prefix}${child.name}/`
          : `${prefix}${child.name}=${Buffer.from(inline ?? []).toString()}`,
      );
      if (child.kind === 'dir') walk(child.id, `${prefix}${child.name}/`);
    }
  };
  walk(rootNode, '');
  return lines.sort();
}

/** Two devices, `before` on both, then each does its part without the other. */
async function concurrent(
  before: readonly OpDraft[],
  left: (drive: Drive) => readonly OpDraft[],
  right: (drive: Drive) => readonly OpDraft[],
) {
  const a = await bench.node(person('alice', 'Laptop')).create('x');
  const other = bench.node(person('alice', 'Desktop'));
  const b = await other.join(a);
  await gossip(a, b);
  await a.commit(before);
  await gossip(a, b);
  await a.commit(left(a));
  await b.commit(right(b));
  await gossip(a, b);
  expect(dump(b)).toEqual(dump(a));
  return { a, b, seen: look(a) };
}

test('edit against edit: one keeps the name, the other becomes a copy that never conflicts again', async () => {
  const { a, b, seen } = await concurrent(
    [make('f', 'a.txt', 'base')],
    (d) => [put(d, 'f', 'left')],
    (d) => [put(d, 'f', 'right')],
  );
  expect(seen).toHaveLength(2);
  expect(
    seen.some((line) => /^a \(conflict 2026-11-22 1530 (Laptop|Desktop)\)\.txt=(left|right)$/.test(line)),
  ).toBe(true);
  expect(seen.map((line) => line.split('=')[1]).sort()).toEqual(['left', 'right']);
  const copy = a.tree.children(rootNode).find((node) => node.conflictOf !== null);
  expect(copy?.conflictOf).toBe(nodeId('f'));
  // Both edit the copy and the original at once: the copy is a file of its own by then.
  const id = copy?.id as string;
  await a.commit([{ t: 'put', node: id, base: [copy?.version as string], content: text('merged') }]);
  await b.commit([put(b, 'f', 'final')]);
  await gossip(a, b);
  expect(dump(b)).toEqual(dump(a));
  expect(
    look(a)
      .map((line) => line.split('=')[1])
      .sort(),
  ).toEqual(['final', 'merged']);
  await b.commit([{ t: 'del', node: id, base: [b.tree.get(id)?.version as string] }]);
  await gossip(a, b);
  expect(look(a)).toEqual(['a.txt=final']);
});

test('one of two versions is kept by one operation, whatever others do meanwhile', async () => {
  for (const keep of ['copy', 'original'] as const) {
    const { a, b } = await concurrent(
      [make('f', 'a.txt', 'base')],
      (d) => [put(d, 'f', 'left')],
      (d) => [put(d, 'f', 'right')],
    );
    const copy = a.tree.children(rootNode).find((node) => node.conflictOf !== null) as TreeNode;
    const shown = (id: string) => {
      const content = a.tree.get(id)?.content;
      return Buffer.from((content?.kind === 'file' && content.inline) || []).toString();
    };
    const wanted = shown(keep === 'copy' ? copy.id : nodeId('f'));
    const before = a.frontier().reduce((sum, feed) => sum + feed.seq, 0);
    const ids = await a.commit([{ t: 'settle', node: copy.id, keep }]);
    // One entry: there is nothing between the two halves of it.
    expect(a.frontier().reduce((sum, feed) => sum + feed.seq, 0)).toBe(before + 1);
    expect(ids).toHaveLength(1);
    expect(look(a)).toEqual([`a.txt=${wanted}`]);
    // Both stand in the file's history.
    const texts = a
      .versions('a.txt')
      .map(({ content }) => Buffer.from((content?.kind === 'file' && content.inline) || []).toString());
    expect(texts.slice(1).sort()).toEqual(['base', 'left', 'right']);
    expect(texts[0]).toBe(wanted);
    // Somebody who did not know of it goes on with the copy: what they write is kept, as a file of its own.
    await b.commit([{ t: 'put', node: copy.id, base: [copy.version], content: text('later') }]);
    await gossip(a, b);
    expect(dump(b)).toEqual(dump(a));
    expect(
      look(a)
        .map((line) => line.split('=')[1])
        .sort(),
    ).toEqual([wanted, 'later'].sort());
    // It is no untouched copy any more.
    await expect(a.commit([{ t: 'settle', node: copy.id, keep }])).rejects.toMatchObject({
      code: 'not_found',
    });
  }
});

test('of three versions one is settled with the file, the third stays', async () => {
  const a = await bench.node(person('alice', 'Laptop')).create('x');
  const b = await bench.node(person('alice', 'Desktop')).join(a);
  const c = await bench.node(person('alice', 'Phone')).join(a);
  await gossip(a, b, c);
  await a.commit([make('f', 'a.txt', 'base')]);
  await gossip(a, b, c);
  await a.commit([put(a, 'f', 'one')]);
  await b.commit([put(b, 'f', 'two')]);
  await c.commit([put(c, 'f', 'three')]);
  await gossip(a, b, c);
  const [copy, other] = a.tree.children(rootNode).filter((node) => node.conflictOf !== null);
  const textOf = (node: TreeNode | undefined) =>
    Buffer.from((node?.content?.kind === 'file' && node.content.inline) || []).toString();
  await a.commit([{ t: 'settle', node: copy?.id as string, keep: 'copy' }]);
  await gossip(a, b, c);
  expect(
    look(a)
      .map((line) => line.split('=')[1])
      .sort(),
  ).toEqual([textOf(copy), textOf(other)].sort());
  expect(look(a)).toContain(`a.txt=${textOf(copy)}`);
  expect(dump(b)).toEqual(dump(a));
});

test('the same edit twice is no conflict', async () => {
  const { seen } = await concurrent(
    [make('f', 'a')],
    (d) => [put(d, 'f', 'new')],
    (d) => [put(d, 'f', 'new')],
  );
  expect(seen).toEqual(['a=new']);
});

test('edit beats delete, move beats delete', async () => {
  const edited = await concurrent(
    [make('f', 'a')],
    (d) => [put(d, 'f', 'new')],
    (d) => [del(d, 'f')],
  );
  expect(edited.seen).toEqual(['a=new']);
  const moved = await concurrent(
    [make('f', 'a')],
    () => [move('f', rootNode, 'b')],
    (d) => [del(d, 'f')],
  );
  expect(moved.seen).toEqual(['b=f']);
});

test('a file put into a folder that is deleted keeps the folder', async () => {
  const { seen } = await concurrent(
    [dir('d', 'd')],
    () => [make('f', 'f', 'f', nodeId('d'))],
    (d) => [del(d, 'd')],
  );
  expect(seen).toEqual(['d/', 'd/f=f']);
});

test('two moves: one place; a move and an edit: both', async () => {
  const moves = await concurrent(
    [make('f', 'a')],
    () => [move('f', rootNode, 'l')],
    () => [move('f', rootNode, 'r')],
  );
  expect(moves.seen).toHaveLength(1);
  const both = await concurrent(
    [make('f', 'a')],
    () => [move('f', rootNode, 'l')],
    (d) => [put(d, 'f', 'new')],
  );
  expect(both.seen).toEqual(['l=new']);
});

test('moves that would make a ring: one of them is skipped', async () => {
  const { seen } = await concurrent(
    [dir('x', 'x'), dir('y', 'y')],
    () => [move('x', nodeId('y'), 'x')],
    () => [move('y', nodeId('x'), 'y')],
  );
  expect([
    ['x/', 'x/y/'],
    ['y/', 'y/x/'],
  ]).toContainEqual(seen);
});

test('one name: folders merge, equal files are one, others get a conflict name, a folder keeps its name', async () => {
  const merged = await concurrent(
    [],
    () => [dir('l', 'docs'), make('lf', 'one', '1', nodeId('l'))],
    () => [dir('r', 'docs'), make('rf', 'two', '2', nodeId('r'))],
  );
  expect(merged.seen).toEqual(['docs/', 'docs/one=1', 'docs/two=2']);
  const docs = merged.a.tree.resolve('docs')?.id as string;
  await merged.a.commit([{ t: 'move', node: docs, parent: rootNode, name: 'papers' }]);
  await merged.b.commit([make('third', 'three', '3', docs)]);
  await gossip(merged.a, merged.b);
  expect(look(merged.b)).toEqual(['papers/', 'papers/one=1', 'papers/three=3', 'papers/two=2']);

  const equal = await concurrent(
    [],
    () => [make('l', 'a', 'same')],
    () => [make('r', 'a', 'same')],
  );
  expect(equal.seen).toEqual(['a=same']);
  const shown = equal.a.tree.resolve('a')?.id as string;
  await equal.a.commit([
    { t: 'put', node: shown, base: [equal.a.tree.get(shown)?.version as string], content: text('next') },
  ]);
  await gossip(equal.a, equal.b);
  expect(look(equal.b)).toEqual(['a=next']);

  const differ = await concurrent(
    [],
    () => [make('l', 'a', '1')],
    () => [make('r', 'a', '2')],
  );
  expect(differ.seen).toHaveLength(2);
  const mixed = await concurrent(
    [],
    () => [dir('l', 'a')],
    () => [make('r', 'a', 'file')],
  );
  expect(mixed.seen).toContain('a/');
  expect(mixed.seen).toHaveLength(2);
});

test('delete against re-creation under the same name', async () => {
  const { seen } = await concurrent(
    [make('f', 'a', 'old')],
    (d) => [del(d, 'f')],
    (d) => [del(d, 'f'), make('g', 'a', 'new')],
  );
  expect(seen).toEqual(['a=new']);
});

test('versions follow moves and deletes; content of superseded versions stays', async () => {
  const { a } = await concurrent(
    [make('f', 'a', 'one')],
    (d) => [put(d, 'f', 'two')],
    () => [],
  );
  await a.commit([move('f', rootNode, 'b')]);
  await a.commit([put(a, 'f', 'one')]);
  await a.commit([del(a, 'f')]);
  const found = a.versions('b');
  expect(found.map((one) => one.op)).toEqual(['delete', 'restore', 'move', 'change', 'create']);
  expect(found[0]).toMatchObject({ device: 'Laptop', node: nodeId('f') });
  expect(a.contentOf(found[3]?.version as string)).toMatchObject({ size: 3 });
  expect(a.versions('never')).toEqual([]);
});

test('a drive opens again as it was, and a lost database is built anew from the chain', async () => {
  const node = bench.node(person('alice'));
  let drive = await node.create('x');
  await drive.commit([dir('d', 'd'), make('f', 'f', 'f', nodeId('d')), make('g', 'g')]);
  await drive.commit([put(drive, 'f', 'next'), move('g', nodeId('d'), 'h')]);
  const before = dump(drive);
  drive = await node.reopen(drive);
  expect(dump(drive)).toEqual(before);
  drive = await node.rebuild(drive);
  expect(dump(drive)).toEqual(before);
  expect(drive.name()).toBe('x');
  await drive.commit([del(drive, 'f')]);
  expect(look(drive)).toEqual(['d/', 'd/h=g']);
  expect(await drive.verify()).toMatchObject({ ok: true });
});

test('versions of a path whose files were merged name the versions of what shows there', async () => {
  const { a, b } = await concurrent(
    [],
    () => [make('l', 'a', 'same')],
    () => [make('r', 'a', 'same')],
  );
  const shown = a.tree.resolve('a');
  await a.commit([
    { t: 'put', node: shown?.id as string, base: [shown?.version as string], content: text('next') },
  ]);
  await gossip(a, b);
  expect(look(b)).toEqual(['a=next']);
  for (const drive of [a, b]) {
    const list = drive.versions('a');
    expect(list.map((one) => one.op)).toEqual(['change', 'create']);
    expect(list[0]?.version).toBe(drive.tree.resolve('a')?.version);
    expect(drive.contentOf(list[1]?.version as string)).toMatchObject({ size: 4 });
  }
});
