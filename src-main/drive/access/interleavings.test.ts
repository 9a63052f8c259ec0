import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { createTestBench, dump, gossip, nodeId, person, send, text } from '../test-support/people.ts';
import { rootNode } from '../types.ts';
import type { Drive } from '../types.ts';
import { AccessGraph, maxOpenInvites } from './evaluate.ts';
import type { AccessEvent } from './evaluate.ts';
import { inviteRefOf } from './invite-key.ts';

const bench = createTestBench('interleavings');
afterAll(() => bench.clean());

const key = new Uint8Array(32).fill(9);
const inviteKey = new Uint8Array(32).fill(4);
const invited = inviteRefOf(inviteKey);
type Made = Partial<AccessEvent> & Pick<AccessEvent, 'kind'>;
const open = (visibility: 'unlisted' | 'public', fill: number): Made => ({
  kind: 'open',
  extra: { t: 'open', visibility, secret: new Uint8Array(32).fill(fill) },
});
const via = { t: 'via', invite: invited } as const;
const invite = (fill: number): Made => ({
  kind: 'invite',
  role: 'editor',
  extra: { t: 'invite', key: new Uint8Array(32).fill(fill), expires: null, uses: 1 },
});

function event(id: string, links: readonly string[], author: string, made: Made): AccessEvent {
  const encKey = made.role ? key : null;
  return {
    ...{ id, links, author, authorDevice: `${author}1`, user: '', role: null, encKey, device: null },
    ...{ frontier: [], time: 0, extra: null },
    ...made,
  };
}

/** O owns, A manages, B edits, C reads; an invitation is open, and the drive is unlisted. */
const base: readonly AccessEvent[] = [
  event('00', [], 'O', { kind: 'genesis', user: 'O', role: 'owner' }),
  event('01', ['00'], 'O', { kind: 'grant', user: 'A', role: 'manager' }),
  event('02', ['01'], 'O', { kind: 'grant', user: 'B', role: 'editor' }),
  event('03', ['02'], 'A', { kind: 'grant', user: 'C', role: 'reader' }),
  event('04', ['03'], 'A', invite(4)),
  event('05', ['04'], 'O', open('unlisted', 1)),
];
const acts: readonly (Made | null)[] = [
  null,
  { kind: 'grant', user: 'C', role: 'editor' },
  { kind: 'grant', user: 'D', role: 'editor', extra: via },
  { kind: 'lower', user: 'B', role: 'reader' },
  { kind: 'lower', user: 'A', role: 'editor' },
  { kind: 'remove', user: 'A' },
  { kind: 'remove', user: 'B' },
  { kind: 'revoke', user: 'A', device: 'A1' },
  invite(5),
  { kind: 'uninvite', extra: via },
  { kind: 'lapse', extra: via },
  open('public', 2),
  { kind: 'close' },
];

function stateOf(events: readonly AccessEvent[]): unknown {
  const graph = new AccessGraph();
  for (const one of [...base, ...events]) graph.add(one);
  const { members, opening, invites, epochs, revoked, counting } = graph.current();
  return {
    members: [...members.values()].map((one) => `${one.userId} ${one.role}`).sort(),
    opening: opening && `${opening.visibility} ${opening.id}`,
    invites: [...invites.values()].map((one) => `${one.ref} ${one.ended} ${one.used.join()}`).sort(),
    epochs,
    revoked: [...revoked].sort(),
    counting: [...counting].sort(),
    heads: graph.heads(),
  };
}

const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

describe('three members change rights at once', () => {
  test('every choice of three, none knowing of the others, ends in one state in every order', () => {
    for (const o of acts) {
      for (const a of acts) {
        for (const b of acts) {
          const made = [o, a, b].map((act, i) => act && event(`1${i}`, ['05'], 'OAB'[i] as string, act));
          const states = orders.map((order) =>
            stateOf(order.map((i) => made[i]).filter((one) => one !== null && one !== undefined)),
          );
          for (const state of states) expect(state).toEqual(states[0]);
          expect((states[0] as { members: string[] }).members).toContain('O owner');
        }
      }
    }
  });

  test('so does every pair followed by a third that saw one or both of them', () => {
    for (const first of acts) {
      for (const second of acts) {
        if (first === null || second === null) continue;
        for (const third of acts.slice(4)) {
          if (third === null) continue;
          for (const seen of [['10'], ['11'], ['10', '11']]) {
            const x = event('10', ['05'], 'O', first);
            const y = event('11', ['05'], 'A', second);
            const z = event('12', seen, 'A', third);
            const reference = stateOf([x, y, z]);
            expect(stateOf([y, x, z])).toEqual(reference);
            if (!seen.includes('11')) expect(stateOf([x, z, y])).toEqual(reference);
            if (!seen.includes('10')) expect(stateOf([y, z, x])).toEqual(reference);
          }
        }
      }
    }
  });
});

describe('who may', () => {
  const members = (...events: AccessEvent[]): unknown => stateOf(events);

  test('an editor who signs as if he managed changes nothing', () => {
    const before = members();
    for (const act of acts.slice(1)) {
      if (act?.kind === 'remove' && act.user === 'B') continue;
      if (act === null || act === undefined) continue;
      const forged = event('66', ['05'], 'B', act);
      expect(members(forged)).toEqual(before);
    }
    for (const role of ['owner', 'manager', 'editor'] as const) {
      expect(members(event('66', ['05'], 'B', { kind: 'grant', user: 'B', role }))).toEqual(
        role === 'editor'
          ? expect.objectContaining({ members: (before as { members: string[] }).members })
          : before,
      );
    }
  });

  test('a grant from before a removal, played again, brings nobody back', () => {
    const removed = event('20', ['05'], 'O', { kind: 'remove', user: 'B' });
    const replayed = base[2] as AccessEvent;
    expect(members(removed, replayed)).toEqual(members(removed));
  });

  test('a removed manager cannot open, invite or admit by entries dated back', () => {
    const removed = event('20', ['05'], 'O', { kind: 'remove', user: 'A' });
    const before = members(removed) as { members: string[]; opening: string; invites: string[] };
    for (const act of [open('public', 3), invite(6), { kind: 'close' } as Made, acts[2] as Made]) {
      const late = members(removed, event('66', ['04'], 'A', act)) as typeof before;
      expect([late.members, late.opening, late.invites]).toEqual([
        before.members,
        before.opening,
        before.invites,
      ]);
    }
  });

  test('invitations beyond the bound are not valid, whoever floods', () => {
    const flood: AccessEvent[] = [];
    for (let n = 0; n < 3 * maxOpenInvites; n++) {
      flood.push(
        event(`5${n.toString(16).padStart(3, '0')}`, [flood.at(-1)?.id ?? '05'], 'A', invite(10 + n)),
      );
    }
    expect((members(...flood) as { invites: string[] }).invites).toHaveLength(maxOpenInvites);
  });
});

test('long random runs of three computers that change rights and write end in one drive', async () => {
  const file = (id: string) =>
    ({ t: 'make', node: nodeId(id), kind: 'file', parent: rootNode, name: id, content: text(id) }) as const;
  const step = fc.record({ who: fc.nat(2), act: fc.nat(7), to: fc.nat(2) });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 16 }), async (steps) => {
      const name = `run ${run++}`;
      const nodes = ['alice', 'bob', 'carol'].map((who) => bench.node(person(`${who} ${name}`)));
      const [alice, bob, carol] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
      const a = await alice.create(name);
      await a.share(bob.who.userId, bob.who.encKey, 'manager');
      await a.share(carol.who.userId, carol.who.encKey, 'editor');
      const drives = [a, await bob.join(a), await carol.join(a)];
      for (const drive of drives.slice(1)) await send(a, drive);
      for (const [n, { who, act, to }] of steps.entries()) {
        const drive = drives[who] as Drive;
        const target = (nodes[to] as (typeof nodes)[0]).who;
        const work = [
          () => drive.commit([file(`${n}`)]),
          () => drive.commit([file(`same ${to}`)]),
          () => drive.share(target.userId, target.encKey, 'reader'),
          () => drive.share(target.userId, target.encKey, 'editor'),
          () => drive.unshare(target.userId),
          () => drive.setVisibility((['private', 'unlisted', 'public'] as const)[to] ?? 'private'),
          () => drive.invite('editor', { expires: null, uses: null }),
          () => send(drive, drives[to] as Drive),
        ][act] as () => Promise<unknown>;
        await work().catch((error: unknown) => expect(error).toMatchObject({ name: 'AppError' }));
      }
      await gossip(...drives);
      const [first, ...others] = drives.map((drive) => ({
        heads: drive.heads().map((hash) => Buffer.from(hash).toString('hex')),
        members: drive.members(),
        visibility: drive.visibility(),
        invites: drive.invites(),
        quarantined: [...drive.quarantined()].sort(),
        // Who was removed may lack the keys of what came later.
        tree: drive.ownRole() === null ? null : dump(drive),
      }));
      const whole = { ...first, tree: dump(a) };
      for (const other of others)
        expect(other).toEqual(other.tree === null ? { ...whole, tree: null } : whole);
      expect(await a.verify()).toMatchObject({ ok: true });
    }),
    { numRuns: 8, seed: 20261123 },
  );
}, 120_000);
