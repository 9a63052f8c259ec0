import { createHmac, pbkdf2Sync } from 'node:crypto';
import { HDKey } from 'micro-key-producer/slip10.js';
import { describe, expect, it } from 'vitest';
import { createKeyTree, parsePhrase, phraseOf } from './phrase.ts';

const failing = (code: string): object => expect.objectContaining({ name: 'AppError', code });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const about = `${'abandon '.repeat(11)}about`;

/** SLIP-0010 for ed25519, written down once more from its text. */
function slip10(seed: Uint8Array, path: readonly number[]): Uint8Array {
  let node = createHmac('sha512', 'ed25519 seed').update(seed).digest();
  for (const index of path) {
    const data = Buffer.alloc(37);
    node.copy(data, 1, 0, 32);
    data.writeUInt32BE(0x80000000 + index, 33);
    node = createHmac('sha512', node.subarray(32)).update(data).digest();
  }
  return node.subarray(0, 32);
}

describe('derivation', () => {
  it('is SLIP-0010 (its test vector 1 for ed25519)', () => {
    const seed = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
    const expected = '8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793';
    expect(hex(slip10(seed, [0, 1, 2, 2, 1000000000]))).toBe(expected);
    expect(hex(HDKey.fromMasterSeed(seed).derive("m/0'/1'/2'/2'/1000000000'").privateKey)).toBe(expected);
  });

  it('follows the documented paths; changing one would lose every user', () => {
    const tree = createKeyTree(parsePhrase(about));
    const seed = pbkdf2Sync(about, 'mnemonic', 2048, 64, 'sha512');
    const e = 0x455843;
    expect(hex(tree.rootSecret(0))).toBe(hex(slip10(seed, [e, 0, 0])));
    expect(hex(tree.rootSecret(7))).toBe(hex(slip10(seed, [e, 7, 0])));
    expect(hex(tree.encSecret(0, 0))).toBe(hex(slip10(seed, [e, 0, 1, 0])));
    expect(hex(tree.encSecret(3, 12))).toBe(hex(slip10(seed, [e, 3, 1, 12])));
    // Nothing was wiped that is still needed.
    expect(hex(tree.rootSecret(0))).toBe(hex(slip10(seed, [e, 0, 0])));
    for (const bad of [-1, 1.5, 1000, NaN])
      expect(() => tree.rootSecret(bad)).toThrow(failing('invalid_argument'));
    tree.forget();
    expect(() => tree.rootSecret(0)).toThrow(failing('keystore_locked'));
  });
});

describe('phrases', () => {
  it('are read as people write them', () => {
    const numbered = about
      .split(' ')
      .map((word, i) => `${i + 1}. ${word.toUpperCase()}`)
      .join('\r\n');
    expect(hex(parsePhrase(numbered))).toBe('00'.repeat(16));
    expect(phraseOf(parsePhrase(`\t${about}\n`))).toBe(about);
    const long = new Uint8Array(32).fill(0x7f);
    expect(hex(parsePhrase(phraseOf(long)))).toBe(hex(long));
  });

  it('are refused without being repeated', () => {
    for (const bad of [
      '',
      about.slice(8),
      `${about} about`,
      about.replace('about', 'zoo'),
      about.replace('about', 'abuot'),
    ]) {
      let message = '';
      try {
        parsePhrase(bad);
      } catch (error) {
        expect(error).toEqual(failing('phrase_invalid'));
        expect((error as Error).cause).toBe(undefined);
        message = (error as Error).message;
      }
      expect(message).not.toBe('');
      expect(message).not.toMatch(/abandon|zoo|abuot/);
    }
  });
});
