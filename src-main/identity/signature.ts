import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import { ed25519PublicKey, ed25519SecretKey, rawPublicKey } from './primitives.ts';
import type { Signer } from './types.ts';

/** Little-endian p = 2^255 - 19, the field of the curve, and L, the order of its base point (RFC 8032, section 5.1). */
const fieldPrime = Buffer.from('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex');
const groupOrder = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex');

/** y-coordinates of the eight points whose order divides 8; the sign of x does not matter. */
const smallOrderY = [
  '0100000000000000000000000000000000000000000000000000000000000000', // 1: the neutral point
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // -1: order 2
  '0000000000000000000000000000000000000000000000000000000000000000', // 0: order 4
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', // order 8
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', // order 8
].map((hex) => Buffer.from(hex, 'hex'));

/** True when a < b, both little-endian of one length. */
function lessThan(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = a.length - 1; i >= 0; i--) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** False for encodings RFC 8032 calls invalid (y >= p) and for points of small order. */
function acceptablePoint(encoded: Uint8Array): boolean {
  const y = Buffer.from(encoded);
  y[31] = (y[31] as number) & 0x7f;
  return lessThan(y, fieldPrime) && !smallOrderY.some((small) => small.equals(y));
}

/**
 * True for 32 bytes that may stand as an Ed25519 public key: canonical and not of small order. (Whether they are on the
 * curve shows at the first verification.)
 */
export function isSigningKey(bytes: Uint8Array): boolean {
  return bytes.length === 32 && acceptablePoint(bytes);
}

/** Importing a key costs as much as half a verification; feeds and cards are signed by the same few keys over and over. */
const keyCacheSize = 1024;
const keyCache = new Map<string, KeyObject>();

/** The imported key, or null when its bytes are not acceptable. A pure function; the cache (least recently used) only saves time. */
function importedKey(raw: Uint8Array): KeyObject | null {
  if (raw.length !== 32) return null;
  const name = Buffer.from(raw.buffer, raw.byteOffset, 32).toString('latin1');
  let key = keyCache.get(name);
  if (key) {
    keyCache.delete(name);
  } else {
    if (!acceptablePoint(raw)) return null;
    key = ed25519PublicKey(raw);
    if (keyCache.size >= keyCacheSize) keyCache.delete(keyCache.keys().next().value as string);
  }
  keyCache.set(name, key);
  return key;
}

const acceptableSignature = (signature: Uint8Array): boolean =>
  signature.length === 64 &&
  lessThan(signature.subarray(32), groupOrder) &&
  acceptablePoint(signature.subarray(0, 32));

/**
 * The one signature rule of the product: Ed25519 (RFC 8032) without its freedoms, so that every build and every crypto
 * library gives the same answer (see Chalkias, Garillot, Nikolaenko 2020, "Taming the many EdDSAs"). Refused here: wrong
 * lengths, non-canonical or small-order key and R, S >= L. What remains is checked by the cofactorless equation, as
 * OpenSSL and BoringSSL both do.
 * @param publicKey 32 bytes
 * @param signature 64 bytes
 * @returns false for anything malformed; never throws
 */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = acceptableSignature(signature) ? importedKey(publicKey) : null;
    return key !== null && verify(null, message, key, signature);
  } catch {
    return false;
  }
}

/** `verifySignature` on a thread of the libuv pool, for many signatures in a row; the message must not change meanwhile. */
export function verifySignatureAsync(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve) => {
    try {
      const key = acceptableSignature(signature) ? importedKey(publicKey) : null;
      if (key === null) resolve(false);
      else verify(null, message, key, signature, (error, valid) => resolve(error === null && valid));
    } catch {
      resolve(false);
    }
  });
}

/** A signer that can forget its key: `sign` throws `keystore_locked` from then on. */
export interface ErasableSigner extends Signer {
  forget(): void;
}

/**
 * Makes a signer from an Ed25519 secret (the 32-byte seed of RFC 8032). The seed is copied into node:crypto's key
 * object; the caller may wipe its own copy.
 * @throws AppError `invalid_argument` when it is not 32 bytes
 */
export function createSigner(seed: Uint8Array): ErasableSigner {
  let key: KeyObject | null = ed25519SecretKey(seed);
  const publicKey = rawPublicKey(key);
  return {
    publicKey,
    sign(bytes) {
      if (!key) throw new AppError('keystore_locked', 'The keystore is locked; a password is needed.');
      return new Uint8Array(sign(null, bytes, key));
    },
    forget() {
      key = null;
    },
  };
}
