import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { signEntry } from './author.ts';
import { encodeEntry, encodeHeader, signingBytes } from './codec.ts';
import { compareBytes, entryId, sha256 } from './ids.ts';
import type { EntryHeader, History } from './types.ts';
import type { World } from './testing.ts';
import {
  accessDraft,
  allBytes,
  bytesOf,
  createWorld,
  exchange,
  opsDraft,
  seededRandom,
  signerOf,
  testClock,
} from './testing.ts';

let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.end());

const g = (): Uint8Array => world.genesis.hash;
const ids = (history: History): string[] => [...history.inOrder()].map((entry) => entry.id);

async function write(history: History, ...bodies: readonly string[]): Promise<void> {
  for (const body of bodies) await history.append([opsDraft([g()], body)]);
}

describe('append', () => {
  test('continues the feed of the genesis entry and links everything', async () => {
    const { history } = await world.replica('owner');
    const [a, b] = await history.append([opsDraft([g()], 'a'), opsDraft([g()], 'b')]);
    expect([a?.header.seq, b?.header.seq]).toEqual([1, 2]);
    expect(a?.header.incarnation).toBe(world.genesis.header.incarnation);
    expect(b?.header.prev).toEqual(a?.hash);
    expect(b?.header.parents).toEqual([a?.hash]);
    expect([a?.header.lamport, b?.header.lamport]).toEqual([1, 2]);
    expect(history.heads()).toEqual([b?.hash]);
    expect(history.ownTip()).toMatchObject({ seq: 2, hash: b?.hash });
    expect(ids(history)).toEqual([world.genesis.id, a?.id, b?.id]);
    expect(history.get(b?.hash as Uint8Array)).toEqual(b);
  });

  test('calls made at once become one chain without a fork', async () => {
    const { history } = await world.replica('owner');
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) => history.append([opsDraft([g()], `x${i}`)])),
    );
    expect(results.map(([entry]) => entry?.header.seq)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(history.forks()).toEqual([]);
    expect(history.count()).toBe(41);
  });

  test('a draft that can not be written fails alone', async () => {
    const { history } = await world.replica('owner');
    const results = await Promise.allSettled([
      history.append([opsDraft([g()], 'good')]),
      history.append([opsDraft([sha256(bytesOf('nowhere'))], 'bad')]),
      history.append([opsDraft([g()], new Uint8Array(2 * 1024 * 1024 + 1))]),
      history.append([opsDraft([g()], 'good too')]),
    ]);
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(history.count()).toBe(3);
    expect((await history.verify()).ok).toBe(true);
  });

  test('a joined device begins a feed of its own, and again after newIncarnation', async () => {
    const { history } = await world.replica('ann');
    expect(history.ownTip()).toBeNull();
    await write(history, 'one', 'two');
    expect(history.ownTip()?.seq).toBe(1);
    const first = history.ownTip()?.incarnation;
    history.newIncarnation();
    expect(history.ownTip()).toBeNull();
    await write(history, 'three');
    expect(history.ownTip()).toMatchObject({ seq: 0 });
    expect(history.ownTip()?.incarnation).not.toBe(first);
    expect(history.frontier()).toHaveLength(3);
  });

  test('survives reopening; a lost index costs a new incarnation, nothing else', async () => {
    const ann = await world.replica('ann');
    await write(ann.history, 'one', 'two');
    const before = { ids: ids(ann.history), heads: ann.history.heads(), frontier: ann.history.frontier() };
    const tip = ann.history.ownTip();
    await ann.reopen();
    expect(ann.history.ownTip()).toEqual(tip);
    await ann.reopen({ loseIndex: true });
    expect(ids(ann.history)).toEqual(before.ids);
    expect(ann.history.heads()).toEqual(before.heads);
    expect(ann.history.frontier()).toEqual(before.frontier);
    expect(ann.history.ownTip()).toBeNull();
    await write(ann.history, 'three');
    expect(ann.history.forks()).toEqual([]);
  });

  test('refuses when closed', async () => {
    const { history } = await world.replica('owner');
    history.close();
    await expect(history.append([opsDraft([g()], 'late')])).rejects.toMatchObject({ code: 'shutting_down' });
    expect(() => [...history.inOrder()]).toThrow(expect.objectContaining({ code: 'shutting_down' }));
  });

  test('merges many heads, 64 at a time', async () => {
    const owner = await world.replica('owner');
    const position = { drive: g(), seq: 0, prev: null, parents: [g()], lamport: 1 };
    const entries = Array.from({ length: 70 }, (_, i) =>
      signEntry(
        { signer: signerOf(`w${i}`), clock: testClock(), random: seededRandom('') },
        opsDraft([g()], 'x'),
        {
          ...position,
          incarnation: i,
        },
      ),
    );
    await owner.history.ingest(entries.map((entry) => entry.bytes));
    expect(owner.history.heads()).toHaveLength(70);
    await write(owner.history, 'merge');
    expect(owner.history.heads()).toHaveLength(7);
    await write(owner.history, 'merge');
    expect(owner.history.heads()).toHaveLength(1);
  });
});

describe('ingest', () => {
  test('two replicas agree after an exchange', async () => {
    const a = (await world.replica('ann')).history;
    const b = (await world.replica('bob')).history;
    await write(a, 'a1', 'a2');
    await write(b, 'b1');
    await exchange(a, b);
    await write(b, 'b2');
    await exchange(a, b);
    expect(ids(a)).toEqual(ids(b));
    expect(a.heads()).toEqual(b.heads());
    expect(a.frontier()).toEqual(b.frontier());
    expect([...a.missingFor(b.frontier())]).toEqual([]);
  });

  test('children wait for their parents; replays are known', async () => {
    const a = (await world.replica('ann')).history;
    const b = (await world.replica('bob')).history;
    await write(a, 'a1', 'a2', 'a3');
    const [, one, two, three] = allBytes(a) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect(await b.ingest([three])).toMatchObject({ added: [], waiting: 1 });
    expect(await b.ingest([two, three])).toMatchObject({ added: [], waiting: 2 });
    const last = await b.ingest([one]);
    expect(last.added.map((entry) => entry.header.seq)).toEqual([0, 1, 2]);
    expect(await b.ingest([one, two, two])).toMatchObject({ added: [], known: 3, waiting: 0 });
  });

  test('the waiting room is bounded for each source', async () => {
    const a = (await world.replica('ann')).history;
    const limits = { entries: 3, bytes: 100_000, totalBytes: 100_000 };
    const b = (await world.replica('bob', { waitingLimits: limits })).history;
    await write(a, '0', '1', '2', '3', '4', '5', '6', '7', '8', '9');
    const bytes = allBytes(a).slice(1);
    await b.ingest([bytes[9] as Uint8Array], 'good');
    await b.ingest(bytes.slice(1, 9), 'greedy');
    // Of the greedy source only its last three wait; the other's one was not pushed out.
    expect(await b.ingest(bytes.slice(0, 6))).toMatchObject({ waiting: 0 });
    expect(b.count()).toBe(1 + 10);
  });

  test('refuses what lies, one by one', async () => {
    const a = (await world.replica('ann')).history;
    const b = (await world.replica('bob')).history;
    await write(a, 'a1');
    const good = [...a.inOrder()][1];
    if (good === undefined) throw new Error('no entry');
    const signer = signerOf('mallory');
    const lie = (change: Partial<EntryHeader>, by = signer): Uint8Array => {
      const header = encodeHeader({ ...good.header, writer: by.publicKey, ...change });
      return encodeEntry(header, good.body, by.sign(signingBytes(header)));
    };
    const other = createWorld('other');
    const flippedSig = new Uint8Array(good.bytes);
    flippedSig[flippedSig.length - 1] = (flippedSig.at(-1) as number) ^ 1;
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [Uint8Array.of(1, 2, 3), 'malformed'],
      [new Uint8Array(3 * 1024 * 1024), 'too_large'],
      [flippedSig, 'bad_signature'],
      [lie({ writer: signerOf('eve').publicKey }), 'bad_signature'],
      [lie({ lamport: 2 }), 'bad_link'],
      [lie({ seq: 1, prev: g() }), 'bad_link'],
      [lie({ drive: other.genesis.hash }), 'bad_link'],
      [other.genesis.bytes, 'bad_link'],
      [encodeEntry(encodeHeader(good.header), bytesOf('other body'), good.sig), 'bad_hash'],
    ];
    for (const [bytes, code] of cases) {
      const result = await b.ingest([bytes]);
      expect(result.rejected.map(({ error }) => error.code)).toEqual([code]);
    }
    const mixed = await b.ingest([...cases.map(([bytes]) => bytes), good.bytes]);
    expect(mixed.added).toHaveLength(1);
    expect(mixed.rejected).toHaveLength(cases.length);
    // An ops entry is no access entry.
    const wrongAccess = lie({ access: [good.hash], parents: [good.hash], lamport: 2 });
    expect((await b.ingest([wrongAccess])).rejected[0]?.error.code).toBe('bad_link');
    expect(b.count()).toBe(2);
    expect((await b.verify()).ok).toBe(true);
    other.end();
  });

  test('keeps both sides of a fork, tells, and exchanges them', async () => {
    // A restored backup: the same device key goes on twice from the same place.
    const sameRandom = (n: number): Uint8Array => new Uint8Array(n);
    const two = await world.replica('ann', { random: sameRandom });
    const three = await world.replica('ann', { random: sameRandom });
    await write(two.history, 'same', 'left 1', 'left 2');
    await write(three.history, 'same', 'right 1', 'right 2', 'right 3');
    const bob = (await world.replica('bob')).history;
    await bob.ingest(allBytes(two.history));
    await exchange(bob, three.history);
    expect(bob.forks().length).toBeGreaterThan(0);
    expect(bob.forks()).toEqual(three.history.forks());
    expect(ids(bob)).toEqual(ids(three.history));
    await exchange(bob, two.history);
    expect(ids(two.history)).toEqual(ids(bob));
    expect(two.history.frontier()).toEqual(bob.frontier());
    // A forked feed is not continued.
    expect(two.history.ownTip()).toBeNull();
    await write(two.history, 'after');
    expect(two.history.ownTip()).toMatchObject({ seq: 0 });
  });
});

describe('reading', () => {
  test('includes follows parents', async () => {
    const a = (await world.replica('ann')).history;
    const b = (await world.replica('bob')).history;
    await write(a, 'a1', 'a2');
    await write(b, 'b1');
    const [a1, a2] = [...a.inOrder()].slice(1).map((entry) => entry.hash) as [Uint8Array, Uint8Array];
    const b1 = b.heads()[0] as Uint8Array;
    await exchange(a, b);
    await write(a, 'a3');
    const a3 = a.heads()[0] as Uint8Array;
    expect([a.includes(a3, a1), a.includes(a3, b1), a.includes(a3, g()), a.includes(a2, a2)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([a.includes(a2, b1), a.includes(b1, a1), a.includes(a1, a2), a.includes(g(), a1)]).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  test('unknown entries are not found', async () => {
    const { history } = await world.replica('ann');
    expect(() => history.get(sha256(bytesOf('x')))).toThrow(expect.objectContaining({ code: 'not_found' }));
    expect(history.has(sha256(bytesOf('x')))).toBe(false);
  });

  test('storedFrom gives what came after a position', async () => {
    const ann = await world.replica('ann');
    await write(ann.history, 'one');
    const position = ann.history.position();
    await write(ann.history, 'two', 'three');
    await ann.reopen({ loseIndex: true });
    expect([...ann.history.storedFrom(position)].map(({ body }) => Buffer.from(body).toString())).toEqual([
      'two',
      'three',
    ]);
    expect([...ann.history.storedFrom(0)]).toHaveLength(4);
  });

  test('access entries are linked below those made under them', async () => {
    const { history } = await world.replica('owner');
    const [access] = await history.append([accessDraft([g()], 'grant')]);
    const hash = access?.hash as Uint8Array;
    await history.append([opsDraft([hash].sort(compareBytes), 'under it')]);
    expect(history.count()).toBe(3);
  });

  test('opening needs the right genesis', async () => {
    const other = createWorld('other');
    await expect(world.replica('ann', { genesis: other.genesis.bytes })).rejects.toMatchObject({
      code: 'bad_hash',
    });
    await expect(world.replica('ann', { genesis: undefined } as never)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(world.replica('ann', { driveId: 'x' })).rejects.toSatisfy((e) => isAppError(e, 'malformed'));
    expect(entryId(world.genesis.hash)).toBe(world.driveId);
    other.end();
  });
});
