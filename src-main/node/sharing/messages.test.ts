import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { decodeSharing, encodeSharing, maxSharingFrame, type SharingMessage } from './messages.ts';

const messages: readonly SharingMessage[] = [
  { t: 'hello', drive: `b${'a'.repeat(58)}`, ref: '0123456789abcdef0123456789abcdef' },
  { t: 'hello', drive: `b${'a'.repeat(58)}`, ref: '' },
  { t: 'nonce', nonce: new Uint8Array(32).fill(1) },
  { t: 'proof', proof: new Uint8Array(64).fill(2), card: new Uint8Array(300) },
  { t: 'yes' },
  { t: 'no', code: 'invite_expired' },
];

test('reads what it writes', () => {
  for (const message of messages) expect(decodeSharing(encodeSharing(message))).toEqual(message);
});

test('foreign and damaged bytes end in an error of ours', () => {
  const tried = (bytes: Uint8Array): void => {
    try {
      decodeSharing(bytes);
    } catch (error) {
      expect(isAppError(error)).toBe(true);
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => tried(bytes)),
    { numRuns: 500, seed: 4 },
  );
  for (const message of messages) {
    const bytes = encodeSharing(message);
    for (let at = 0; at < bytes.length; at++) {
      tried(bytes.subarray(0, at));
      tried(Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte)));
    }
  }
  expect(() => decodeSharing(new Uint8Array(maxSharingFrame + 1))).toThrowError(
    expect.objectContaining({ code: 'too_large' }),
  );
});
