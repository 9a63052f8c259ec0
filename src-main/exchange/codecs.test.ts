import { encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { ciphertextBound, decodeBlockFrame, encodeBlockFrame } from './block-frames.ts';
import type { BlockFrame } from './block-frames.ts';
import { decodeHistoryMessage, encodeHistoryMessage } from './history-messages.ts';
import type { HistoryMessage } from './history-messages.ts';
import { decodeHolds, encodeHolds, type HoldsMessage } from './holdings.ts';
import { limits } from './limits.ts';

const seed = { seed: 20261122 };
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const drive = fc.stringMatching(/^b[a-z2-7]{58}$/);
const tip = fc.record({
  writer: bytes32,
  incarnation: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  seq: fc.maxSafeNat(),
  hash: bytes32,
});
const frontier = fc.array(tip, { maxLength: 5 });
const early = fc.record({
  id: bytes32,
  epoch: bytes32.map((b) => Buffer.from(b).toString('hex')),
  plainHash: bytes32,
  len: fc.nat({ max: 1 << 24 }),
  weak: fc.integer({ min: 0, max: 0xffffffff }),
  offset: fc.maxSafeNat(),
});
const rest = fc.constantFrom('busy' as const, 'rest' as const, 'whole' as const);
const message: fc.Arbitrary<HistoryMessage> = fc.oneof(
  fc.record({ t: fc.constant('hello' as const), drive, frontier }),
  fc.record({ t: fc.constant('have' as const), frontier }),
  fc.record({ t: fc.constant('entries' as const), entries: fc.array(fc.uint8Array(), { maxLength: 5 }) }),
  fc.record({ t: fc.constant('tips' as const), frontier, rest }),
  fc.record({ t: fc.constant('settled' as const), rest }),
  fc.record({
    t: fc.constant('early' as const),
    token: fc.stringMatching(/^[\x21-\x7e]{1,128}$/),
    node: bytes32.map((b) => Buffer.from(b.subarray(16)).toString('hex')),
    blocks: fc.array(early, { maxLength: 4 }),
  }),
  fc.record({ t: fc.constant('forbidden' as const) }),
);
const frame: fc.Arbitrary<BlockFrame> = fc.oneof(
  fc.record({
    t: fc.constant('want' as const),
    drive,
    wants: fc.array(fc.record({ id: bytes32, size: fc.nat({ max: limits.blockBytes }) }), {
      minLength: 1,
      maxLength: 6,
    }),
  }),
  fc.record({
    t: fc.constant('cancel' as const),
    drive,
    ids: fc.array(bytes32, { minLength: 1, maxLength: 6 }),
  }),
  fc.record({
    t: fc.constant('blocks' as const),
    blocks: fc.array(fc.record({ id: bytes32, bytes: fc.uint8Array() }), { minLength: 1, maxLength: 6 }),
  }),
  fc.record({ t: fc.constant('gone' as const), ids: fc.array(bytes32, { minLength: 1, maxLength: 6 }) }),
  fc.record({ t: fc.constant('forbidden' as const), drive }),
  fc.record({ t: fc.constant('load' as const), waitMs: fc.nat() }),
  fc.record({
    t: fc.constant('busy' as const),
    waitMs: fc.nat(),
    ids: fc.array(bytes32, { minLength: 1, maxLength: 6 }),
  }),
);

const holds: fc.Arbitrary<HoldsMessage> = fc.oneof(
  fc.record({
    t: fc.constant('ask' as const),
    drive,
    items: fc.array(
      fc.record({
        node: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => Buffer.from(b).toString('hex')),
        version: fc.tuple(drive, fc.nat({ max: 9_999_999 })).map(([entry, index]) => `${entry}/${index}`),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  }),
  fc.record({ t: fc.constant('have' as const), held: fc.array(fc.boolean(), { maxLength: 9 }) }),
  fc.record({ t: fc.constant('forbidden' as const) }),
);

/** Bytes that come from the network decode to a message or to a typed error, nothing else. */
function answersWithTypedError(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    decode(bytes);
  } catch (error) {
    expect(isAppError(error, 'malformed') || isAppError(error, 'too_large')).toBe(true);
  }
}

function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(normal);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, normal(v)]));
  }
  return value;
}

function mutated(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
      fc.nat({ max: 20 }),
      fc.uint8Array(),
    )
    .map(([changes, cut, tail]) => {
      const copy = Buffer.concat([
        bytes.subarray(0, Math.max(0, bytes.length - cut)),
        cut % 3 === 0 ? tail : new Uint8Array(),
      ]);
      for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
      return copy;
    });
}

describe('history messages', () => {
  test('decode to what was encoded', () => {
    fc.assert(
      fc.property(message, (m) => {
        expect(normal(decodeHistoryMessage(encodeHistoryMessage(m)))).toEqual(normal(m));
      }),
      seed,
    );
  });
  test('garbage and damaged messages are typed errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (b) => answersWithTypedError(decodeHistoryMessage, b)),
      { ...seed, numRuns: 2000 },
    );
    fc.assert(
      fc.property(
        message.chain((m) => mutated(encodeHistoryMessage(m))),
        (b) => answersWithTypedError(decodeHistoryMessage, b),
      ),
      { ...seed, numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), (v) => answersWithTypedError(decodeHistoryMessage, encode(v))),
      { ...seed, numRuns: 500 },
    );
  });
  test('nesting, size and counts are limited', () => {
    const deep = new Uint8Array(limits.historyFrame).fill(0x81);
    expect(() => decodeHistoryMessage(deep)).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(() => decodeHistoryMessage(new Uint8Array(limits.historyFrame + 1))).toThrow(
      expect.objectContaining({ code: 'malformed' }),
    );
    const many = encode([
      'entries',
      Array.from({ length: limits.entriesBatchCount + 1 }, () => new Uint8Array()),
    ]);
    expect(() => decodeHistoryMessage(many)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });
});

describe('messages about what is held', () => {
  test('decode to what was encoded', () => {
    fc.assert(
      fc.property(holds, (m) => {
        expect(decodeHolds(encodeHolds(m))).toEqual(m);
      }),
      seed,
    );
  });
  test('garbage and damaged messages are typed errors', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          holds.chain((m) => mutated(encodeHolds(m))),
          fc.jsonValue().map((v) => encode(v)),
          fc.jsonValue().map((v) => encode(['ask', 'b'.padEnd(59, 'a'), v])),
        ),
        (b) => answersWithTypedError(decodeHolds, b),
      ),
      { ...seed, numRuns: 3000 },
    );
  });
});

describe('block frames', () => {
  test('decode to what was encoded', () => {
    fc.assert(
      fc.property(frame, (f) => {
        expect(normal(decodeBlockFrame(Buffer.concat(encodeBlockFrame(f))))).toEqual(normal(f));
      }),
      seed,
    );
  });
  test('garbage and damaged frames are typed errors', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1, 2, 16, 17, 18, 19, 20, 255),
        fc.uint8Array({ maxLength: 300 }),
        (kind, b) => answersWithTypedError(decodeBlockFrame, Buffer.concat([Buffer.of(kind), b])),
      ),
      { ...seed, numRuns: 3000 },
    );
    fc.assert(
      fc.property(
        frame.chain((f) => mutated(Buffer.concat(encodeBlockFrame(f)))),
        (b) => answersWithTypedError(decodeBlockFrame, b),
      ),
      { ...seed, numRuns: 3000 },
    );
    answersWithTypedError(decodeBlockFrame, new Uint8Array());
  });
  test('a block may not claim to be larger than any can be', () => {
    const head = Buffer.alloc(3 + 36);
    head[0] = 16;
    head.writeUInt16BE(1, 1);
    head.writeUInt32BE(limits.blockBytes + 1, 35);
    expect(() => decodeBlockFrame(head)).toThrow(expect.objectContaining({ code: 'too_large' }));
  });
  test('the bound of a ciphertext covers Padmé and the tag', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 * 1024 * 1024 }), (len) => {
        const e = Math.floor(Math.log2(len));
        const s = Math.floor(Math.log2(Math.max(e, 1))) + 1;
        const z = Math.max(e - s, 0);
        const padded = Math.ceil(len / 2 ** z) * 2 ** z;
        expect(ciphertextBound(len)).toBeGreaterThanOrEqual(padded + 16);
      }),
      { ...seed, numRuns: 5000 },
    );
  });
});
