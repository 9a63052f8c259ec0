import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createSigner, deviceIdOf } from '../../identity/index.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import { createOverlay, step, viewOf, wakeAt } from './step.ts';
import type { Candidate, Message, OverlayEvent } from './types.ts';

const seed = 20261126;
const peers = Array.from({ length: 12 }, (_, i) =>
  deviceIdOf(createSigner(new Uint8Array(32).fill(i + 1)).publicKey),
);
const [self, source] = [peers[0]!, peers[1]!];
const others = peers.slice(1);

const peer = fc.constantFrom(...peers);
const seq = fc.integer({ min: 0, max: 60 });
const small = fc.integer({ min: 0, max: 32 });
const candidate: fc.Arbitrary<Candidate> = fc.record({
  peer,
  addresses: fc.constant([]),
  depth: fc.nat(16),
  free: small,
  weakest: small,
  queueMs: fc.nat(2_000),
  ageS: fc.nat(3_600),
  branch: fc.option(peer),
  heardMs: fc.nat(9_000),
});
const members = (max: number) =>
  fc.uniqueArray(candidate, { maxLength: max, selector: (one: Candidate) => one.peer });
const path = fc.uniqueArray(peer, { minLength: 1, maxLength: 6 });
const seqs = fc.uniqueArray(seq, { minLength: 1, maxLength: 8 }).map((list) => list.sort((a, b) => a - b));
const renditions = fc
  .uniqueArray(fc.nat(7), { minLength: 1, maxLength: 3 })
  .map((list) => list.sort((a, b) => a - b));
const type = <T extends Message['type']>(name: T) => fc.constant(name);

/** Anything the codec lets in. */
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ type: type('join'), fanOut: small }),
  fc.record({ type: type('candidates'), list: members(6) }),
  fc.record({ type: type('probe'), nonce: fc.nat(20) }),
  fc.record({ type: type('probed'), nonce: fc.nat(20), self: fc.option(candidate) }),
  fc.record({
    type: type('attach'),
    from: fc.option(seq),
    renditions,
    rescue: fc.boolean(),
    fanOut: small,
    addresses: fc.constant([]),
  }),
  fc.record({ type: type('accepted'), from: seq, path, edge: seq }),
  fc.record({
    type: type('refused'),
    why: fc.constantFrom('full' as const, 'loop' as const, 'unfit' as const, 'banned' as const),
    list: members(6),
  }),
  fc.record({ type: type('detach'), until: fc.option(seq) }),
  fc.record({ type: type('move'), until: seq, list: members(6) }),
  fc.record({ type: type('standby'), fanOut: small }),
  fc.record({ type: type('subscribe'), renditions }),
  fc.record({ type: type('beat'), path, edge: seq, queueMs: fc.nat(2_000), others: members(3) }),
  fc.record({
    type: type('status'),
    fanOut: small,
    free: small,
    weakest: small,
    queueMs: fc.nat(2_000),
    below: members(3),
  }),
  fc.record({
    type: type('have'),
    path,
    have: fc.array(
      fc.record({ rendition: fc.nat(7), from: seq, bits: fc.uint8Array({ minLength: 8, maxLength: 8 }) }),
      { maxLength: 2 },
    ),
    free: small,
    rescue: small,
  }),
  fc.record({ type: type('idle'), edge: seq, source: fc.boolean() }),
  fc.record({ type: type('pull'), rendition: fc.nat(7), seqs }),
  fc.record({ type: type('missing'), rendition: fc.nat(7), seqs }),
  fc.record({ type: type('lowered'), rendition: fc.nat(7), seq }),
  fc.record({ type: type('leaving'), inMs: fc.nat(5_000) }),
  fc.record({ type: type('end'), last: seq }),
);
const facts = fc.record({ rendition: fc.nat(2), seq, independent: fc.boolean(), bytes: fc.nat(100_000) });
const event: fc.Arbitrary<OverlayEvent> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('message' as const),
      from: fc.constantFrom(...others),
      message,
    }),
  },
  fc.record({ type: fc.constant('part' as const), from: fc.constantFrom(...others), part: facts }),
  fc.record({ type: fc.constant('partBegins' as const), from: fc.constantFrom(...others), part: facts }),
  fc.record({ type: fc.constant('partFailed' as const), from: fc.constantFrom(...others), part: facts }),
  fc.record({ type: fc.constant('drained' as const), to: fc.constantFrom(...others), part: facts }),
  fc.record({ type: fc.constant('lost' as const), peer: fc.constantFrom(...others) }),
  fc.record({ type: fc.constant('wake' as const) }),
);
const rare: fc.Arbitrary<OverlayEvent> = fc.oneof(
  fc.record({ type: fc.constant('bad' as const), peer: fc.constantFrom(...others) }),
  fc.record({ type: fc.constant('fetch' as const), rendition: fc.nat(2), seqs }),
  fc.record({ type: fc.constant('watch' as const), renditions: fc.constant([1]) }),
);

it('keeps its promises whatever others say, in any order', () => {
  const steps = fc.array(
    fc.tuple(
      fc.oneof(
        { weight: 30, arbitrary: event },
        { weight: 1, arbitrary: rare },
        // Whoever was asked for a place behaves for once, and sends a part.
        { weight: 6, arbitrary: fc.constant('answer' as const) },
      ),
      fc.nat(400),
    ),
    { minLength: 20, maxLength: 150 },
  );
  let attached = 0;
  let served = 0;
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (list, numbers) => {
      const random = (): number => numbers.next().value as number;
      let now = 0;
      let newest = 0;
      const ladder = [{ bitrate: 2.5e6 }, { bitrate: 0.6e6 }, { bitrate: 0.1e6 }];
      let state = createOverlay({ self, source, ladder, partMs: 200 }, now, random);
      const banned = new Set<string>();
      const happens = (next: OverlayEvent): void => {
        const result = step(state, next, now, random);
        state = result.state;
        if (next.type === 'bad') banned.add(next.peer);
        for (const effect of result.effects) {
          if (effect.type === 'send') {
            // Nothing is said that others would refuse.
            expect(decodeMessage(encodeMessage(effect.message))).toEqual(effect.message);
            expect(effect.to).not.toBe(self);
          }
          if (effect.type === 'push') served++;
          if (effect.type === 'attached') attached++;
        }
        const view = viewOf(state);
        expect(view.path).not.toContain(self);
        expect(view.parent === null || view.path.at(-1) === view.parent).toBe(true);
        expect(view.parent === null || view.path[0] === source).toBe(true);
        expect(view.children.length).toBeLessThanOrEqual(32);
        for (const one of banned) {
          expect(view.parent).not.toBe(one);
          expect(view.children).not.toContain(one);
        }
        // Every wake leads on: a driver never spins.
        for (let i = 0; i < 8 && wakeAt(state) <= now; i++)
          state = step(state, { type: 'wake' }, now, random).state;
        expect(wakeAt(state)).toBeGreaterThan(now);
      };
      const conditions = {
        willing: true,
        reachable: true,
        powered: true,
        uplink: 20e6,
        uptimeMs: 60_000,
        maxChildren: null,
        addresses: [],
      };
      happens({ type: 'conditions', conditions });
      happens({ type: 'join', contacts: [{ peer: source, addresses: [] }] });
      for (const [next, wait] of list) {
        // Clocks give fractions: sums and differences of them are rounded differently.
        now += wait / 3;
        if (next !== 'answer') {
          happens(next);
          continue;
        }
        const from = state.attaching?.peer ?? state.parent?.peer;
        if (from === undefined) continue;
        const way = from === source ? [source] : [source, from];
        newest++;
        if (state.attaching) {
          happens({
            type: 'message',
            from,
            message: { type: 'accepted', from: newest, path: way, edge: newest },
          });
        }
        const part = { rendition: 0, seq: newest, independent: true, bytes: 1_000 };
        happens({ type: 'part', from, part });
        const child = others[newest % others.length]!;
        const asks = {
          type: 'attach',
          from: null,
          renditions: [0],
          rescue: false,
          fanOut: 0,
          addresses: [],
        } as const;
        if (child !== from) happens({ type: 'message', from: child, message: asks });
      }
    }),
    { seed, numRuns: 80 },
  );
  // The test is of use only if it gets that far.
  expect(attached).toBeGreaterThan(0);
  expect(served).toBeGreaterThan(0);
});
