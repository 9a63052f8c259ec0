import { afterAll, expect, test } from 'vitest';
import type { Entry } from '../history/index.ts';
import { createTestBench, gossip, person, seededRandom, type TestPerson } from './test-support/people.ts';
import type { Drive } from './types.ts';

const limit = { bytes: 400_000, entries: 12 };
const bench = createTestBench('budget', limit);
afterAll(() => bench.clean());

const set = (key: string, value = 'v') =>
  ({ t: 'set', key, value: new TextEncoder().encode(value) }) as const;
const keys = (drive: Drive): string[] => drive.registers.page({ limit: 1000 }).map(({ key }) => key);
const of = (who: TestPerson, drive: Drive): string[] =>
  drive.registers
    .page({ limit: 1000 })
    .filter(({ user }) => user === who.userId)
    .map(({ key }) => key);
const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as { code: string }).code,
  );
const purpose = { kind: 'collection', app: 'app one' } as const;

test('a member writes into a collection as much as fits, then is told so; others go on, and files are not bounded', async () => {
  const alice = bench.node(person('alice'));
  const bob = bench.node(person('bob'));
  const a = await alice.create('c', purpose);
  await a.share(bob.who.userId, bob.who.encKey, 'editor');
  const b = await bob.join(a);
  await gossip(a, b);
  for (let n = 0; n < limit.entries; n++) expect(await code(b.commit([set(`b${n}`)]))).toBe('done');
  expect(await code(b.commit([set('b-more')]))).toBe('quota_exceeded');
  expect(await code(a.commit([set('large', 'x'.repeat(limit.bytes))]))).toBe('quota_exceeded');
  expect(await code(a.commit([set('a')]))).toBe('done');
  await gossip(a, b);
  expect(keys(a)).toEqual(['a', ...of(bob.who, b)]);
  expect(keys(b)).toEqual(keys(a));
  expect(a.flooding()).toEqual([]);
  const files = await alice.create('files');
  for (let n = 0; n < limit.entries + 5; n++) {
    const node = (n + 1).toString(16).padStart(32, '0');
    const dir = {
      t: 'make',
      node,
      kind: 'dir',
      parent: '0'.repeat(32),
      name: `d${n}`,
      content: null,
    } as const;
    expect(await code(files.commit([dir]))).toBe('done');
  }
});

test('what a member writes beyond it counts nowhere, in whatever order it comes, by however many of their computers', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = seededRandom(`budget ${seed}`);
    const roll = (n: number): number => Buffer.from(random(4)).readUInt32BE() % n;
    const alice = bench.node(person(`alice ${seed}`));
    const bob = person(`bob ${seed}`);
    const a = await alice.create('c', purpose);
    await a.share(bob.userId, bob.encKey, 'editor');
    await a.commit([set('k0', 'first'), set('alone', 'alice')]);
    const early = await bench.node(person(`alice ${seed}`, 'Phone')).join(a);
    await gossip(a, early);
    const written: Entry[] = [];
    for (const name of ['one', 'two', 'three']) {
      const forger = await bench.forger(a, bob, `${name} ${seed}`);
      for (let n = 0; n < 7; n++) {
        const op = { ...set(`k${roll(6)}`, `${name} ${n}`), parents: [] };
        written.push(await forger.write(n === 0 ? [forger.certificate(bob), op] : [op]));
      }
    }
    const replicas = [a, await alice.copy(a), await bench.node(person(`alice ${seed}`, 'Desktop')).join(a)];
    await gossip(...replicas.slice(0, 1), replicas[2]!);
    for (const replica of replicas) {
      const open = written.map(({ bytes }) => bytes);
      while (open.length > 0) await replica.ingest(open.splice(roll(open.length), 1 + roll(3)));
    }
    const expected = a.registers.page({ limit: 100 });
    for (const replica of replicas) {
      expect(replica.registers.page({ limit: 100 }), `seed ${seed}`).toEqual(expected);
      expect(replica.quarantined().length).toBe(written.length - limit.entries);
      expect(replica.flooding()).toEqual([]);
    }
    // Taken out by a computer that has seen nothing of it, nothing of what they wrote counts.
    await early.unshare(bob.userId);
    await gossip(early, a, replicas[2]!);
    for (const replica of [a, early, replicas[2]!]) {
      expect(keys(replica)).toEqual(['alone', 'k0']);
      expect(replica.quarantined().length).toBe(written.length);
    }
    const rebuilt = await alice.rebuild(a);
    expect(keys(rebuilt)).toEqual(['alone', 'k0']);
    expect((await rebuilt.verify()).ok).toBe(true);
  }
});

test('who goes on far beyond it is named', async () => {
  const alice = bench.node(person('alice'));
  const bob = person('bob');
  const a = await alice.create('c', purpose);
  await a.share(bob.userId, bob.encKey, 'editor');
  const forger = await bench.forger(a, bob, 'flood');
  for (let n = 0; n <= limit.entries * 2; n++) {
    const op = { ...set(`k${n}`), parents: [] };
    await a.ingest([(await forger.write(n === 0 ? [forger.certificate(bob), op] : [op])).bytes]);
    expect(a.flooding()).toEqual(n < limit.entries * 2 ? [] : [bob.userId]);
  }
  expect(keys(a).length).toBe(limit.entries);
});
