import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planDrive } from './drive-plan.ts';
import type { PlacedHost } from './drive-plan.ts';
import type { Candidate } from './placement.ts';
import { usualRules } from './repair.ts';
import type { HostRole } from './types.ts';

const GiB = 1024 ** 3;
const now = 1e12;
const candidate = (n: number, owner: string | null = null): Candidate => ({
  peerId: `peer-${n}`,
  owner,
  quota: 10 * GiB,
  free: 10 * GiB,
  reputation: 1,
  vetted: true,
  rtt: 20,
});
const many = (count: number): Candidate[] => Array.from({ length: count }, (_, n) => candidate(n));
const host = (n: number, more: Partial<PlacedHost> = {}): PlacedHost => ({
  peerId: `peer-${n}`,
  connected: true,
  lastSeen: now,
  complete: true,
  leaving: false,
  disqualified: false,
  missSince: null,
  broken: false,
  whole: false,
  slot: null,
  ...more,
});
const coded = { slots: 6, parity: 2, bytes: 1 };
const usual = { key: 'drive', bytes: 1, coded, mayForgetShards: true, now, rules: usualRules };
const plan = (hosts: readonly PlacedHost[], candidates: readonly Candidate[], wanted = 3) =>
  planDrive({ ...usual, wanted, hosts, candidates }).changes;

/** Roles after the plan, hosts without one left out. */
function rolesAfter(
  hosts: readonly PlacedHost[],
  changes: ReadonlyMap<string, HostRole>,
): Map<string, HostRole> {
  const roles = new Map<string, HostRole>(hosts.map(({ peerId, whole, slot }) => [peerId, { whole, slot }]));
  for (const [peer, role] of changes) roles.set(peer, role);
  for (const [peer, { whole, slot }] of roles) if (!whole && slot === null) roles.delete(peer);
  return roles;
}

describe('the plan of a drive with erasure-coded files', () => {
  it('fills six slots on six hosts, three of which keep the rest whole', () => {
    const roles = rolesAfter([], plan([], many(6)));
    expect([...roles.values()].map(({ slot }) => slot).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...roles.values()].filter(({ whole }) => whole)).toHaveLength(3);
  });

  it('takes hosts of other people while there are some', () => {
    const sybils = [10, 11, 12, 13].map((n) => candidate(n, 'one person'));
    const slots = (candidates: readonly Candidate[]): string[] =>
      [...rolesAfter([], plan([], candidates))].filter(([, { slot }]) => slot !== null).map(([peer]) => peer);
    expect(slots([...many(5), ...sybils]).filter((peer) => /1[0-3]/.test(peer))).toHaveLength(1);
    // Too few others: better two shards with one person than none.
    expect(slots([...many(3), ...sybils])).toHaveLength(6);
  });

  it('waits less for the host of a shard the more shards are out of reach', () => {
    const all = (away: readonly number[], minutes: number): PlacedHost[] =>
      Array.from({ length: 6 }, (_, n) =>
        host(n, {
          slot: n,
          ...(away.includes(n) && { connected: false, lastSeen: now - minutes * 60_000 }),
        }),
      );
    const added = (away: readonly number[], minutes: number): number =>
      [...plan(all(away, minutes), many(12), 0).values()].length;
    expect(added([1], 20)).toBe(0);
    expect(added([1], 31)).toBe(1);
    expect(added([1, 2], 0.9)).toBe(0);
    expect(added([1, 2], 1.1)).toBe(2);
  });

  it('takes shards of stripes it does not know from nobody before whole copies are there', () => {
    const hosts = [0, 1, 2, 3, 4, 5].map((n) => host(n, { slot: n, whole: n < 3 }));
    const input = { ...usual, wanted: 3, coded: null, hosts, candidates: many(6) };
    expect(planDrive({ ...input, mayForgetShards: false }).changes.size).toBe(0);
    expect(rolesAfter(hosts, planDrive(input).changes).size).toBe(3);
  });

  it('gives whoever loses a slot no other one in the same plan', () => {
    const failing = host(0, { complete: false, missSince: now - 300_000, slot: 2 });
    const away = host(1, { connected: false, slot: 2 });
    expect(plan([failing, away], many(1)).get('peer-0')?.slot ?? null).toBeNull();
  });

  it('never leaves a slot without a complete shard it had, nor puts two slots on one host', () => {
    const state = fc.record({
      connected: fc.boolean(),
      lastSeen: fc.integer({ min: 0, max: 4_000_000 }).map((ago) => now - ago),
      complete: fc.boolean(),
      leaving: fc.boolean(),
      disqualified: fc.boolean(),
      missSince: fc.option(fc.integer({ min: 0, max: 600_000 }).map((ago) => now - ago)),
      broken: fc.boolean(),
      whole: fc.boolean(),
      slot: fc.option(fc.integer({ min: 0, max: 5 })),
    });
    fc.assert(
      fc.property(fc.array(state, { maxLength: 14 }), fc.integer({ min: 0, max: 20 }), (states, others) => {
        const hosts = states.map((one, n) => ({ peerId: `peer-${n}`, ...one }));
        const changes = plan(hosts, many(others));
        const roles = rolesAfter(hosts, changes);
        const wholeAndComplete = (list: readonly PlacedHost[]): number =>
          list.filter((one) => one.complete && roles.get(one.peerId)?.whole).length;
        const before = hosts.filter((one) => one.complete && one.whole).length;
        expect(wholeAndComplete(hosts)).toBeGreaterThanOrEqual(Math.min(before, 3));
        for (let slot = 0; slot < 6; slot++) {
          const had = hosts.some((one) => one.complete && one.slot === slot);
          const has = hosts.some((one) => one.complete && roles.get(one.peerId)?.slot === slot);
          if (had) expect(has).toBe(true);
        }
        for (const [peer, role] of changes) {
          const old = hosts.find(({ peerId }) => peerId === peer);
          // Who had a slot keeps it or loses it; it never gets another in the same plan.
          if (old && old.slot !== null) expect([old.slot, null]).toContain(role.slot);
          if (old && (old.broken || old.leaving || old.disqualified)) {
            expect(Number(role.whole)).toBeLessThanOrEqual(Number(old.whole));
          }
        }
      }),
    );
  });
});
