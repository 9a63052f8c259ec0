import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';

/** DER wrappings of raw 32-byte keys (RFC 8410); node:crypto takes raw Curve25519 keys only so. */
const ed25519Spki = Buffer.from('302a300506032b6570032100', 'hex');
const ed25519Pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const x25519Spki = Buffer.from('302a300506032b656e032100', 'hex');
const x25519Pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

export const ed25519PublicKey = (raw: Uint8Array): KeyObject => publicKey(ed25519Spki, raw);
export const ed25519SecretKey = (seed: Uint8Array): KeyObject => secretKey(ed25519Pkcs8, seed);

function publicKey(prefix: Buffer, raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([prefix, exactly(raw, 32)]), format: 'der', type: 'spki' });
}

function secretKey(prefix: Buffer, raw: Uint8Array): KeyObject {
  const der = Buffer.concat([prefix, exactly(raw, 32)]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  throw new AppError('invalid_argument', `A key must be ${length} bytes long, not ${bytes.length}.`);
}

/** The raw public key of a secret or public KeyObject of Curve25519: the last 32 bytes of its SPKI form. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  const spki = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(spki.length - 32));
}

/** The X25519 public key (RFC 7748) of a 32-byte secret. */
export function x25519Public(secret: Uint8Array): Uint8Array {
  return rawPublicKey(secretKey(x25519Pkcs8, secret));
}

/**
 * X25519 (RFC 7748, section 5).
 * @returns the shared u-coordinate, 32 bytes
 * @throws AppError `malformed` when the other's key is of small order (the result would be zero)
 */
export function x25519(secret: Uint8Array, otherPublic: Uint8Array): Uint8Array {
  const privateKey = secretKey(x25519Pkcs8, secret);
  const other = publicKey(x25519Spki, otherPublic);
  let shared: Buffer;
  try {
    shared = diffieHellman({ privateKey, publicKey: other });
  } catch (cause) {
    throw new AppError('malformed', 'The encryption key is not valid.', { cause });
  }
  // OpenSSL 3 and BoringSSL refuse a zero result themselves; RFC 7748 section 6.1 asks us to be sure.
  if (shared.every((byte) => byte === 0)) throw new AppError('malformed', 'The encryption key is not valid.');
  return new Uint8Array(shared);
}

/** 32 bytes of HKDF-SHA-256 (RFC 5869); `info` names the purpose. */
export function hkdf(
  key: Uint8Array,
  info: string | Uint8Array,
  salt: Uint8Array = new Uint8Array(),
  length = 32,
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, info, length));
}

/** SHA-256 over the parts one after another. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

const tagLength = 16;

/** AES-256-GCM (NIST SP 800-38D); returns ciphertext then 16-byte tag. The nonce (12 bytes) must be new for the key. */
export function aesGcmSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array = new Uint8Array(),
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', exactly(key, 32), exactly(nonce, 12), {
    authTagLength: tagLength,
  });
  cipher.setAAD(aad);
  const body = cipher.update(plaintext);
  cipher.final();
  return new Uint8Array(Buffer.concat([body, cipher.getAuthTag()]));
}

/** Opens what `aesGcmSeal` made; null when key, nonce, data or `aad` do not fit together. */
export function aesGcmOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array = new Uint8Array(),
): Uint8Array | null {
  if (sealed.length < tagLength) return null;
  const split = sealed.length - tagLength;
  const decipher = createDecipheriv('aes-256-gcm', exactly(key, 32), exactly(nonce, 12), {
    authTagLength: tagLength,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(split));
  const body = decipher.update(sealed.subarray(0, split));
  try {
    decipher.final();
    return new Uint8Array(body);
  } catch {
    body.fill(0);
    return null;
  }
}

/** Overwrites secret bytes that are no longer needed. */
export function wipe(...secrets: readonly (Uint8Array | null | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}
