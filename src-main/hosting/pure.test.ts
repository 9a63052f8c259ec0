import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { createSigner, deviceIdOf } from '../identity/index.ts';
import { entryId } from '../history/index.ts';
import { hasTag, memberTags, openContract, signContract } from './contract.ts';
import { createIdleHosts } from './idle-hosts.ts';
import { offerToStranger, strangersBound } from './lending.ts';
import { leafBytes, leafCount, leafRoot, proveLeaf, verifyLeaf } from '../history/index.ts';
import { decodeHostAnswer, decodeHostRequest, encodeHostAnswer, encodeHostRequest } from './messages.ts';
import type { HostAnswer, HostRequest } from './messages.ts';
import { chooseHosts, weightOf } from './placement.ts';
import type { Candidate } from './placement.ts';
import { patienceMs, planReplicas, usualRules } from './repair.ts';
import type { ReplicaState } from './repair.ts';
import { afterAudit, newcomer, score } from './reputation.ts';

const GiB = 1024 ** 3;
const candidate = (n: number, more: Partial<Candidate> = {}): Candidate => ({
  peerId: `peer-${n}`,
  owner: null,
  quota: 10 * GiB,
  free: 10 * GiB,
  reputation: 1,
  vetted: true,
  rtt: 20,
  ...more,
});
const many = (count: number): Candidate[] => Array.from({ length: count }, (_, n) => candidate(n));

describe('trees over blocks', () => {
  it('prove every leaf of blocks of all shapes, and nothing else', () => {
    for (const bytes of [0, 1, 1023, 1024, 1025, 5 * 1024, 33_000]) {
      const block = randomBytes(bytes);
      const root = leafRoot(block);
      for (let leaf = 0; leaf < leafCount(bytes); leaf++) {
        const proof = proveLeaf(block, leaf)!;
        expect(verifyLeaf(root, bytes, leaf, proof)).toBe(true);
        expect(verifyLeaf(root, bytes, leaf + 1, proof)).toBe(false);
        expect(verifyLeaf(root, bytes + leafBytes, leaf, proof)).toBe(false);
        expect(verifyLeaf(root, bytes, leaf, { ...proof, path: [...proof.path, root] })).toBe(false);
        const wrong = Uint8Array.from(proof.leaf);
        if (wrong.length === 0) continue;
        wrong[0]! ^= 1;
        expect(verifyLeaf(root, bytes, leaf, { ...proof, leaf: wrong })).toBe(false);
      }
      expect(proveLeaf(block, leafCount(bytes))).toBeNull();
    }
  });
});

describe('reputation', () => {
  it('stands one lost block and ends a host that fails one audit in ten', () => {
    expect(afterAudit(newcomer, false).disqualified).toBe(false);
    let honest = newcomer;
    for (let i = 0; i < 1000; i++) honest = afterAudit(honest, i % 50 !== 0);
    expect(honest.disqualified).toBe(false);
    let careless = newcomer;
    for (let i = 0; i < 1000; i++) careless = afterAudit(careless, i % 10 !== 0);
    expect(careless.disqualified).toBe(true);
    expect(score(careless)).toBeLessThan(0.96);
  });
});

describe('placement', () => {
  it('chooses the same hosts whatever the order, and moves little when one joins or leaves', () => {
    const nodes = many(60);
    let moved = 0;
    for (let drive = 0; drive < 300; drive++) {
      const before = chooseHosts(`drive ${drive}`, nodes, 3, 1);
      expect(chooseHosts(`drive ${drive}`, [...nodes].reverse(), 3, 1)).toEqual(before);
      const after = chooseHosts(`drive ${drive}`, [...nodes, candidate(99)], 3, 1);
      moved += after.filter((one) => !before.includes(one)).length;
      // Who did not leave stays.
      const fewer = chooseHosts(`drive ${drive}`, nodes.slice(1), 3, 1);
      for (const one of before) if (one !== nodes[0]) expect(fewer).toContain(one);
    }
    // 900 copies over 61 nodes: the new one gets about 15.
    expect(moved).toBeGreaterThan(3);
    expect(moved).toBeLessThan(35);
  });

  it('passes over nodes that are filled far beyond the others, unless nobody else is there', () => {
    const nodes = [...many(10), candidate(20, { free: 2 * GiB }), candidate(21, { quota: GiB, free: 0 })];
    const half = nodes.map((one, n) => (n < 10 ? { ...one, free: 5 * GiB } : one));
    for (let drive = 0; drive < 200; drive++) {
      const chosen = chooseHosts(`d${drive}`, half, 10, GiB / 4).map(({ peerId }) => peerId);
      expect(chosen).not.toContain('peer-20');
    }
    expect(chooseHosts('d', half, 12, GiB / 4).at(-1)?.peerId).toBe('peer-20');
    expect(chooseHosts('d', half, 12, GiB / 4)).toHaveLength(11);
  });

  it('gives more to those with more room, none to those without, and spreads over people', () => {
    const nodes = [
      ...many(20),
      candidate(50, { quota: 160 * GiB, free: 160 * GiB }),
      candidate(51, { quota: 10, free: 10 }),
    ];
    const counts = new Map<string, number>();
    for (let drive = 0; drive < 2000; drive++) {
      for (const { peerId } of chooseHosts(`d${drive}`, nodes, 2, GiB)) {
        counts.set(peerId, (counts.get(peerId) ?? 0) + 1);
      }
    }
    expect(counts.get('peer-51')).toBeUndefined();
    expect(weightOf(nodes[20]!, 1) / weightOf(nodes[0]!, 1)).toBeCloseTo(4);
    const usual = counts.get('peer-0')!;
    expect(counts.get('peer-50')! / usual).toBeGreaterThan(2.3);
    const sybils = [
      ...many(2),
      ...[10, 11, 12].map((n) => candidate(n, { owner: 'one person', quota: 4000 * GiB, free: 4000 * GiB })),
    ];
    for (let drive = 0; drive < 50; drive++) {
      const owners = chooseHosts(`d${drive}`, sybils, 3, 1).filter(({ owner }) => owner !== null);
      expect(owners).toHaveLength(1);
    }
  });
});

describe('the plan of copies', () => {
  const now = 1e12;
  const host = (n: number, more: Partial<ReplicaState> = {}): ReplicaState => ({
    peerId: `peer-${n}`,
    connected: true,
    lastSeen: now,
    complete: true,
    leaving: false,
    disqualified: false,
    missSince: null,
    broken: false,
    ...more,
  });
  const plan = (hosts: readonly ReplicaState[], nodes = many(20), wanted = 3) =>
    planReplicas({ key: 'drive', wanted, bytes: 1, hosts, candidates: nodes, now, rules: usualRules });

  it('waits half an hour for a silent host and then replaces it', () => {
    const away = (ms: number) => host(3, { connected: false, lastSeen: now - ms });
    const best = chooseHosts('drive', many(20), 3, 1).map(({ peerId }) => peerId);
    expect(plan([]).add).toEqual(best);
    expect(plan([host(1), host(2), away(29 * 60_000)]).add).toEqual([]);
    const late = plan([host(1), host(2), away(31 * 60_000)]);
    expect(late.add).toHaveLength(1);
    expect(late.release).toEqual([]);
  });

  it('waits less for a silent host the fewer complete copies are within reach', () => {
    const away = (n: number, minutes: number) =>
      host(n, { connected: false, lastSeen: now - minutes * 60_000 });
    expect(patienceMs(2, 3, usualRules)).toBe(30 * 60_000);
    expect(plan([host(1), host(2), away(3, 20)]).add).toHaveLength(0);
    // Two of three away: a minute; all but a copy in the making: half of one.
    expect(plan([host(1), away(2, 0.9), away(3, 20)]).add).toHaveLength(1);
    expect(plan([host(1), away(2, 1.1), away(3, 20)]).add).toHaveLength(2);
    expect(plan([away(1, 0.4), away(2, 0.4), away(3, 0.4)]).add).toHaveLength(0);
    expect(plan([away(1, 0.6), away(2, 0.6), away(3, 0.6)]).add).toHaveLength(3);
    // However impatient the settings: a program is given time to start again.
    expect(patienceMs(0, 3, { ...usualRules, silenceMs: 5 * 60_000 })).toBe(30_000);
    expect(patienceMs(0, 3, { ...usualRules, silenceMs: 5_000 })).toBe(5_000);
  });

  it('gives nobody up before enough others have everything', () => {
    const broken = host(3, { broken: true });
    expect(plan([host(1), host(2), broken]).release).toEqual([]);
    expect(plan([host(1), host(2), broken, host(4, { complete: false })]).release).toEqual([]);
    expect(plan([host(1), host(2), broken, host(4)]).release).toEqual(['peer-3']);
    // Nobody else is there at all: the bad copy stays.
    expect(plan([broken], []).release).toEqual([]);
    for (const bad of [{ leaving: true }, { disqualified: true }, { missSince: now - usualRules.repairMs }]) {
      expect(plan([host(1), host(2), host(3, bad)]).add).toHaveLength(1);
    }
    expect(plan([host(1), host(2), host(3, { missSince: now - 1000 })]).add).toEqual([]);
    // With all well, one copy may move to a host that fits much better, and none to one that hardly does.
    expect(plan([host(1), host(2), host(3)]).add.length).toBeLessThanOrEqual(1);
    const best = chooseHosts('drive', many(20), 3, 1).map(({ peerId }) => ({ ...host(0), peerId }));
    expect(plan(best).add).toEqual([]);
  });

  it('gives a host that joins and fits much better a copy, and lets the least fitting one go beyond the spare ones', () => {
    const ranked = chooseHosts('drive', many(20), 20, 1);
    const named = (from: readonly Candidate[]) => from.map(({ peerId }) => ({ ...host(0), peerId }));
    const three = ranked.slice(-3);
    const [joined] = ranked;
    expect(plan(named(three), three).add).toEqual([]);
    expect(plan(named(three), [...three, joined!])).toMatchObject({ add: [joined!.peerId], release: [] });
    // Not while anything is wrong, and one at a time.
    const away = { connected: false, lastSeen: now - 60_000 };
    const [one, ...others] = named(three);
    expect(plan([{ ...one!, ...away }, ...others], [...three, joined!]).add).toEqual([]);
    expect(plan(named(three), ranked).add).toHaveLength(1);
    const seven = ranked.slice(0, 7);
    expect(plan(named(seven.slice(0, 6))).release).toEqual([]);
    expect(plan(named(seven)).release).toEqual([seven[6]!.peerId]);
  });

  it('never leaves fewer complete copies than there were, up to those wanted', () => {
    const state = fc.record({
      connected: fc.boolean(),
      lastSeen: fc.integer({ min: 0, max: 4_000_000 }).map((ago) => now - ago),
      complete: fc.boolean(),
      leaving: fc.boolean(),
      disqualified: fc.boolean(),
      missSince: fc.option(fc.integer({ min: 0, max: 600_000 }).map((ago) => now - ago)),
      broken: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(state, { maxLength: 8 }), fc.integer({ min: 1, max: 5 }), (states, wanted) => {
        const hosts = states.map((one, n) => ({ peerId: `peer-${n}`, ...one }));
        const { add, release } = plan(hosts, many(12), wanted);
        const left = hosts.filter(({ peerId, complete }) => complete && !release.includes(peerId)).length;
        const before = hosts.filter(({ complete }) => complete).length;
        expect(left).toBeGreaterThanOrEqual(Math.min(before, wanted));
        expect(add.every((peer) => !hosts.some(({ peerId }) => peerId === peer))).toBe(true);
        expect(new Set(release).size).toBe(release.length);
        // One copy at most moves when nothing is wrong.
        if (hosts.length === wanted && release.length === 0) expect(add.length).toBeLessThanOrEqual(wanted);
      }),
    );
  });
});

describe('what a stranger is offered', () => {
  it('is never more than is free, than one may reserve, or than strangers may together', () => {
    const size = fc.nat({ max: 1_000_000_000_000 });
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(size, size, size, size, share, (quota, free, own, others, part) => {
        const bound = strangersBound(quota, part);
        const reserved = { own, strangers: own + others };
        const told = offerToStranger({ quota, free }, bound, reserved);
        expect(told.free).toBeGreaterThanOrEqual(0);
        expect(told.free).toBeLessThanOrEqual(free);
        expect(told.quota).toBeLessThanOrEqual(quota);
        if (told.free > 0) {
          expect(own + told.free).toBeLessThanOrEqual(bound.each);
          expect(own + others + told.free).toBeLessThanOrEqual(bound.together);
        }
        expect(bound.each).toBeLessThanOrEqual(bound.together);
      }),
    );
    expect(strangersBound(1000, 0.25)).toEqual({ each: 250, together: 750 });
    expect(
      offerToStranger({ quota: 1000, free: 900 }, strangersBound(1000, 1), { own: 100, strangers: 100 }),
    ).toEqual({ quota: 1000, free: 900 });
  });
});

describe('contracts and messages', () => {
  const signer = createSigner(randomBytes(32));
  const keeper = deviceIdOf(signer.publicKey);
  const drive = entryId(randomBytes(32));
  const contract = {
    v: 1 as const,
    drive,
    host: deviceIdOf(createSigner(randomBytes(32)).publicKey),
    keeper,
    number: 3,
    copies: 3,
    bytes: 1000,
    members: memberTags(drive, ['user a', 'user b', 'user a']),
    managers: memberTags(drive, ['user a']),
    hosts: [
      { peerId: keeper, addresses: ['/ip4/127.0.0.1/tcp/1'], whole: true, slot: null },
      { peerId: keeper, addresses: [], whole: false, slot: 5 },
      { peerId: keeper, addresses: [], whole: true, slot: 0 },
    ],
    from: 1,
    until: 2,
    open: null,
  };

  it('come back as they were signed and are refused when altered', () => {
    const signed = signContract(contract, signer, null);
    expect(openContract(signed.bytes).contract).toEqual(contract);
    for (const open of ['public', new Uint8Array(32).fill(7)] as const) {
      expect(openContract(signContract({ ...contract, open }, signer, null).bytes).contract.open).toEqual(
        open,
      );
    }
    const wrong = signContract({ ...contract, open: new Uint8Array(31) }, signer, null);
    expect(() => openContract(wrong.bytes)).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(hasTag(contract.members, drive, 'user b')).toBe(true);
    expect(hasTag(contract.managers, drive, 'user b')).toBe(false);
    for (let i = 0; i < signed.bytes.length; i += 7) {
      const bytes = Uint8Array.from(signed.bytes);
      bytes[i]! ^= 1;
      expect(() => openContract(bytes)).toThrow();
    }
    const other = signContract(contract, createSigner(randomBytes(32)), null);
    expect(() => openContract(other.bytes)).toThrow(expect.objectContaining({ code: 'bad_signature' }));
  });

  it('travel as requests and answers', () => {
    const id = new Uint8Array(randomBytes(32));
    const requests: HostRequest[] = [
      { t: 'offer' },
      { t: 'paid', drive, chain: 'c', contract: 3, at: 0, count: 2, ids: [id] },
      { t: 'others' },
      { t: 'contract', contract: id, genesis: id },
      { t: 'keep', drive, blocks: [{ id, size: 5 }] },
      { t: 'drop', drive, ids: [id] },
      { t: 'stripes', drive, add: [id], remove: [id] },
      { t: 'search', drive, ids: [id] },
      { t: 'status', drive },
      { t: 'check', drive },
      { t: 'audit', drive, challenges: [{ id, leaf: 2 }] },
      { t: 'release', drive, number: 4 },
      { t: 'contracts', drive },
    ];
    for (const one of requests) expect(decodeHostRequest(encodeHostRequest(one))).toEqual(one);
    const answers: HostAnswer[] = [
      { t: 'ok' },
      { t: 'offered', quota: 5, free: 4, leaving: false, asks: null, addresses: ['/ip4/127.0.0.1/tcp/1'] },
      { t: 'offered', quota: 5, free: 4, leaving: false, asks: { chain: 'c', price: 7n }, addresses: [] },
      { t: 'offers', offers: [{ peerId: keeper, addresses: ['/ip4/127.0.0.1/tcp/1'], quota: 9, free: 8 }] },
      { t: 'state', bytes: 1, blocks: 2, missing: 3 },
      { t: 'proofs', proofs: [null, { leaf: id, path: [id] }] },
      { t: 'known', contracts: [id] },
      { t: 'found', stripes: [id] },
      { t: 'refused', code: 'quota_exceeded', message: 'No.' },
    ];
    for (const one of answers) expect(decodeHostAnswer(encodeHostAnswer(one))).toEqual(one);
  });

  it('decode any bytes without another error than their own', () => {
    const seeds = [encodeHostRequest({ t: 'status', drive }), signContract(contract, signer, null).bytes];
    const mutated = fc
      .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat({ max: 255 }), fc.nat({ max: 40 }))
      .map(([seed, at, value, cut]) => {
        const bytes = Uint8Array.from(seed);
        bytes[at % bytes.length] = value;
        return bytes.subarray(0, bytes.length - cut);
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
        for (const decode of [decodeHostRequest, decodeHostAnswer, openContract]) {
          try {
            decode(bytes);
          } catch (error) {
            if (!isAppError(error)) throw error;
          }
        }
      }),
    );
  });
});

it('a host is idle when it lacks something and takes nothing in for longer than it may', () => {
  let now = 0;
  const idle = createIdleHosts({ now: () => now, after: () => () => {} }, () => 300_000);
  const at = (minutes: number, missing: number): boolean => {
    now = minutes * 60_000;
    return idle.note('host', missing);
  };
  expect([at(0, 9), at(4, 9), at(5, 9)]).toEqual([false, false, true]);
  expect([at(6, 8), at(10, 8), at(11, 20)]).toEqual([false, false, true]);
  expect([at(12, 0), at(20, 3), at(24, 3)]).toEqual([false, false, false]);
  idle.forget('host');
  expect([at(26, 3), at(30, 3), at(31, 3)]).toEqual([false, false, true]);
});
