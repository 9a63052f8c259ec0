import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src-shared/errors.ts';
import { createSigner, deviceIdOf, encodeStrict } from '../../identity/index.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import type { Candidate, Message } from './types.ts';
import { bounds } from './types.ts';

const seed = 20261126;
const peers = Array.from({ length: 20 }, (_, i) =>
  deviceIdOf(createSigner(new Uint8Array(32).fill(i + 1)).publicKey),
);
const longAddress = `/dns4/${'a'.repeat(bounds.addressBytes - 6)}`;
const candidate = (i: number, addresses: readonly string[] = ['/ip4/127.0.0.2/tcp/4201']): Candidate => ({
  peer: peers[i]!,
  addresses,
  depth: 3,
  free: 2,
  weakest: 4,
  queueMs: 120,
  ageS: 60,
  branch: i === 0 ? null : peers[i - 1]!,
  heardMs: 300,
});
const list = [candidate(0), candidate(1), candidate(2)];
const path = peers.slice(0, 4);

const messages: readonly Message[] = [
  { type: 'join', fanOut: 4 },
  { type: 'candidates', list },
  { type: 'probe', nonce: 77 },
  { type: 'probed', nonce: 77, self: candidate(3) },
  { type: 'probed', nonce: 77, self: null },
  { type: 'attach', from: null, renditions: [0], rescue: false, fanOut: 0, addresses: [] },
  { type: 'attach', from: 12_345, renditions: [0, 1, 2], rescue: true, fanOut: 16, addresses: [longAddress] },
  { type: 'accepted', from: 12, path, edge: -1 },
  { type: 'refused', why: 'full', list },
  { type: 'detach', until: null },
  { type: 'detach', until: 40 },
  { type: 'move', until: 40, list: [] },
  { type: 'standby', fanOut: 3 },
  { type: 'subscribe', renditions: [1, 2] },
  { type: 'beat', path, edge: 500, queueMs: 0, others: list },
  { type: 'status', fanOut: 8, free: 3, weakest: 32, queueMs: 10, below: list },
  {
    type: 'have',
    path,
    have: [{ rendition: 0, from: 440, bits: new Uint8Array(8).fill(255) }],
    free: 2,
    rescue: 4,
  },
  { type: 'idle', edge: 9, source: true },
  { type: 'pull', rendition: 0, seqs: [4, 5, 9] },
  { type: 'missing', rendition: 2, seqs: [7] },
  { type: 'lowered', rendition: 1, seq: 8 },
  { type: 'leaving', inMs: 2_000 },
  { type: 'end', last: 4_000 },
];

describe.each(messages)('$type', (message) => {
  const bytes = encodeMessage(message);

  it('comes back as it was', () => {
    expect(decodeMessage(bytes)).toEqual(message);
  });

  it('refuses any change of its encoding with a typed error, or means something else', () => {
    fc.assert(
      fc.property(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.constantFrom('flip', 'cut', 'insert'),
        (at, mask, kind) => {
          const changed =
            kind === 'flip'
              ? bytes.map((byte, i) => (i === at ? byte ^ mask : byte))
              : kind === 'cut'
                ? bytes.subarray(0, at)
                : Uint8Array.from([...bytes.subarray(0, at), mask, ...bytes.subarray(at)]);
          try {
            const other = decodeMessage(changed);
            expect(other).not.toEqual(message);
            expect(encodeMessage(other)).toEqual(changed);
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
          }
        },
      ),
      { seed, numRuns: 100 },
    );
  });
});

it('refuses anything else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.jsonValue().map((json) => encodeStrict(json)),
        fc
          .tuple(
            fc.constantFrom(...messages.map(({ type }) => type)),
            fc.array(fc.jsonValue(), { maxLength: 6 }),
          )
          .map(([type, fields]) => encodeStrict([type, ...fields])),
      ),
      (junk) => {
        let message: Message;
        try {
          message = decodeMessage(junk);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          return;
        }
        expect(encodeMessage(message)).toEqual(new Uint8Array(junk));
      },
    ),
    { seed, numRuns: 2_000 },
  );
});

it('holds to its bounds', () => {
  const refuses = (fields: unknown) => expect(() => decodeMessage(encodeStrict(fields))).toThrow(AppError);
  const key = createSigner(new Uint8Array(32).fill(1)).publicKey;
  refuses(['pull', 0, []]);
  refuses(['pull', 0, [5, 4]]);
  refuses(['pull', 0, [5, 5]]);
  refuses(['pull', bounds.renditions, [5]]);
  refuses(['pull', 0, Array.from({ length: bounds.seqs + 1 }, (_, i) => i)]);
  refuses(['have', [key], [[0, 0, new Uint8Array(bounds.haveBytes + 1)]], 0]);
  refuses(['have', [key, key], [], 0]);
  refuses(['have', [], [], 0]);
  refuses(['have', [new Uint8Array(32)], [], 0]);
  refuses(['leaving', bounds.ms + 1]);
  refuses(['leaving', -1]);
  refuses(['leaving', 0.5]);
  refuses(['leaving']);
  refuses(['leaving', 1, 2]);
  refuses(['toString']);
  refuses(['attach', null, [0], false, 33, []]);
  refuses(['attach', null, [0], false, 1, ['']]);
  expect(() => decodeMessage(new Uint8Array(bounds.message + 1))).toThrow(/too large/);
});

it('fits the longest messages into one frame', () => {
  const full = Array.from({ length: bounds.candidates }, (_, i) =>
    candidate(
      i,
      Array.from({ length: bounds.addresses }, () => longAddress),
    ),
  );
  expect(encodeMessage({ type: 'candidates', list: full }).length).toBeLessThanOrEqual(bounds.message);
  const bits = new Uint8Array(bounds.haveBytes);
  const have = Array.from({ length: bounds.renditions }, (_, rendition) => ({
    rendition,
    from: 2 ** 39,
    bits,
  }));
  const longest = peers.slice(0, bounds.depth);
  expect(encodeMessage({ type: 'have', path: longest, have, free: 32, rescue: 32 }).length).toBeLessThan(
    bounds.message,
  );
});
