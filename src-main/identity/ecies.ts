import { randomBytes } from 'node:crypto';
import { Config } from 'eciesjs/config';
import { getSharedKey, symDecrypt, symEncrypt } from 'eciesjs/utils';
import { AppError } from '../../src-shared/errors.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import { wipe, x25519, x25519Public } from './primitives.ts';

/**
 * The envelope is that of eciesjs (curve x25519, aes-256-gcm, 12-byte nonce): ephemeral key (32) | nonce (12) | tag (16) |
 * ciphertext, key = HKDF-SHA-256(ephemeral key | shared point). It names nobody. Only the curve multiplication is
 * node:crypto's instead of eciesjs's own JavaScript (0.1 ms instead of 3): a member finds his box by trying them all.
 */
const config = new Config();
config.ellipticCurve = 'x25519';
config.symmetricAlgorithm = 'aes-256-gcm';
config.symmetricNonceLength = 12;
/** The same envelope for eciesjs's own `encrypt` and `decrypt`. */
export const eciesConfig: Readonly<Config> = config;

/** What a box is longer than its content, bytes. */
export const boxOverhead = 60;
/** Boxes carry keys and small records, never files. */
export const maxBoxBytes = 1024 * 1024;

/** u-coordinates of small order on Curve25519 below p, little-endian (RFC 7748, section 6.1 and Bernstein's list). */
const smallOrderU = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

/** True for 32 bytes that may stand as an X25519 public key: canonical (below p) and not of small order. */
export function isEncryptionKey(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const hex = Buffer.from(bytes).toString('hex');
  const belowPrime =
    (bytes[31] as number) < 0x7f || ((bytes[31] as number) === 0x7f && !/^(e[d-f]|f.)(ff){30}/.test(hex));
  return belowPrime && !smallOrderU.includes(hex);
}

/**
 * Encrypts for the holder of an X25519 key.
 * @param encKey public key, 32 bytes
 * @param random source of the ephemeral key
 * @throws AppError `invalid_argument` for a key of wrong length or small order, or more than 1 MiB of content
 */
export function wrapFor(
  encKey: Uint8Array,
  bytes: Uint8Array,
  random: RandomBytes = randomBytes,
): Uint8Array {
  if (!isEncryptionKey(encKey)) throw new AppError('invalid_argument', 'The encryption key is not valid.');
  if (bytes.length > maxBoxBytes - boxOverhead) {
    throw new AppError('too_large', 'This is too large to be encrypted for a person.');
  }
  const ephemeral = random(32);
  const point = x25519(ephemeral, encKey);
  const ephemeralPublic = x25519Public(ephemeral);
  const key = getSharedKey(ephemeralPublic, point);
  const sealed = symEncrypt(config, key, bytes);
  wipe(ephemeral, point, key);
  return new Uint8Array(Buffer.concat([ephemeralPublic, sealed]));
}

/**
 * Opens a box.
 * @param secret X25519 secret, 32 bytes
 * @returns the content, or null when the box is not for this key (or damaged, which looks the same)
 */
export function tryUnwrap(secret: Uint8Array, box: Uint8Array): Uint8Array | null {
  if (box.length < boxOverhead || box.length > maxBoxBytes) return null;
  const ephemeralPublic = Uint8Array.from(box.subarray(0, 32));
  let point: Uint8Array | null = null;
  let key: Uint8Array | null = null;
  try {
    point = x25519(secret, ephemeralPublic);
    key = getSharedKey(ephemeralPublic, point);
    return symDecrypt(config, key, box.subarray(32));
  } catch {
    return null;
  } finally {
    wipe(point, key);
  }
}

/**
 * Opens a box that must be for this key.
 * @throws AppError `key_missing` when it is not, or is damaged
 */
export function unwrap(secret: Uint8Array, box: Uint8Array): Uint8Array {
  const content = tryUnwrap(secret, box);
  if (content) return content;
  throw new AppError('key_missing', 'This was encrypted for another key.');
}
