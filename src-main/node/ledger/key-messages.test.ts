import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { decodeKeyAnswer, decodeKeyRequest, encodeKeyAnswer, encodeKeyRequest } from './key-messages.ts';
import type { KeyRequestMessage } from './key-messages.ts';

const ask: KeyRequestMessage = {
  t: 'ask',
  chainId: 'home-0123456789abcdef',
  key: new Uint8Array(32).fill(7),
  terms: {
    scopes: ['bank.send', 'stake'],
    caps: [{ symbol: 'EXC', amount: '5000000' }],
    expiry: 1_800_000_000_000,
  },
};

describe('messages about keys', () => {
  test('come back as they were', () => {
    expect(decodeKeyRequest(encodeKeyRequest(ask))).toEqual(ask);
    expect(decodeKeyRequest(encodeKeyRequest({ t: 'network' }))).toEqual({ t: 'network' });
    const answer = { t: 'asked', state: 'denied' } as const;
    expect(decodeKeyAnswer(encodeKeyAnswer(answer))).toEqual(answer);
  });

  test('amounts beyond the ledger’s, tokens named twice and what is not asked for are malformed', () => {
    const { terms } = ask;
    const wrong = [
      { ...ask, terms: { ...terms, caps: [{ symbol: 'EXC', amount: (1n << 128n).toString() }] } },
      { ...ask, terms: { ...terms, caps: [...terms.caps, ...terms.caps] } },
      { ...ask, terms: { ...terms, scopes: [] } },
      { ...ask, terms: { ...terms, scopes: ['everything at all'] } },
      { ...ask, key: new Uint8Array(31) },
      { ...ask, more: 1 },
      { t: 'other' },
    ];
    for (const one of wrong) {
      expect(() => decodeKeyRequest(encodeKeyRequest(one as never))).toThrow(
        expect.objectContaining({ code: 'malformed' }),
      );
    }
  });

  test('anything else is malformed or too large, and nothing worse', () => {
    const near = fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => {
      const bytes = encodeKeyRequest(ask).slice();
      bytes[at % bytes.length] = value;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), near), (bytes) => {
        for (const decode of [decodeKeyRequest, decodeKeyAnswer]) {
          try {
            decode(bytes);
          } catch (error) {
            expect(isAppError(error, 'malformed') || isAppError(error, 'too_large')).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
