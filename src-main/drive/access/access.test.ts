import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encryptionKeyOf, tryUnwrap } from '../../identity/index.ts';
import type { DriveIdentity } from '../deps.ts';
import {
  createTestBench,
  dump,
  gossip,
  nodeId,
  person,
  seededRandom,
  send,
  text,
} from '../test-support/people.ts';
import type { Drive } from '../types.ts';
import { rootNode } from '../types.ts';
import { decodeAccessBody, decodeSealedPart } from './codec.ts';
import { AccessGraph } from './evaluate.ts';
import type { AccessEvent } from './evaluate.ts';

/** Somebody whose encryption key may be replaced. */
type Changing = { -readonly [K in keyof DriveIdentity]: DriveIdentity[K] } & { deviceId: string };

const bench = createTestBench('access');
afterAll(() => bench.clean());

const file = (id: string, name = `${id}.txt`) =>
  ({ t: 'make', node: nodeId(id), kind: 'file', parent: rootNode, name, content: text(id) }) as const;
const names = (drive: Drive): string[] => drive.tree.children(rootNode).map((node) => node.name);

async function three(role: 'manager' | 'editor' | 'reader' = 'editor') {
  const nodes = [person('alice'), person('bob'), person('carol')].map((who) => bench.node(who));
  const [alice, bob, carol] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
  const a = await alice.create('Team');
  const b = await bob.join(a);
  const c = await carol.join(a);
  await a.share(bob.who.userId, bob.who.encKey, role);
  await a.share(carol.who.userId, carol.who.encKey, 'editor');
  await gossip(a, b, c);
  return { alice, bob, carol, a, b, c };
}

describe('rights in whole drives', () => {
  test('a removed member cannot compute later keys, and what he writes later is quarantined', async () => {
    const { bob, a, b, c } = await three();
    await b.commit([file('before')]);
    await gossip(a, b, c);
    const old = a.currentEpoch();
    await a.unshare(bob.who.userId);
    // Bob has not heard of it and goes on with old parents.
    await b.commit([file('after')]);
    const entries = [...b.missingFor(a.frontier())].map((entry) => entry.bytes);
    const result = await a.ingest(entries);
    expect(result.rejected.map((one) => one.error.code)).toEqual(['quarantined']);
    await gossip(a, c);
    await send(a, b);
    expect(a.currentEpoch()).not.toBe(old);
    expect(names(a)).toEqual(['before.txt']);
    expect(names(c)).toEqual(['before.txt']);
    expect(c.quarantined()).toHaveLength(1);
    expect(b.ownRole()).toBeNull();
    expect(() => b.currentEpoch()).toThrow(expect.objectContaining({ code: 'key_missing' }));
    expect(() => b.contentKey(a.currentEpoch())).toThrow(expect.objectContaining({ code: 'key_missing' }));
    await expect(b.commit([file('more')])).rejects.toMatchObject({ code: 'key_missing' });
    expect(await c.verify()).toMatchObject({ ok: true, forbidden: [] });
    // Members still read what was written under the old key.
    expect(c.contentKey(old)).toEqual(a.contentKey(old));
  });

  test('a quarantine that arrives late takes entries out again; a new grant lets the writer go on', async () => {
    const { bob, a, b, c } = await three();
    await a.unshare(bob.who.userId);
    await b.commit([file('late')]);
    await send(b, c);
    expect(names(c)).toEqual(['late.txt']);
    await send(a, c);
    expect(names(c)).toEqual([]);
    await a.share(bob.who.userId, bob.who.encKey, 'editor');
    await gossip(a, b, c);
    await b.commit([file('again')]);
    await gossip(a, b, c);
    expect(names(a)).toEqual(['again.txt']);
    expect(dump(b)).toEqual(dump(a));
    expect(dump(c)).toEqual(dump(a));
  });

  test('lowered to reader: later writes are quarantined, reading goes on; a reader is refused', async () => {
    const { bob, a, b, c } = await three();
    await a.share(bob.who.userId, bob.who.encKey, 'reader');
    await b.commit([file('x')]);
    await gossip(a, b, c);
    expect(names(a)).toEqual([]);
    await expect(b.commit([file('y')])).rejects.toMatchObject({ code: 'forbidden' });
    await c.commit([file('z')]);
    await gossip(a, b, c);
    expect(names(b)).toEqual(['z.txt']);
  });

  test('managers make no managers and remove neither owner nor each other', async () => {
    const { alice, bob, carol, a, b, c } = await three('manager');
    await a.share(carol.who.userId, carol.who.encKey, 'manager');
    await gossip(a, b, c);
    await expect(b.unshare(alice.who.userId)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(b.unshare(carol.who.userId)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(b.share(carol.who.userId, carol.who.encKey, 'editor')).rejects.toMatchObject({
      code: 'forbidden',
    });
    const dave = person('dave');
    await expect(b.share(dave.userId, dave.encKey, 'manager')).rejects.toMatchObject({ code: 'forbidden' });
    await b.share(dave.userId, dave.encKey, 'editor');
    await gossip(a, b, c);
    expect(a.roleOf(dave.userId)).toBe('editor');
    expect(bob.who.userId).not.toBe(alice.who.userId);
  });

  test('concurrent removals merge their epochs; concurrent grant gets the newer key by repair', async () => {
    const { bob, carol, a, b, c } = await three('manager');
    const dave = bench.node(person('dave'));
    const erin = bench.node(person('erin'));
    const d = await dave.join(a);
    const e = await erin.join(a);
    await a.share(dave.who.userId, dave.who.encKey, 'editor');
    await gossip(a, b, c, d);
    await a.unshare(carol.who.userId);
    await b.unshare(dave.who.userId);
    await b.share(erin.who.userId, erin.who.encKey, 'editor');
    await gossip(a, b, c, d, e);
    expect(a.members()).toHaveLength(3);
    expect(b.members()).toEqual(a.members());
    expect(e.members()).toEqual(a.members());
    expect(a.roleOf(carol.who.userId)).toBeNull();
    expect(a.roleOf(dave.who.userId)).toBeNull();
    expect(a.roleOf(bob.who.userId)).toBe('manager');
    expect(b.currentEpoch()).toBe(a.currentEpoch());
    expect(e.currentEpoch()).toBe(a.currentEpoch());
    expect(e.contentKey(e.currentEpoch())).toEqual(a.contentKey(a.currentEpoch()));
    for (const out of [c, d]) expect(() => out.contentKey(a.currentEpoch())).toThrow();
    await e.commit([file('hello')]);
    await gossip(a, b, e);
    expect(names(a)).toEqual(['hello.txt']);
  });

  test('a lost device that only read has no key to what comes after, whatever it gets hold of', async () => {
    const owner = bench.node(person('owner of lost'));
    const a = await owner.create('x');
    const known = person('ann lost');
    /** Ann's key was replaced on her card; the lost computer has the old one only. */
    const ann = { ...known } as Changing;
    const fresh = seededRandom('new key of ann')(32);
    const computer = bench.node(ann);
    const lost = bench.node(person('ann lost', 'Old laptop'));
    await a.share(known.userId, known.encKey, 'reader');
    const b = await computer.join(a);
    const thief = await lost.join(a);
    await gossip(a, b, thief);
    expect(thief.currentEpoch()).toBe(a.currentEpoch());

    ann.encKey = encryptionKeyOf(fresh);
    ann.unwrap = (box) => known.unwrap(box) ?? tryUnwrap(fresh, box);
    await b.repairAccess();
    await expect(b.revokeDevice(lost.who.deviceId)).rejects.toMatchObject({ code: 'device_unknown' });
    await b.revokeDevice(lost.who.deviceId, known.userId);
    expect(b.isRevoked(lost.who.deviceId, known.userId)).toBe(true);
    await gossip(a, b);
    expect(a.currentEpoch()).toBe(b.currentEpoch());
    await a.commit([
      { t: 'make', node: nodeId('new'), kind: 'file', parent: rootNode, name: 'new', content: text('new') },
    ]);
    await gossip(a, b, thief);
    expect(b.tree.resolve('new')).not.toBeNull();
    expect(thief.tree.resolve('new')).toBeNull();
    expect(() => thief.currentEpoch()).toThrow(expect.objectContaining({ code: 'key_missing' }));
  });

  test('a box that came before the key it is made for opens when that comes', async () => {
    const owner = bench.node(person('owner of late'));
    const a = await owner.create('x');
    const known = person('ann late');
    const late = { ...known } as Changing;
    const fresh = seededRandom('late key of ann')(32);
    await a.share(known.userId, known.encKey, 'editor');
    const b = await bench.node(late).join(a);
    await gossip(a, b);
    // Her other computer named the new key; this one hears of what is boxed for it first.
    await a.unshare(known.userId);
    await a.share(known.userId, encryptionKeyOf(fresh), 'editor');
    await a.commit([
      {
        t: 'make',
        node: nodeId('late'),
        kind: 'file',
        parent: rootNode,
        name: 'late',
        content: text('late'),
      },
    ]);
    await gossip(a, b);
    expect(b.tree.resolve('late')).toBeNull();
    late.encKey = encryptionKeyOf(fresh);
    late.unwrap = (box) => known.unwrap(box) ?? tryUnwrap(fresh, box);
    await b.repairAccess();
    expect(b.tree.resolve('late')).not.toBeNull();
  });

  test('a revoked device is cut off, its sibling goes on', async () => {
    const laptop = bench.node(person('alice'));
    const phone = bench.node(person('alice', 'Phone'));
    const a = await laptop.create('Mine');
    const p = await phone.join(a);
    await gossip(a, p);
    expect(p.ownRole()).toBe('owner');
    await p.commit([file('from-phone')]);
    await gossip(a, p);
    await a.revokeDevice(phone.who.deviceId);
    await p.commit([file('stolen')]);
    await gossip(a, p);
    expect(names(a)).toEqual(['from-phone.txt']);
    await expect(a.commit([file('mine')])).resolves.toHaveLength(1);
    // The tree still shows on the phone what it knew; what it writes knowing of the revocation is forbidden.
    await p.commit([file('stolen2')]);
    const result = await send(p, a);
    expect(result.rejected.map((one) => one.error.code)).toContain('forbidden');
  });
});

describe('evaluation is a function of the set', () => {
  const users = ['O', 'A', 'B', 'C'];
  type Plan = { author: number; kind: number; target: number; role: number; seen: number };

  /** Three writers' views: each event is made under what its author has seen. */
  function history(plans: readonly Plan[]): AccessEvent[] {
    const key = new Uint8Array(32);
    const event = (id: string, links: string[], rest: Partial<AccessEvent>): AccessEvent => ({
      id,
      links,
      kind: 'grant',
      author: 'O',
      authorDevice: 'd',
      user: 'O',
      role: null,
      encKey: key,
      device: null,
      frontier: [],
      time: 0,
      ...rest,
    });
    const all: AccessEvent[] = [event('00', [], { kind: 'genesis', role: 'owner' })];
    for (const [i, user] of ['A', 'B'].entries()) {
      all.push(event(`0${i + 1}`, [all.at(-1)?.id as string], { user, role: 'manager' }));
    }
    for (const plan of plans) {
      // Sees a prefix, and all of his own.
      const author = users[plan.author] as string;
      const horizon = 3 + (plan.seen % (all.length - 2));
      const seen = all.filter((one, i) => i < horizon || one.author === author);
      const graph = new AccessGraph();
      const closed = all.filter((one) => seen.includes(one) || seen.some((s) => reaches(all, s, one.id)));
      for (const one of closed) graph.add(one);
      const links = [...graph.heads()];
      const kind = (['grant', 'remove', 'lower', 'keys'] as const)[plan.kind] ?? 'grant';
      const role =
        kind === 'remove' || kind === 'keys' ? null : (['manager', 'editor', 'reader'] as const)[plan.role];
      const id = ((plan.role * 7 + plan.target * 31 + all.length * 53) % 251).toString(16).padStart(2, '0');
      const unique = `${id}${all.length.toString(16).padStart(2, '0')}`;
      all.push(
        event(unique, links, { kind, author, user: users[plan.target] as string, role: role ?? null }),
      );
    }
    return all;
  }
  function reaches(all: readonly AccessEvent[], from: AccessEvent, to: string): boolean {
    return from.links.some(
      (link) => link === to || reaches(all, all.find((one) => one.id === link) as AccessEvent, to),
    );
  }
  function summary(graph: AccessGraph): unknown {
    const state = graph.current();
    const members = [...state.members.values()].map((one) => `${one.userId} ${one.role}`).sort();
    return {
      members,
      epochs: state.epochs,
      removals: state.removals.map((one) => one.id),
      heads: graph.heads(),
    };
  }
  /** All orders in which each event comes after its links. */
  function* orders(
    rest: readonly AccessEvent[],
    done: readonly AccessEvent[] = [],
  ): Generator<readonly AccessEvent[]> {
    if (rest.length === 0) yield done;
    const known = new Set(done.map((one) => one.id));
    for (const next of rest) {
      if (next.links.every((link) => known.has(link)))
        yield* orders(
          rest.filter((one) => one !== next),
          [...done, next],
        );
    }
  }

  const plan = fc.record({
    author: fc.nat(3),
    kind: fc.nat(3),
    target: fc.nat(3),
    role: fc.nat(2),
    seen: fc.nat(20),
  });

  test('every order of every short run ends in one state', { timeout: 30_000 }, () => {
    fc.assert(
      fc.property(fc.array(plan, { minLength: 1, maxLength: 5 }), (plans) => {
        const events = history(plans);
        let first: unknown;
        for (const order of orders(events)) {
          const graph = new AccessGraph();
          for (const event of order) graph.add(event);
          const now = summary(graph);
          first ??= now;
          expect(now).toEqual(first);
        }
        expect((first as { members: string[] }).members).toContain('O owner');
      }),
      { numRuns: 150, seed: 11 },
    );
  });

  test('nobody but the owner ever makes or unmakes a manager', () => {
    fc.assert(
      fc.property(fc.array(plan, { minLength: 1, maxLength: 12 }), (plans) => {
        const events = history(plans.map((one) => ({ ...one, author: 1 + (one.author % 3) })));
        const graph = new AccessGraph();
        for (const event of events) graph.add(event);
        const { members } = graph.current();
        expect(members.get('C')?.role).not.toBe('manager');
        for (const user of ['A', 'B']) {
          const left = events.some(
            (one) => one.kind === 'remove' && one.author === user && one.user === user,
          );
          expect(left || members.get(user)?.role === 'manager').toBe(true);
        }
      }),
      { numRuns: 200, seed: 12 },
    );
  });
});

test('access bodies: foreign bytes answer with an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const decode of [decodeAccessBody, decodeSealedPart]) {
        expect(() => decode(bytes)).toThrow(expect.objectContaining({ name: 'AppError' }));
      }
    }),
    { numRuns: 300, seed: 3 },
  );
});
