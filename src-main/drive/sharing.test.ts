import { afterAll, describe, expect, test } from 'vitest';
import { encryptionKeyOf, tryUnwrap } from '../identity/index.ts';
import { entryHash } from '../history/index.ts';
import { signClaim, verifyClaim, inviteSigner } from './access/invite-key.ts';
import { maxOpenInvites } from './access/evaluate.ts';
import { createTestBench, gossip, nodeId, person, send, text } from './test-support/people.ts';
import type { TestPerson } from './test-support/people.ts';
import { rootNode } from './types.ts';
import type { Drive } from './types.ts';

const bench = createTestBench('sharing');
afterAll(() => bench.clean());

const file = (id: string) =>
  ({ t: 'make', node: nodeId(id), kind: 'file', parent: rootNode, name: id, content: text(id) }) as const;
const names = (drive: Drive): string[] => drive.tree.children(rootNode).map((node) => node.name);
const nonce = new Uint8Array(32).fill(7);
const never = { expires: null, uses: null };

function proof(drive: Drive, secret: Uint8Array, who: TestPerson) {
  const claim = { user: who.userId, device: who.deviceId, verifier: 'verifier', nonce };
  const signature = signClaim(secret, { drive: entryHash(drive.id), ...claim });
  return { claim, signature };
}

async function admit(drive: Drive, invite: { id: string; secret: Uint8Array }, who: TestPerson) {
  const { claim, signature } = proof(drive, invite.secret, who);
  return drive.admit(invite.id, claim, who.encKey, signature);
}

const alice = bench.node(person('alice'));

describe('invitations by link', () => {
  test('let somebody in who proves the secret, count each person once, and end', async () => {
    const bob = bench.node(person('bob'));
    const carol = bench.node(person('carol'));
    const a = await alice.create('Team');
    await a.commit([file('before')]);
    const invite = await a.invite('editor', { expires: null, uses: 1 });
    expect(await admit(a, invite, bob.who)).toBe('editor');
    expect(await admit(a, invite, bob.who)).toBe('editor');
    await expect(admit(a, invite, carol.who)).rejects.toMatchObject({ code: 'invite_used_up' });
    expect(a.invites()).toMatchObject([{ id: invite.id, used: [bob.who.userId], state: 'used_up' }]);
    const b = await bob.join(a);
    await send(a, b);
    expect(names(b)).toEqual(['before']);
    await b.commit([file('mine')]);
    await gossip(a, b);
    expect(names(a)).toEqual(['before', 'mine']);
    const old = a.currentEpoch();
    expect(await a.sweepInvites()).toBe(1);
    expect(await a.sweepInvites()).toBe(0);
    expect(a.currentEpoch()).not.toBe(old);
    await send(a, b);
    expect(b.currentEpoch()).toBe(a.currentEpoch());
    await expect(admit(a, invite, carol.who)).rejects.toMatchObject({ code: 'invite_used_up' });
    expect((await b.verify()).ok).toBe(true);
  });

  test('end with the removal of who came by them, who could come back under any name, and not when he leaves', async () => {
    const bob = bench.node(person('bob'));
    const [carol, dora] = [person('carol'), person('dora')];
    const a = await alice.create('Team');
    const [known, other] = [await a.invite('editor', never), await a.invite('reader', never)];
    await admit(a, known, bob.who);
    await admit(a, other, dora);
    await a.unshare(bob.who.userId);
    for (const who of [bob.who, carol])
      await expect(admit(a, known, who)).rejects.toMatchObject({ code: 'invite_revoked' });
    expect(await admit(a, other, carol)).toBe('reader');
    expect(a.roleOf(bob.who.userId)).toBeNull();

    const again = await a.invite('editor', never);
    await admit(a, again, bob.who);
    const b = await bob.join(a);
    await send(a, b);
    await b.unshare(bob.who.userId);
    await gossip(a, b);
    expect(a.roleOf(bob.who.userId)).toBeNull();
    expect(await admit(a, again, bob.who)).toBe('editor');
    expect((await a.verify()).ok).toBe(true);
  });

  test('expire by the clock, and are taken back', async () => {
    const carol = person('carol');
    const a = await alice.create('Team');
    const soon = await a.invite('reader', { expires: alice.clock.now() + 1000, uses: null });
    const later = await a.invite('reader', never);
    alice.clock.advance(1000);
    await expect(admit(a, soon, carol)).rejects.toMatchObject({ code: 'invite_expired' });
    await a.endInvite(later.id);
    await expect(admit(a, later, carol)).rejects.toMatchObject({ code: 'invite_revoked' });
    await expect(a.endInvite('0'.repeat(32))).rejects.toMatchObject({ code: 'not_found' });
    expect(a.members()).toHaveLength(1);
  });

  test('say nothing to who does not know the secret, or replays a proof made for somebody else', async () => {
    const bob = person('bob');
    const eve = person('eve');
    const a = await alice.create('Team');
    const invite = await a.invite('reader', never);
    const wrong = { id: invite.id, secret: new Uint8Array(16) };
    await expect(admit(a, wrong, eve)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(admit(a, { ...invite, id: 'f'.repeat(32) }, eve)).rejects.toMatchObject({
      code: 'forbidden',
    });
    const { claim, signature } = proof(a, invite.secret, bob);
    for (const changed of [
      { user: eve.userId },
      { device: eve.deviceId },
      { verifier: 'x' },
      { nonce: new Uint8Array(32) },
    ]) {
      await expect(a.admit(invite.id, { ...claim, ...changed }, eve.encKey, signature)).rejects.toMatchObject(
        {
          code: 'forbidden',
        },
      );
    }
    const key = inviteSigner(invite.secret).publicKey;
    expect(verifyClaim(key, { drive: entryHash(a.id), ...claim }, new Uint8Array(3))).toBe(false);
  });

  test('fall with the right of who made them; readers make none; there are not more than so many', async () => {
    const bob = bench.node(person('bob'));
    const dora = person('dora');
    const a = await alice.create('Team');
    await a.share(bob.who.userId, bob.who.encKey, 'manager');
    const b = await bob.join(a);
    await send(a, b);
    const invite = await b.invite('editor', never);
    await expect(b.invite('manager', never)).rejects.toMatchObject({ code: 'forbidden' });
    await send(b, a);
    await a.share(bob.who.userId, bob.who.encKey, 'editor');
    await expect(admit(a, invite, dora)).rejects.toMatchObject({ code: 'invite_revoked' });
    await send(a, b);
    await expect(b.invite('reader', never)).rejects.toMatchObject({ code: 'forbidden' });
    for (let open = 1; open < maxOpenInvites; open++) await a.invite('reader', never);
    await expect(a.invite('reader', never)).rejects.toMatchObject({ code: 'too_many_invites' });
    await a.endInvite(a.invites()[1]?.id ?? '');
    await a.invite('reader', never);
    await send(a, b);
    expect(b.invites()).toEqual(a.invites());
  });
});

describe('visibility', () => {
  /** Somebody without a role who has a link, or (null) only the drive's id. */
  function guest(secret: Uint8Array | null, name = 'guest') {
    const who = person(name);
    return bench.node({ ...who, unwrap: (box) => secret && tryUnwrap(secret, box) });
  }

  test('an unlisted drive is read by its link through later epochs, until it is private again', async () => {
    const bob = bench.node(person('bob'));
    const a = await alice.create('Holiday');
    await a.commit([file('one')]);
    await a.share(bob.who.userId, bob.who.encKey, 'editor');
    await a.setVisibility('unlisted');
    const secret = a.readSecret() as Uint8Array;
    const g = await guest(secret).join(a);
    await send(a, g);
    expect(names(g)).toEqual(['one']);
    expect([g.visibility(), g.ownRole()]).toEqual(['unlisted', 'reader']);
    await a.unshare(bob.who.userId);
    await a.commit([file('two')]);
    await send(a, g);
    expect(names(g)).toEqual(['one', 'two']);
    await expect(g.commit([file('mine')])).rejects.toMatchObject({ code: 'forbidden' });
    // Without the link the chain says nothing.
    const blind = await guest(null, 'blind').join(a);
    await send(a, blind);
    expect(names(blind)).toEqual([]);
    await a.setVisibility('private');
    await a.commit([file('three')]);
    await send(a, g);
    expect(names(g)).toEqual(['one', 'two']);
    expect(a.readSecret()).toBeNull();
    await a.setVisibility('unlisted');
    expect(a.readSecret()).not.toEqual(secret);
  });

  test('a public drive is read by everybody; unlisted again it needs a new link', async () => {
    const a = await alice.create('Blog');
    await a.commit([file('hello')]);
    await a.setVisibility('public');
    const g = await guest(null).join(a);
    await send(a, g);
    expect([names(g), g.visibility()]).toEqual([['hello'], 'public']);
    const old = a.readSecret() as Uint8Array;
    await a.setVisibility('unlisted');
    await a.commit([file('later')]);
    await send(a, g);
    expect(names(g)).toEqual(['hello']);
    const stale = await guest(old, 'stale').join(a);
    await send(a, stale);
    expect(names(stale)).toEqual(['hello']);
    const fresh = await guest(a.readSecret(), 'fresh').join(a);
    await send(a, fresh);
    expect(names(fresh)).toEqual(['hello', 'later']);
    expect((await a.verify()).ok).toBe(true);
  });

  test('only managers change it; closing beats opening at the same time', async () => {
    const bob = bench.node(person('bob'));
    const carol = bench.node(person('carol'));
    const a = await alice.create('Team');
    await a.share(bob.who.userId, bob.who.encKey, 'manager');
    await a.share(carol.who.userId, carol.who.encKey, 'editor');
    await a.setVisibility('unlisted');
    const b = await bob.join(a);
    const c = await carol.join(a);
    await gossip(a, b, c);
    await expect(c.setVisibility('public')).rejects.toMatchObject({ code: 'forbidden' });
    await a.setVisibility('public');
    await b.setVisibility('private');
    await gossip(a, b, c);
    expect([a, b, c].map((drive) => drive.visibility())).toEqual(['private', 'private', 'private']);
  });

  test('a removal that did not know of the link is followed by keys for its readers', async () => {
    const bob = bench.node(person('bob'));
    const carol = bench.node(person('carol'));
    const a = await alice.create('Team');
    await a.share(bob.who.userId, bob.who.encKey, 'manager');
    await a.share(carol.who.userId, carol.who.encKey, 'editor');
    const b = await bob.join(a);
    await send(a, b);
    await a.setVisibility('unlisted');
    await b.unshare(carol.who.userId);
    await gossip(a, b);
    await a.commit([file('after')]);
    const g = await guest(a.readSecret()).join(a);
    await send(a, g);
    expect(names(g)).toEqual(['after']);
    expect(encryptionKeyOf(a.readSecret() as Uint8Array)).toHaveLength(32);
  });
});

test('the history of rights tells who did what to whom, and nothing devices do by themselves', async () => {
  const bob = bench.node(person('bob'));
  const a = await alice.create('Told');
  await a.share(bob.who.userId, bob.who.encKey, 'editor');
  await a.share(bob.who.userId, bob.who.encKey, 'reader');
  const invite = await a.invite('reader', never);
  await a.endInvite(invite.id);
  await a.setVisibility('unlisted');
  await a.setVisibility('private');
  await a.unshare(bob.who.userId);
  const told = a.rightsHistory();
  expect(told.map(({ kind }) => kind)).toEqual([
    ...(['remove', 'close', 'open', 'uninvite', 'invite'] as const),
    ...(['lower', 'grant', 'genesis'] as const),
  ]);
  expect(told.find(({ kind }) => kind === 'lower')).toMatchObject({
    user: bob.who.userId,
    role: 'reader',
    was: 'editor',
    author: alice.who.userId,
  });
  expect(told.find(({ kind }) => kind === 'open')?.visibility).toBe('unlisted');
});
