import { encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import {
  decodeCardAnswer,
  decodeCardRequest,
  decodeFindAnswer,
  decodeFindRequest,
  encodeMessage,
} from './messages.ts';

const decoders = [decodeCardRequest, decodeCardAnswer, decodeFindRequest, decodeFindAnswer];

describe('messages', () => {
  it('survive encoding', () => {
    const found = { t: 'found' as const, found: [{ peer: 'x', connected: true, record: Uint8Array.of(1) }] };
    expect(decodeFindAnswer(encodeMessage(found))).toEqual(found);
    const hello = { t: 'hello' as const, card: null };
    expect(decodeCardRequest(encodeMessage(hello))).toEqual(hello);
  });

  it('refuse any other bytes with a typed error', () => {
    const typed = (bytes: Uint8Array): void => {
      for (const decode of decoders) {
        try {
          decode(bytes);
        } catch (error) {
          expect(isAppError(error, 'malformed')).toBe(true);
        }
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), typed), { seed: 3, numRuns: 2000 });
    const plain = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'));
    fc.assert(
      fc.property(plain, (value) => typed(encode(value))),
      { seed: 4, numRuns: 500 },
    );
    const valid = encodeMessage({ t: 'found', found: [{ peer: 'x', connected: true, record: null }] });
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Uint8Array.from(valid);
        bytes[at]! ^= flip;
        typed(bytes);
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it('refuse too many, too large and unknown fields', () => {
    expect(() => decodeFindRequest(encode({ t: 'find', peers: Array(65).fill('x') }))).toThrow(
      'wrong fields',
    );
    expect(() => decodeFindRequest(encode({ t: 'find', peers: [], more: 1 }))).toThrow('wrong fields');
    expect(() => decodeFindRequest(encode({ t: 'find', peers: ['x'.repeat(200)] }))).toThrow('wrong fields');
  });
});
