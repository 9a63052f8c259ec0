import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { decodeShared, encodeShared, maxSharedFrame, mostNotices } from './shared-messages.ts';
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

test('lists of shared drives are read back, and refused when they are not what they should be', () => {
  const one = { driveId: `b${'a'.repeat(58)}`, name: 'Photos', role: 'reader' } as const;
  expect(decodeShared(encodeShared([one, one]))).toEqual([one, one]);
  const refused = (bytes: Uint8Array, code: string): void =>
    expect(() => decodeShared(bytes)).toThrowError(expect.objectContaining({ code }));
  refused(new Uint8Array(maxSharedFrame + 1), 'too_large');
  refused(encodeShared(Array.from({ length: mostNotices + 1 }, () => one)), 'malformed');
  for (const name of ['a\nb', 'exe\u202egpj', 'x'.repeat(256)])
    refused(encodeShared([{ ...one, name }]), 'malformed');
  refused(encodeShared([{ ...one, role: 'god' as 'reader' }]), 'malformed');
  refused(encodeShared([{ ...one, driveId: '../etc' }]), 'malformed');
  const good = encodeShared([one]);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, end) => {
      for (const bytes of [good.with(at, byte), good.subarray(0, end)]) {
        try {
          decodeShared(bytes);
        } catch (error) {
          expect(isAppError(error)).toBe(true);
        }
      }
    }),
    { numRuns: 500, seed: 5 },
  );
});
