import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entropyToMnemonic, mnemonicToEntropy, mnemonicToSeedSync } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { PrivateKey, PublicKey } from 'eciesjs';
import { deriveKey, symDecrypt } from 'eciesjs/utils';
import { describe, expect, it } from 'vitest';
import { isEncryptionKey, eciesConfig } from './ecies.ts';
import { aesGcmOpen, aesGcmSeal, hkdf, x25519 } from './primitives.ts';
import { verifySignature, verifySignatureAsync } from './signature.ts';

/** Published test vectors; they are not part of this repository (see README of that folder). */
const folder =
  process.env['EXTRACHAIN_VECTORS'] ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'vectors');
const absent = !existsSync(folder);
const title = absent ? `test vectors: SKIPPED, no folder ${folder} (set EXTRACHAIN_VECTORS)` : 'test vectors';
if (absent) process.stderr.write(`${title}\n`);

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const read = <T>(name: string): T => JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;

interface Wycheproof<G, T> {
  readonly numberOfTests: number;
  readonly testGroups: readonly (G & { readonly tests: readonly (T & Case)[] })[];
}
interface Case {
  readonly tcId: number;
  readonly result: 'valid' | 'acceptable' | 'invalid';
  readonly flags: readonly string[];
}

/** Runs `check` on every case, so that one failure names its id, and that none was left out. */
function each<G, T>(name: string, check: (test: T & Case, group: G) => void): number {
  const suite = read<Wycheproof<G, T>>(name);
  let count = 0;
  for (const group of suite.testGroups) {
    for (const test of group.tests) {
      check(test, group);
      count += 1;
    }
  }
  expect(count).toBe(suite.numberOfTests);
  return count;
}

describe.skipIf(absent)(title, () => {
  it('ed25519-speccheck: one answer for the twelve edge cases, each way of asking', async () => {
    const cases =
      read<readonly { message: string; pub_key: string; signature: string }[]>('ed25519-speccheck.json');
    // Only number 3 passes: key and R of mixed order, correct without the cofactor, which OpenSSL and BoringSSL leave out.
    const expected = cases.map((_, number) => number === 3);
    const args = cases.map((c) => [hex(c.pub_key), hex(c.message), hex(c.signature)] as const);
    for (let round = 0; round < 2; round++) {
      expect(args.map((a) => verifySignature(...a))).toEqual(expected);
      expect(await Promise.all(args.map((a) => verifySignatureAsync(...a)))).toEqual(expected);
    }
    expect(cases).toHaveLength(12);
  });

  it('Wycheproof Ed25519', () => {
    each<{ publicKey: { pk: string } }, { msg: string; sig: string }>(
      'wycheproof-ed25519.json',
      (test, group) => {
        const answer = verifySignature(hex(group.publicKey.pk), hex(test.msg), hex(test.sig));
        expect([test.tcId, answer]).toEqual([test.tcId, test.result === 'valid']);
      },
    );
  });

  it('Wycheproof X25519, ours and that of eciesjs', () => {
    each<object, { public: string; private: string; shared: string }>('wycheproof-x25519.json', (test) => {
      const [secret, other] = [hex(test.private), hex(test.public)];
      const ours = attempt(() => x25519(secret, other));
      const theirs = attempt(() => new PrivateKey(secret, 'x25519').multiply(new PublicKey(other, 'x25519')));
      const expected = test.flags.includes('ZeroSharedSecret') ? 'refused' : test.shared;
      expect([test.tcId, ours, theirs]).toEqual([test.tcId, expected, expected]);
      const refusedInCards =
        test.flags.includes('LowOrderPublic') || test.flags.includes('NonCanonicalPublic');
      if (refusedInCards) expect([test.tcId, isEncryptionKey(other)]).toEqual([test.tcId, false]);
      if (test.result === 'valid') expect([test.tcId, isEncryptionKey(other)]).toEqual([test.tcId, true]);
    });
  }, 120_000);

  it('Wycheproof HKDF-SHA-256, ours and that of eciesjs', () => {
    type T = { ikm: string; salt: string; info: string; size: number; okm: string };
    each<object, T>('wycheproof-hkdf_sha256.json', (test) => {
      const [ikm, info, salt] = [hex(test.ikm), hex(test.info), hex(test.salt)];
      const ours = attempt(() => hkdf(ikm, info, salt, test.size));
      expect([test.tcId, ours]).toEqual([test.tcId, test.result === 'valid' ? test.okm : 'refused']);
      if (test.size === 32) {
        expect([test.tcId, attempt(() => deriveKey(ikm, salt, info))]).toEqual([test.tcId, test.okm]);
      }
    });
  });

  it('Wycheproof AES-256-GCM with 12-byte nonces, ours and that of eciesjs', () => {
    type G = { keySize: number; ivSize: number };
    type T = { key: string; iv: string; aad: string; msg: string; ct: string; tag: string };
    let used = 0;
    each<G, T>('wycheproof-aes_gcm.json', (test, group) => {
      if (group.keySize !== 256 || group.ivSize !== 96) return;
      used += 1;
      const [key, iv, aad] = [hex(test.key), hex(test.iv), hex(test.aad)];
      const opened = aesGcmOpen(key, iv, hex(test.ct + test.tag), aad);
      const valid = test.result === 'valid';
      expect([test.tcId, opened && Buffer.from(opened).toString('hex')]).toEqual([
        test.tcId,
        valid ? test.msg : null,
      ]);
      const box = hex(test.iv + test.tag + test.ct);
      const theirs = attempt(() => symDecrypt(eciesConfig, key, box, aad));
      expect([test.tcId, theirs]).toEqual([test.tcId, valid ? test.msg : 'refused']);
      if (valid) {
        const sealed = Buffer.from(aesGcmSeal(key, iv, hex(test.msg), aad)).toString('hex');
        expect([test.tcId, sealed]).toEqual([test.tcId, test.ct + test.tag]);
      }
    });
    expect(used).toBeGreaterThan(50);
  });

  it('BIP-39, English', () => {
    const { english } = read<{ english: readonly (readonly [string, string, string, string])[] }>(
      'bip39.json',
    );
    for (const [entropy, phrase, seed] of english) {
      expect(entropyToMnemonic(hex(entropy), wordlist)).toBe(phrase);
      expect(Buffer.from(mnemonicToEntropy(phrase, wordlist)).toString('hex')).toBe(entropy);
      expect(Buffer.from(mnemonicToSeedSync(phrase, 'TREZOR')).toString('hex')).toBe(seed);
    }
    expect(english.length).toBeGreaterThan(20);
  });
});

/** The result in hex, or `refused` when it throws. */
function attempt(fn: () => Uint8Array): string {
  try {
    return Buffer.from(fn()).toString('hex');
  } catch {
    return 'refused';
  }
}
