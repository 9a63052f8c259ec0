import { decrypt, encrypt } from 'eciesjs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boxOverhead,
  eciesConfig,
  isEncryptionKey,
  maxBoxBytes,
  tryUnwrap,
  unwrap,
  wrapFor,
} from './ecies.ts';
import { x25519Public } from './primitives.ts';
import { seededRandom } from './test-world.ts';

const failing = (code: string): object => expect.objectContaining({ name: 'AppError', code });
const random = seededRandom('ecies');
const secret = random(32);
const encKey = x25519Public(secret);
const message = Buffer.from('a key for you');

describe('envelopes', () => {
  it('are those of eciesjs, both ways', () => {
    expect(Buffer.from(unwrap(secret, encrypt(encKey, message, eciesConfig)))).toEqual(message);
    expect(Buffer.from(decrypt(secret, wrapFor(encKey, message), eciesConfig))).toEqual(message);
  });

  it('differ each time, name nobody, and are 60 bytes longer', () => {
    const [one, two] = [wrapFor(encKey, message), wrapFor(encKey, message)] as const;
    expect(one).not.toEqual(two);
    expect(one.length).toBe(message.length + boxOverhead);
    expect(Buffer.from(one).includes(Buffer.from(encKey))).toBe(false);
    expect(unwrap(secret, wrapFor(encKey, new Uint8Array()))).toHaveLength(0);
  });

  it('open for no other key and with no flipped bit', () => {
    const box = wrapFor(encKey, message);
    expect(tryUnwrap(random(32), box)).toBe(null);
    expect(() => unwrap(random(32), box)).toThrow(failing('key_missing'));
    for (let i = 0; i < box.length * 8; i++) {
      const bad = box.slice();
      bad[i >> 3]! ^= 1 << (i & 7);
      expect(tryUnwrap(secret, bad)).toBe(null);
    }
  });

  it('are not made for keys that would give the secret away', () => {
    const u = (head: string, tail = '7f'): Uint8Array => Buffer.from(head + 'ff'.repeat(30) + tail, 'hex');
    for (const bad of [
      new Uint8Array(32),
      u('ec'),
      u('ed'),
      u('ee'),
      u('ff'),
      u('00', 'ff'),
      encKey.slice(1),
    ]) {
      expect(isEncryptionKey(bad)).toBe(false);
      expect(() => wrapFor(bad, message)).toThrow(failing('invalid_argument'));
    }
    expect(isEncryptionKey(u('eb'))).toBe(true);
    expect(isEncryptionKey(encKey)).toBe(true);
    expect(() => wrapFor(encKey, new Uint8Array(maxBoxBytes))).toThrow(failing('too_large'));
    expect(tryUnwrap(secret, new Uint8Array(maxBoxBytes + 1))).toBe(null);
  });

  it('answer null to any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(tryUnwrap(secret, bytes)).toBe(null);
      }),
      { seed: 4, numRuns: 500 },
    );
  });
});
