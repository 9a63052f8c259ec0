import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockKey, openBlock, sealBlock, sealedLength, sealNew, sha256 } from './block.ts';
import { padme } from './padme.ts';

const key = new Uint8Array(32).fill(1);
const otherKey = new Uint8Array(32).fill(2);

function seal(plain: Uint8Array) {
  const plainHash = sha256(plain);
  const ciphertext = new Uint8Array(sealedLength(plain.length));
  const id = sealNew(key, plain, plainHash, ciphertext);
  return { ref: { id, epoch: 'e', plainHash, len: plain.length, weak: 0 }, ciphertext };
}

describe('padme', () => {
  it('has the published values', () => {
    // From the definition: E = floor(log2 L), S = floor(log2 E) + 1, the last E - S bits zero.
    const cases = [
      [0, 0],
      [1, 1],
      [2, 2],
      [8, 8],
      [9, 10],
      [100, 104],
      [1000, 1024],
      [1025, 1088],
      [1 << 20, 1 << 20],
      [1_000_001, 1_015_808],
    ] as const;
    for (const [length, padded] of cases) expect(padme(length)).toBe(padded);
  });
  it('never shrinks, is stable, grows with the length and costs at most 12 %', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 45 }), (length) => {
        const padded = padme(length);
        expect(padded).toBeGreaterThanOrEqual(length);
        expect(padme(padded)).toBe(padded);
        expect(padme(length + 1)).toBeGreaterThanOrEqual(padded);
        expect(padded / length).toBeLessThanOrEqual(1.125);
      }),
      { seed: 1 },
    );
  });
});

describe('blocks', () => {
  it('open to what was sealed, and seal again to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 3000 }), (plain) => {
        const { ref, ciphertext } = seal(plain);
        expect(ciphertext).toHaveLength(sealedLength(plain.length));
        expect(Buffer.compare(openBlock(key, ref, ciphertext), plain)).toBe(0);
        expect(Buffer.compare(sealBlock(key, plain, ref)!, ciphertext)).toBe(0);
      }),
      { seed: 2 },
    );
  });
  it.each([1, 65_536, 131_072, 300_001, 16 * 1024 * 1024])('round trip of %i bytes', (length) => {
    const plain = new Uint8Array(length).fill(9);
    const { ref, ciphertext } = seal(plain);
    expect(ciphertext.byteLength).toBe(ciphertext.buffer.byteLength);
    expect(Buffer.compare(openBlock(key, ref, ciphertext), plain)).toBe(0);
  });

  it('are refused when any byte is flipped, added or missing', () => {
    const { ref, ciphertext } = seal(new Uint8Array(100).map((_, i) => i));
    for (let i = 0; i < ciphertext.length; i++) {
      const flipped = new Uint8Array(ciphertext);
      flipped[i]! ^= 1 << (i % 8);
      expect(() => openBlock(key, ref, flipped)).toThrow(expect.objectContaining({ code: 'bad_hash' }));
      // Even when the reference names the flipped bytes, the tag holds.
      const lying = { ...ref, id: sha256(flipped) };
      expect(() => openBlock(key, lying, flipped)).toThrow(expect.objectContaining({ code: 'bad_hash' }));
    }
    for (const wrong of [ciphertext.subarray(1), new Uint8Array([...ciphertext, 0]), new Uint8Array(0)]) {
      expect(() => openBlock(key, ref, wrong)).toThrow(expect.objectContaining({ code: 'bad_hash' }));
    }
  });

  it('are refused with another key, length or plaintext hash', () => {
    const plain = new Uint8Array(100).fill(5);
    const { ref, ciphertext } = seal(plain);
    const bad = expect.objectContaining({ code: 'bad_hash' });
    expect(() => openBlock(otherKey, ref, ciphertext)).toThrow(bad);
    expect(() => openBlock(key, { ...ref, len: 101 }, ciphertext)).toThrow(bad);
    expect(() => openBlock(key, { ...ref, plainHash: sha256(new Uint8Array(1)) }, ciphertext)).toThrow(bad);
    for (const len of [0, -1, 1.5, NaN, 2 ** 25]) {
      expect(() => openBlock(key, { ...ref, len }, ciphertext)).toThrow(
        expect.objectContaining({ code: 'malformed' }),
      );
    }
  });

  it('are refused when an authorised sealer padded with something else, or sealed other bytes', () => {
    const plain = new Uint8Array(100).fill(5);
    const plainHash = sha256(plain);
    const forge = (padded: Uint8Array) => {
      const cipher = createCipheriv('aes-256-gcm', blockKey(key, plainHash, 100), new Uint8Array(12));
      const ciphertext = Buffer.concat([cipher.update(padded), cipher.final(), cipher.getAuthTag()]);
      return { ref: { id: sha256(ciphertext), epoch: 'e', plainHash, len: 100, weak: 0 }, ciphertext };
    };
    const padded = new Uint8Array(padme(100));
    padded.set(plain);
    const good = forge(padded);
    expect(Buffer.compare(openBlock(key, good.ref, good.ciphertext), plain)).toBe(0);
    for (const at of [103, 0]) {
      const { ref, ciphertext } = forge(padded.with(at, 1));
      expect(() => openBlock(key, ref, ciphertext)).toThrow(expect.objectContaining({ code: 'bad_hash' }));
    }
  });

  it('never seals changed bytes under the old key', () => {
    const plain = new Uint8Array(100).fill(5);
    const { ref } = seal(plain);
    expect(sealBlock(key, plain.with(50, 6), ref)).toBeNull();
    expect(sealBlock(key, plain.subarray(1), ref)).toBeNull();
    expect(sealBlock(otherKey, plain, ref)).toBeNull();
  });
});
