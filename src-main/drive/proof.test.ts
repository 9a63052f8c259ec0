import { afterAll, expect, test } from 'vitest';
import fc from 'fast-check';
import { createTestBench, gossip, nodeId, person, send, text } from './test-support/people.ts';
import { rootNode } from './types.ts';
import { verifyProof } from './verify-proof.ts';

const bench = createTestBench('proof');
afterAll(() => bench.clean());

async function provable() {
  const alice = bench.node(person('alice'));
  const bob = bench.node(person('bob', 'Desktop'));
  const a = await alice.create('Papers');
  await a.commit([
    { t: 'make', node: nodeId('d'), kind: 'dir', parent: rootNode, name: 'contracts', content: null },
    {
      t: 'make',
      node: nodeId('secret'),
      kind: 'file',
      parent: nodeId('d'),
      name: 'neighbour-secret',
      content: text('S'),
    },
    {
      t: 'make',
      node: nodeId('f'),
      kind: 'file',
      parent: nodeId('d'),
      name: 'lease.txt',
      content: text('v1'),
    },
  ]);
  const b = await bob.join(a);
  await a.share(bob.who.userId, bob.who.encKey, 'editor');
  await send(a, b);
  const [put] = await b.commit([
    { t: 'put', node: nodeId('f'), base: [b.tree.get(nodeId('f'))?.version as string], content: text('v2') },
  ]);
  await gossip(a, b);
  return { alice, bob, a, b, put: put as string };
}

test('a proof names drive, path, version, user and device, offline', async () => {
  const { alice, bob, a, put } = await provable();
  const bytes = await a.proof('contracts/lease.txt');
  const proven = verifyProof(bytes, { drive: a.id, user: bob.who.userId, path: 'contracts/lease.txt' });
  expect(proven).toMatchObject({
    drive: a.id,
    version: put,
    user: bob.who.userId,
    device: 'Desktop',
    size: 2,
  });
  expect(proven.hash).toBe(Buffer.from(text('v2').hash).toString('hex'));
  expect(proven.root).toContain(alice.who.userId);
  expect(Buffer.from(bytes).includes('neighbour-secret')).toBe(false);
  const older = a.versions('contracts/lease.txt').at(-1)?.version as string;
  expect(verifyProof(await a.proof('contracts/lease.txt', older))).toMatchObject({
    version: older,
    user: alice.who.userId,
  });
  expect(() => verifyProof(bytes, { path: 'contracts/other.txt' })).toThrow(
    expect.objectContaining({ code: 'proof_invalid' }),
  );
  expect(() => verifyProof(bytes, { user: alice.who.userId })).toThrow(/another user/);
  await expect(a.proof('contracts/none')).rejects.toMatchObject({ code: 'not_found' });
});

test('any flipped byte of a proof makes it fail', { timeout: 120_000 }, async () => {
  const { a } = await provable();
  const bytes = await a.proof('contracts/lease.txt');
  verifyProof(bytes);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Uint8Array.from(bytes);
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    let code = 'accepted';
    try {
      verifyProof(flipped);
    } catch (error) {
      code = (error as { code: string }).code;
    }
    expect(['malformed', 'proof_invalid', 'too_large'], `byte ${at}`).toContain(code);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (junk) => {
      expect(() => verifyProof(junk)).toThrow(expect.objectContaining({ name: 'AppError' }));
    }),
    { numRuns: 200, seed: 4 },
  );
});

test('a conflict copy nobody touched is refused clearly, and proven once it has a name of its own', async () => {
  const a = await bench.node(person('carol', 'Laptop')).create('x');
  const b = await bench.node(person('carol', 'Desktop')).join(a);
  await gossip(a, b);
  await a.commit([
    { t: 'make', node: nodeId('c'), kind: 'file', parent: rootNode, name: 'c', content: text('base') },
  ]);
  await gossip(a, b);
  for (const drive of [a, b]) {
    const base = [drive.tree.get(nodeId('c'))?.version as string];
    await drive.commit([
      { t: 'put', node: nodeId('c'), base, content: text(drive === a ? 'left' : 'right') },
    ]);
  }
  await gossip(a, b);
  const copy = a.tree.children(rootNode).find((node) => node.conflictOf !== null);
  await expect(a.proof(copy?.name as string)).rejects.toMatchObject({ code: 'unsupported' });
  await a.commit([{ t: 'move', node: copy?.id as string, parent: rootNode, name: 'mine' }]);
  expect(verifyProof(await a.proof('mine'))).toMatchObject({ path: 'mine', version: copy?.version });
  expect(verifyProof(await a.proof('c'))).toMatchObject({ path: 'c' });
});
