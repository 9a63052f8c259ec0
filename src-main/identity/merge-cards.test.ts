import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signCard, signDeviceCertificate } from './card.ts';
import { cardCovers, mergeCards, newerCard } from './merge-cards.ts';
import { x25519Public } from './primitives.ts';
import { createSigner } from './signature.ts';
import { seededRandom } from './test-world.ts';
import type { ActorCard } from './types.ts';

const random = seededRandom('merge');
const root = createSigner(random(32));
const encKey = x25519Public(random(32));
const pool = Array.from({ length: 5 }, (_, i) => {
  const deviceKey = createSigner(random(32)).publicKey;
  return signDeviceCertificate(root, { deviceKey, name: `Device ${i}`, issuedAt: i });
});

/** Any card over the pool: each device absent, certified or revoked. */
const anyCard = fc
  .record({
    number: fc.integer({ min: 1, max: 3 }),
    encKeyNumber: fc.nat(3),
    states: fc.array(fc.constantFrom('absent', 'certified', 'revoked'), { minLength: 5, maxLength: 5 }),
    time: fc.nat(1000),
  })
  .map(({ number, encKeyNumber, states, time }): ActorCard => {
    const devices = pool.filter((_, i) => states[i] === 'certified');
    const revoked = pool
      .filter((_, i) => states[i] === 'revoked')
      .map(({ deviceKey }) => ({ deviceKey, at: time }));
    return signCard(root, { number, encKey, encKeyNumber, devices, revoked, time });
  });

const keys = (list: readonly { readonly deviceKey: Uint8Array }[]): string[] =>
  list.map((entry) => Buffer.from(entry.deviceKey).toString('hex')).sort();

describe('merging cards', () => {
  it('is the same from both sides, forgets no revocation and no other device', () => {
    fc.assert(
      fc.property(anyCard, anyCard, (a, b) => {
        const merged = mergeCards(a, b);
        const mirrored = mergeCards(b, a);
        expect(keys(merged.devices)).toEqual(keys(mirrored.devices));
        expect(merged.encKeyNumber).toBe(mirrored.encKeyNumber);
        expect([...merged.revoked].map((r) => r.at).sort()).toEqual(
          [...mirrored.revoked].map((r) => r.at).sort(),
        );
        const revoked = new Set([...keys(a.revoked), ...keys(b.revoked)]);
        const certified = new Set(
          [...keys(a.devices), ...keys(b.devices)].filter((key) => !revoked.has(key)),
        );
        expect(keys(merged.revoked)).toEqual([...revoked].sort());
        expect(keys(merged.devices)).toEqual([...certified].sort());
      }),
      { seed: 6, numRuns: 300 },
    );
  });

  it('never keeps an encryption key that a revoked device may hold', () => {
    fc.assert(
      fc.property(anyCard, anyCard, (a, b) => {
        const merged = mergeCards(a, b);
        for (const [one, other] of [
          [a, b],
          [b, a],
        ] as const) {
          // `one` had not heard of a revocation: its newest key may be anywhere.
          const unaware = keys(other.revoked).some((key) => !keys(one.revoked).includes(key));
          if (unaware) expect(merged.encKeyNumber).toBeGreaterThan(one.encKeyNumber);
        }
        expect(merged.encKeyNumber).toBeGreaterThanOrEqual(Math.max(a.encKeyNumber, b.encKeyNumber));
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('comes to rest: the signed result covers what it was made from', () => {
    fc.assert(
      fc.property(anyCard, anyCard, (a, b) => {
        const result = signCard(root, { ...mergeCards(a, b), encKey, number: 9, time: 0 });
        for (const card of [a, b, result]) expect(cardCovers(result, mergeCards(result, card))).toBe(true);
        expect(newerCard(result, a)).toBe(result);
      }),
      { seed: 8, numRuns: 300 },
    );
  });
});
