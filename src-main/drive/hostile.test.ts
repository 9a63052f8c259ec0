import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openWriterCertificate, signWriterCertificate } from './access/writer-certificate.ts';
import { unhex } from './codec/bytes.ts';
import { decodeBody, encodeBody } from './codec/body.ts';
import type { WireOp } from './codec/ops.ts';
import { createTestBench, dump, gossip, nodeId, person, send, text } from './test-support/people.ts';
import { parseOpId } from './tree/reader.ts';
import { rootNode } from './types.ts';

const bench = createTestBench('hostile');
afterAll(() => bench.clean());

const made = (name: string): WireOp => ({
  t: 'make',
  node: unhex(nodeId(name)),
  kind: 'file',
  parent: unhex(rootNode),
  name,
  content: text(name),
});

/** Alice's drive with one file, shared with bob. */
async function shared(role: 'editor' | 'reader', name: string) {
  const alice = bench.node(person(`alice ${name}`));
  const bob = bench.node(person(`bob ${name}`, 'Desktop'));
  const a = await alice.create('x');
  await a.commit([
    { t: 'make', node: nodeId('f'), kind: 'file', parent: rootNode, name: 'f', content: text('f') },
  ]);
  await a.share(bob.who.userId, bob.who.encKey, role);
  const b = await bob.join(a);
  await send(a, b);
  return { alice, bob, a, b };
}

test('an entry a reader signs with a writer of his own is forbidden and never applied', async () => {
  const { bob, a, b } = await shared('reader', 'reader');
  const forger = await bench.forger(b, bob.who, 'reader forges');
  const before = dump(a);
  const entry = await forger.write([forger.certificate(bob.who), made('evil')]);
  for (const drive of [a, b]) {
    const result = await drive.ingest([entry.bytes]);
    expect(result.rejected).toMatchObject([{ id: entry.id, error: { code: 'forbidden' } }]);
    expect(dump(drive)).toEqual(before);
  }
  const check = await a.verify();
  expect(check).toMatchObject({ ok: true, forbidden: [{ id: entry.id }] });
  // The drive goes on above it.
  await a.commit([
    { t: 'make', node: nodeId('g'), kind: 'file', parent: rootNode, name: 'g', content: text('g') },
  ]);
  await gossip(a, b);
  expect(b.tree.resolve('g')).not.toBeNull();
  expect(b.tree.resolve('evil')).toBeNull();
});

test('only a manager says which drive has its place in a folder', async () => {
  const { bob, a, b } = await shared('editor', 'mounting');
  const folder = nodeId('folder');
  await a.commit([
    { t: 'make', node: folder, kind: 'dir', parent: rootNode, name: 'folder', content: null },
    { t: 'make', node: nodeId('in'), kind: 'file', parent: folder, name: 'in', content: text('in') },
  ]);
  await gossip(a, b);
  await expect(b.commit([{ t: 'mount', node: folder, drive: a.id }])).rejects.toMatchObject({
    code: 'forbidden',
  });
  const forger = await bench.forger(b, bob.who, 'editor mounts');
  const entry = await forger.write([
    forger.certificate(bob.who),
    { t: 'mount', node: unhex(folder), drive: new Uint8Array(32).fill(7), parents: [] },
  ]);
  for (const drive of [a, b]) {
    const { rejected } = await drive.ingest([entry.bytes]);
    expect(rejected).toMatchObject([{ id: entry.id, error: { code: 'forbidden' } }]);
    expect(drive.tree.resolve('folder/in')).not.toBeNull();
  }
  await a.commit([{ t: 'mount', node: folder, drive: b.id }]);
  await gossip(a, b);
  for (const drive of [a, b]) {
    expect(drive.tree.mounts()).toEqual([{ node: folder, drive: a.id }]);
    expect(drive.tree.resolve('folder/in')).toBeNull();
    expect(drive.nodeHistory(nodeId('in'))).toMatchObject({ made: { parent: folder, name: 'in' } });
  }
  expect(await b.verify()).toMatchObject({ ok: true });
});

test('a writer nobody vouches for is refused, also with a certificate made for another', async () => {
  const { bob, a, b } = await shared('editor', 'unknown');
  const before = dump(a);
  const stranger = await bench.forger(b, bob.who, 'no certificate');
  const bare = await stranger.write([made('evil')]);
  expect((await a.ingest([bare.bytes])).rejected).toMatchObject([{ error: { code: 'unknown_writer' } }]);
  const second = await stranger.write([made('evil too')]);
  expect((await a.ingest([second.bytes])).rejected).toMatchObject([{ error: { code: 'unknown_writer' } }]);
  const thief = await bench.forger(b, bob.who, 'stolen certificate');
  const stolen = await thief.write([stranger.certificate(bob.who), made('evil')]);
  expect((await a.ingest([stolen.bytes])).rejected).toMatchObject([{ error: { code: 'unknown_writer' } }]);
  expect(dump(a)).toEqual(before);
  expect(await a.verify()).toMatchObject({ ok: true });
});

test('an entry signed after a removal with parents from before it is quarantined, wherever it arrives first', async () => {
  const { bob, a, b } = await shared('editor', 'removed');
  const forger = await bench.forger(b, bob.who, 'old parents');
  await a.unshare(bob.who.userId);
  const before = dump(a);
  const late = await forger.write([forger.certificate(bob.who), made('late')]);
  expect((await a.ingest([late.bytes])).rejected).toMatchObject([
    { id: late.id, error: { code: 'quarantined' } },
  ]);
  expect(dump(a)).toEqual(before);
  expect(a.quarantined()).toEqual([late.id]);
  // Bob's own computer applied it first; the removal takes it out again.
  await b.ingest([late.bytes]);
  expect(b.tree.resolve('late')).not.toBeNull();
  await send(a, b);
  expect(dump(b)).toEqual(before);
  expect(b.quarantined()).toEqual([late.id]);
});

test('a role somebody forges for himself, or for a friend, is forbidden', async () => {
  const { bob, a, b } = await shared('editor', 'forged role');
  const friend = person('friend of bob');
  const forger = await bench.forger(b, bob.who, 'forges a role');
  const { encKey } = bob.who;
  const own = await forger.change(bob.who, { kind: 'grant', role: 'manager', encKey });
  const other = await forger.change(bob.who, {
    kind: 'grant',
    user: friend.userId,
    role: 'reader',
    encKey: friend.encKey,
  });
  const removal = await forger.change(bob.who, {
    kind: 'lower',
    user: a.members()[0]!.userId,
    role: 'reader',
    encKey,
  });
  for (const drive of [a, b]) {
    const { rejected } = await drive.ingest([own.bytes, other.bytes, removal.bytes]);
    expect(rejected.map(({ id, error }) => [id, error.code])).toEqual(
      [own, other, removal].map(({ id }) => [id, 'forbidden']),
    );
    expect(drive.roleOf(bob.who.userId)).toBe('editor');
    expect(drive.roleOf(friend.userId)).toBeNull();
    expect(drive.members().map(({ role }) => role)).toEqual(['owner', 'editor']);
  }
});

test('a grant from before a removal, sent again or dated back by a removed manager, is of no use', async () => {
  const { bob, a, b } = await shared('editor', 'old grant');
  const carol = person('carol old grant');
  await a.share(carol.userId, carol.encKey, 'manager');
  await gossip(a, b);
  const grants = [...a.missingFor([])]
    .filter(({ header }) => header.kind === 'access')
    .map(({ bytes }) => bytes);
  const forger = await bench.forger(a, carol, 'dates back');
  await a.unshare(carol.userId);
  await a.unshare(bob.who.userId);
  const again = await a.ingest(grants);
  expect(again).toMatchObject({ added: [], rejected: [] });
  const late = await forger.change(carol, {
    kind: 'grant',
    user: bob.who.userId,
    role: 'editor',
    encKey: bob.who.encKey,
  });
  expect((await a.ingest([late.bytes])).rejected).toMatchObject([
    { id: late.id, error: { code: 'quarantined' } },
  ]);
  await gossip(a, b);
  for (const drive of [a, b]) {
    expect(drive.members()).toHaveLength(1);
    expect(drive.quarantined()).toEqual([late.id]);
  }
});

test('invitations beyond the bound are refused to who makes them, and to who forges them', async () => {
  const { bob, a, b } = await shared('editor', 'flood');
  await a.share(bob.who.userId, bob.who.encKey, 'manager');
  await gossip(a, b);
  const forger = await bench.forger(b, bob.who, 'floods');
  const flood = [];
  for (let n = 0; n < 40; n++) {
    const extra = {
      t: 'invite',
      key: person(`guest ${n}`).device.publicKey,
      expires: null,
      uses: null,
    } as const;
    flood.push(await forger.change(bob.who, { kind: 'invite', user: '', role: 'reader', extra }));
  }
  for (const drive of [a, b]) {
    const { rejected } = await drive.ingest(flood.map(({ bytes }) => bytes));
    expect(rejected.map(({ id, error }) => [id, error.code])).toEqual(
      flood.slice(32).map(({ id }) => [id, 'too_many_invites']),
    );
    expect(drive.invites()).toHaveLength(32);
    await expect(drive.invite('reader', { expires: null, uses: null })).rejects.toMatchObject({
      code: 'too_many_invites',
    });
  }
});

test("a forked feed that begins with two certificates: each branch is its own writer's, on every replica", async () => {
  const { alice, bob, a, b } = await shared('editor', 'two certificates');
  const carol = person('carol two certificates');
  await a.share(carol.userId, carol.encKey, 'editor');
  await gossip(a, b);
  const forgers = [
    await bench.forger(b, bob.who, 'one writer'),
    await bench.forger(b, bob.who, 'one writer'),
  ];
  const branches = [];
  for (const [i, who] of [bob.who, carol].entries()) {
    const forger = forgers[i] as (typeof forgers)[number];
    const begin = await forger.write([forger.certificate(who), made(`first ${i}`)]);
    branches.push([begin.bytes, (await forger.write([made(`second ${i}`)])).bytes]);
  }
  const [left, right] = branches as [Uint8Array[], Uint8Array[]];
  for (const bytes of [...left, ...right]) await a.ingest([bytes]);
  for (const i of [0, 1]) await b.ingest([right[i] as Uint8Array, left[i] as Uint8Array]);
  for (const open of [() => a, () => b, () => alice.rebuild(a)]) {
    const drive = await open();
    expect(drive.forks()).toMatchObject([{ seq: 0 }, { seq: 1 }]);
    for (const [i, who] of [bob.who, carol].entries()) {
      for (const name of [`first ${i}`, `second ${i}`]) {
        expect(drive.versions(name)).toMatchObject([{ user: who.userId }]);
      }
    }
    expect(await drive.verify()).toMatchObject({ ok: true, forbidden: [] });
  }
});

test('bodies, certificates and version ids: foreign bytes answer with an error', () => {
  const refused = (work: () => unknown): void =>
    expect(work).toThrow(expect.objectContaining({ name: 'AppError' }));
  const who = person('alice');
  const writer = new Uint8Array(32).fill(7);
  const drive = new Uint8Array(32).fill(9);
  const cert = signWriterCertificate(who.device, who.certificate, drive, writer, 5);
  expect(openWriterCertificate(cert, drive, writer)).toMatchObject({ user: who.userId, time: 5 });
  const body = encodeBody({ salt: new Uint8Array(32), ops: [Uint8Array.of(1, 2), Uint8Array.of(3)] });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 80 }), (bytes, line) => {
      refused(() => decodeBody(bytes));
      refused(() => openWriterCertificate(bytes, drive, writer));
      refused(() => parseOpId(line));
    }),
    { numRuns: 300, seed: 31 },
  );
  for (let at = 0; at < cert.length; at++) {
    const bytes = Uint8Array.from(cert);
    bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
    refused(() => openWriterCertificate(bytes, drive, writer));
  }
  for (let at = 0; at < body.length; at++) {
    const bytes = Uint8Array.from(body);
    bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
    try {
      expect(encodeBody(decodeBody(bytes))).toEqual(bytes);
    } catch (error) {
      expect(error).toMatchObject({ name: 'AppError' });
    }
  }
});
