import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import type { Vote } from '../types.ts';
import {
  decodePeerMessage,
  decodeSyncAnswer,
  decodeSyncRequest,
  decodeTxBatch,
  encodePeerMessage,
  encodeSyncAnswer,
  encodeSyncRequest,
  encodeTxBatch,
} from './wire.ts';
import type { PeerMessage, SyncAnswer, SyncRequest } from './wire.ts';

const hash = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const vote: Vote = {
  type: 'precommit',
  height: 3,
  round: 1,
  blockId: hash(1),
  validator: hash(2),
  sig: new Uint8Array(64),
};
const messages: readonly PeerMessage[] = [
  { type: 'status', height: 5, first: 1, blockId: hash(9) },
  { type: 'votes', votes: [vote, { ...vote, blockId: null }] },
  {
    type: 'proposal',
    proposal: {
      height: 3,
      round: 1,
      validRound: 0,
      blockId: hash(1),
      proposer: hash(2),
      sig: new Uint8Array(64),
    },
    outline: null,
  },
  {
    type: 'have',
    have: {
      height: 3,
      round: -1,
      rounds: [
        {
          round: 0,
          proposal: true,
          prevotes: [{ blockId: null, bits: Uint8Array.of(3) }],
          precommits: [],
        },
      ],
      blocks: [hash(1)],
      wants: [hash(4)],
    },
  },
  { type: 'evidence', evidence: [{ type: 'duplicateVote', a: { ...vote, blockId: null }, b: vote }] },
];
const requests: readonly SyncRequest[] = [
  { type: 'blocks', from: 1, count: 200 },
  { type: 'body', blockId: hash(1) },
  { type: 'txs', hashes: [hash(1), hash(2)] },
  { type: 'light', height: 0 },
  { type: 'old', height: 4, under: 9 },
  { type: 'snapshots' },
  { type: 'chunk', height: 4, index: 2 },
  { type: 'submit', tx: Uint8Array.of(1, 2) },
];
const answers: readonly SyncAnswer[] = [
  { type: 'blocks', blocks: [] },
  { type: 'body', block: null },
  { type: 'txs', txs: [Uint8Array.of(1)] },
  { type: 'light', block: null },
  { type: 'old', signed: null, proof: { height: 1, size: 2, path: [hash(1)], peaks: [hash(2)] } },
  { type: 'snapshots', snapshots: [{ height: 2, manifest: Uint8Array.of(1) }] },
  { type: 'chunk', chunk: null },
  { type: 'submitted', ok: false, code: 'tx_known', message: 'It waits already.' },
];

const codecs = [
  {
    name: 'messages of consensus',
    decode: decodePeerMessage,
    encode: encodePeerMessage as (value: never) => Uint8Array,
    samples: messages.map(encodePeerMessage),
  },
  {
    name: 'requests',
    decode: decodeSyncRequest,
    encode: encodeSyncRequest as (value: never) => Uint8Array,
    samples: requests.map(encodeSyncRequest),
  },
  {
    name: 'answers',
    decode: decodeSyncAnswer,
    encode: encodeSyncAnswer as (value: never) => Uint8Array,
    samples: answers.map(encodeSyncAnswer),
  },
  {
    name: 'batches of transactions',
    decode: decodeTxBatch,
    encode: encodeTxBatch as (value: never) => Uint8Array,
    samples: [encodeTxBatch([Uint8Array.of(1, 2), Uint8Array.of(3)])],
  },
];

describe.each(codecs)('$name', ({ decode, encode, samples }) => {
  test('come back as they were', () => {
    for (const sample of samples) expect(encode(decode(sample) as never)).toEqual(sample);
  });

  /** Bytes are refused with a code, or are the one encoding of what they mean. */
  function holds(bytes: Uint8Array): void {
    let value: unknown;
    try {
      value = decode(bytes);
    } catch (error) {
      expect(isAppError(error, 'malformed') || isAppError(error, 'too_large')).toBe(true);
      return;
    }
    expect(Buffer.from(encode(value as never)).equals(bytes)).toBe(true);
  }

  test('fuzz: any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), holds));
  });

  test('fuzz: what is nearly right', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat()),
        (sample, changes, cut) => {
          const bytes = sample.slice(0, cut === null ? sample.length : cut % (sample.length + 1));
          for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
          holds(bytes);
        },
      ),
    );
  });
});
