import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { decodeOp, encodeOp, isCollectionKey } from './codec/ops.ts';
import type { OpRef, WireOp } from './codec/ops.ts';
import { createTestBench, gossip, nodeId, person, seededRandom, send, text } from './test-support/people.ts';
import { rootNode } from './types.ts';
import type { Drive } from './types.ts';

const bench = createTestBench('registers');
afterAll(() => bench.clean());

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);
const said = (value: Uint8Array | null | undefined): string | null =>
  value ? new TextDecoder().decode(value) : null;
const set = (key: string, value: string | null) =>
  ({ t: 'set', key, value: value === null ? null : bytes(value) }) as const;
const all = (drive: Drive): string[] =>
  drive.registers
    .page({ limit: 1000 })
    .map((one) => `${one.key}=${said(one.value)} ${one.version} ${one.concurrent ? 'concurrent' : ''}`);
const purpose = { kind: 'collection', app: 'app one' } as const;

test('keys of a collection: set, replaced, taken away, in pages and by what changed', async () => {
  const alice = bench.node(person('alice'));
  const drive = await alice.create('chat', purpose);
  expect(drive.purpose()).toEqual(purpose);
  let told = 0;
  drive.on('registers', ({ revision }) => (told = revision));
  await drive.commit([set('m/1', 'one'), set('m/2', 'two'), set('m/3', 'three'), set('n', 'other')]);
  expect(told).toBe(drive.registers.revision());
  const start = drive.registers.revision();
  await drive.commit([set('m/2', 'TWO')]);
  await drive.commit([set('m/3', null), set('m/4', 'four')]);
  const keys = (query: object): string[] =>
    drive.registers.page({ limit: 10, ...query }).map(({ key }) => key);
  expect(keys({})).toEqual(['m/1', 'm/2', 'm/4', 'n']);
  expect(keys({ prefix: 'm/' })).toEqual(['m/1', 'm/2', 'm/4']);
  expect(keys({ prefix: 'm/', after: 'm/1', limit: 1 })).toEqual(['m/2']);
  expect(keys({ prefix: 'm/', reverse: true, limit: 2 })).toEqual(['m/4', 'm/2']);
  expect(keys({ prefix: 'm/', reverse: true, after: 'm/2' })).toEqual(['m/1']);
  expect(keys({ prefix: 'n' })).toEqual(['n']);
  expect(keys({ prefix: 'n', reverse: true })).toEqual(['n']);
  expect(drive.registers.get('m/3')).toBeNull();
  expect(drive.registers.get('m/2')).toMatchObject({ user: alice.who.userId, concurrent: false });
  expect(said(drive.registers.get('m/2')?.value)).toBe('TWO');
  const { changes, revision } = drive.registers.changedSince(start, 10);
  expect(changes.map(({ key, register }) => [key, said(register?.value)])).toEqual([
    ['m/2', 'TWO'],
    ['m/3', null],
    ['m/4', 'four'],
  ]);
  expect(revision).toBe(drive.registers.revision());
  expect(drive.registers.count()).toBe(4);
  const before = all(drive);
  expect(all(await alice.reopen(drive))).toEqual(before);
});

test('what is no key or value, and files in a collection or keys among files, are refused', async () => {
  const alice = bench.node(person('alice'));
  const drive = await alice.create('c', purpose);
  const code = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: unknown) => (error as { code: string }).code,
    );
  for (const key of ['', 'a\0b', 'x'.repeat(513), 'e\u0301', '\ud800']) {
    expect(isCollectionKey(key)).toBe(false);
    expect(await code(drive.commit([set(key, 'v')]))).toBe('invalid_argument');
  }
  const large = { t: 'set', key: 'k', value: new Uint8Array(1024 * 1024 + 1) } as const;
  expect(await code(drive.commit([large]))).toBe('too_large');
  const file = {
    t: 'make',
    node: nodeId('f'),
    kind: 'file',
    parent: rootNode,
    name: 'f',
    content: text('x'),
  } as const;
  expect(await code(drive.commit([file]))).toBe('unsupported');
  const plain = await alice.create('p');
  expect(plain.purpose()).toBeNull();
  expect(await code(plain.commit([set('k', 'v')]))).toBe('unsupported');
  // A member who writes them by hand is not listened to; the rest of his feed is.
  const bob = bench.node(person('bob'));
  await drive.share(bob.who.userId, bob.who.encKey, 'editor');
  await plain.share(bob.who.userId, bob.who.encKey, 'editor');
  const wrong: [Drive, WireOp][] = [
    [
      drive,
      {
        t: 'make',
        node: new Uint8Array(16).fill(1),
        kind: 'dir',
        parent: new Uint8Array(16),
        name: 'd',
        content: null,
      },
    ],
    [plain, { t: 'set', key: 'k', value: bytes('v'), parents: [] }],
  ];
  for (const [at, op] of wrong) {
    const forger = await bench.forger(at, bob.who, `forger ${at.id}`);
    const entry = await forger.write([forger.certificate(bob.who), op]);
    expect((await at.ingest([entry.bytes])).rejected.map(({ error }) => error.code)).toEqual(['malformed']);
    expect(at.registers.count() + at.tree.count().dirs).toBe(0);
  }
});

test('an operation that says it replaces a later one replaces nothing', async () => {
  const alice = bench.node(person('alice'));
  const bob = bench.node(person('bob'));
  const a = await alice.create('c', purpose);
  await a.share(bob.who.userId, bob.who.encKey, 'editor');
  const forger = await bench.forger(a, bob.who, 'liar');
  await a.commit([set('other', '1')]);
  await a.commit([set('k', 'true')]);
  const [, ref] = /^(.*)\/(\d+)$/.exec(a.registers.get('k')!.version)!.slice(0, 2);
  const { CID } = await import('multiformats/cid');
  const parent: OpRef = new Uint8Array([...CID.parse(ref as string).multihash.digest, 0, 0, 0]);
  const entry = await forger.write([
    forger.certificate(bob.who),
    { t: 'set', key: 'k', value: null, parents: [parent] },
  ]);
  await a.ingest([entry.bytes]);
  expect(said(a.registers.get('k')?.value)).toBe('true');
  expect(a.registers.get('k')?.concurrent).toBe(true);
});

test('keys written by three members at once end in one state, in any order, also after a removal', async () => {
  const runs = Number(process.env.EXTRACHAIN_RUNS ?? 3);
  for (let seed = 1; seed <= runs; seed++) {
    const random = seededRandom(`registers ${seed}`);
    const roll = (n: number): number => Buffer.from(random(4)).readUInt32BE() % n;
    const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) =>
      bench.node(person(`${name} ${seed}`)),
    );
    if (!alice || !bob || !carol) throw new Error('three nodes');
    const a = await alice.create('x', purpose);
    await a.share(bob.who.userId, bob.who.encKey, 'editor');
    await a.share(carol.who.userId, carol.who.encKey, 'editor');
    const drives = [a, await bob.join(a), await carol.join(a)];
    await gossip(...drives);
    for (let step = 0; step < 24; step++) {
      const drive = drives[roll(3)] as Drive;
      if (roll(3) === 0) await send(drive, drives[roll(3)] as Drive);
      else if (step === 15) await a.unshare(carol.who.userId);
      else {
        await drive
          .commit([set(`k${roll(4)}`, roll(4) === 0 ? null : `v${step}`)])
          .catch((error: unknown) => expect(error).toMatchObject({ code: 'forbidden' }));
      }
    }
    await gossip(...drives);
    const other = await bench.node(person(`alice ${seed}`, 'Desktop')).join(a);
    const open = [...a.missingFor([])].map((entry) => entry.bytes);
    while (open.length > 0) {
      await other.ingest(Array.from({ length: 1 + roll(3) }, () => open.splice(roll(open.length), 1)).flat());
    }
    await gossip(...drives, other);
    const expected = all(a);
    expect(all(other), `seed ${seed}, shuffled`).toEqual(expected);
    expect(all(drives[1] as Drive), `seed ${seed}, bob`).toEqual(expected);
    expect(all(await alice.rebuild(a)), `seed ${seed}, rebuilt`).toEqual(expected);
  }
});

test('operations on keys: any bytes answer with the operation or an error', () => {
  const op = encodeOp({ t: 'set', key: 'm/1', value: bytes('value'), parents: [new Uint8Array(35).fill(4)] });
  expect(encodeOp(decodeOp(op))).toEqual(op);
  for (let at = 0; at < op.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Uint8Array.from(op);
      changed[at] = (changed[at] as number) ^ (1 << bit);
      try {
        expect(encodeOp(decodeOp(changed))).toEqual(changed);
      } catch (error) {
        expect(error).toMatchObject({ name: 'AppError' });
      }
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (any) => {
      expect(() => decodeOp(any)).toThrow(expect.objectContaining({ name: 'AppError' }));
    }),
    { numRuns: 200, seed: 5 },
  );
});
