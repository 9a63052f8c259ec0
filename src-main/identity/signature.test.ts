import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { createSigner, isSigningKey, verifySignature, verifySignatureAsync } from './signature.ts';

const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
const message = Buffer.from('a message');

describe('signatures', () => {
  it('verifies what a signer signed (RFC 8032, test 1)', () => {
    const rfcSeed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const signer = createSigner(rfcSeed);
    expect(Buffer.from(signer.publicKey).toString('hex')).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    );
    expect(Buffer.from(signer.sign(new Uint8Array())).toString('hex')).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
  });

  it('refuses any flipped bit, in every argument', async () => {
    const signer = createSigner(seed);
    const signature = signer.sign(message);
    expect(verifySignature(signer.publicKey, message, signature)).toBe(true);
    expect(await verifySignatureAsync(signer.publicKey, message, signature)).toBe(true);
    for (let i = 0; i < 64 * 8; i++) {
      const flip = (bytes: Uint8Array): Uint8Array => {
        const copy = Uint8Array.from(bytes);
        copy[(i >> 3) % copy.length]! ^= 1 << (i & 7);
        return copy;
      };
      expect(verifySignature(signer.publicKey, message, flip(signature))).toBe(false);
      if (i < 256) expect(verifySignature(flip(signer.publicKey), message, signature)).toBe(false);
      if (i < 72) expect(verifySignature(signer.publicKey, flip(message), signature)).toBe(false);
    }
  });

  it('refuses S + L, the same signature written differently', () => {
    const signer = createSigner(seed);
    const signature = signer.sign(message);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    let s = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString('hex')}`) + order;
    for (let i = 32; i < 64; i++, s >>= 8n) signature[i] = Number(s & 255n);
    expect(verifySignature(signer.publicKey, message, signature)).toBe(false);
  });

  it('knows small-order and non-canonical keys', () => {
    const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex');
    for (const tail of ['7f', 'ff']) {
      for (const head of ['ec', 'ed', 'ee', 'fe'])
        expect(isSigningKey(bytes(head + 'ff'.repeat(30) + tail))).toBe(false);
      expect(isSigningKey(bytes('eb' + 'ff'.repeat(30) + tail))).toBe(true); // p - 2: large order if on the curve
    }
    for (const head of ['00', '01']) {
      expect(isSigningKey(bytes(head + '00'.repeat(31)))).toBe(false);
      expect(isSigningKey(bytes(head + '00'.repeat(30) + '80'))).toBe(false);
    }
    expect(isSigningKey(new Uint8Array(31))).toBe(false);
  });

  it('answers false to any bytes and never throws', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 70 }),
        async (key, signature) => {
          expect(verifySignature(key, message, signature)).toBe(false);
          expect(await verifySignatureAsync(key, message, signature)).toBe(false);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  it('forgets its key', () => {
    const signer = createSigner(seed);
    signer.forget();
    expect(() => signer.sign(message)).toThrow(expect.objectContaining({ code: 'keystore_locked' }));
    try {
      createSigner(new Uint8Array(31));
      expect.unreachable();
    } catch (error) {
      expect(isAppError(error, 'invalid_argument')).toBe(true);
    }
  });
});
