import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hash,
  type KeyObject,
} from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import type { BlockRef } from '../types.ts';
import { maxBlockSize } from './ladder.ts';
import { padme } from './padme.ts';

const tagLength = 16;
// Each block key belongs to one plaintext, so the nonce carries nothing (see "Content" in docs/architecture.md).
const zeroNonce = new Uint8Array(12);
const zeros = new Uint8Array(64 * 1024);
const contentKeys = new Map<string, KeyObject>();

/** SHA-256, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

/** Bytes of the ciphertext (with tag) of a block of `len` plaintext bytes. */
export function sealedLength(len: number): number {
  return padme(len) + tagLength;
}

/**
 * The AES-256 key of one block: HMAC-SHA-256(content key, plainHash + u32 big-endian len), 32 bytes.
 * @param contentKey 32 bytes, of one key epoch of one drive
 */
export function blockKey(contentKey: Uint8Array, plainHash: Uint8Array, len: number): Uint8Array {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(len);
  return createHmac('sha256', keyObject(contentKey)).update(plainHash).update(length).digest();
}

/** KeyObjects make an HMAC several times cheaper than raw keys; a worker sees few epochs. */
function keyObject(contentKey: Uint8Array): KeyObject {
  if (contentKey.length !== 32) throw new AppError('invalid_argument', 'A content key has 32 bytes.');
  const name = Buffer.from(contentKey.buffer, contentKey.byteOffset, 32).toString('latin1');
  let key = contentKeys.get(name);
  if (!key) {
    if (contentKeys.size >= 64) contentKeys.clear();
    contentKeys.set(name, (key = createSecretKey(contentKey)));
  }
  return key;
}

interface SealedParts {
  readonly id: Uint8Array;
  /** Ciphertext and tag, to be joined by `joinParts`. */
  readonly parts: readonly Uint8Array[];
}

/** Hashing the parts one after another saves the copy that joining them would be, when only the id is wanted. */
function sealParts(contentKey: Uint8Array, plain: Uint8Array, plainHash: Uint8Array): SealedParts {
  if (plain.length < 1 || plain.length > maxBlockSize) {
    throw new AppError('invalid_argument', 'A block has 1 byte to 16 MiB.');
  }
  const cipher = createCipheriv('aes-256-gcm', blockKey(contentKey, plainHash, plain.length), zeroNonce);
  const parts: Uint8Array[] = [cipher.update(plain)];
  for (let left = padme(plain.length) - plain.length; left > 0; left -= zeros.length) {
    parts.push(cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros));
  }
  cipher.final();
  parts.push(cipher.getAuthTag());
  if (parts.length === 2 && parts[0]!.length <= 4 * zeros.length) {
    parts.splice(0, 2, Buffer.concat(parts));
  }
  if (parts.length === 1) return { id: sha256(parts[0]!), parts };
  const id = createHash('sha256');
  for (const part of parts) id.update(part);
  return { id: id.digest(), parts };
}

function joinParts(parts: readonly Uint8Array[], into?: Uint8Array): Uint8Array {
  const joined = into ?? Buffer.allocUnsafeSlow(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export interface NewlySealed {
  readonly id: Uint8Array;
  /** Fills its own ArrayBuffer, so it can be transferred. */
  ciphertext(): Uint8Array;
}

/**
 * Seals a block that no reference names yet.
 * @param plainHash SHA-256 of exactly these bytes, computed from this same memory by the caller
 */
export function sealNew(contentKey: Uint8Array, plain: Uint8Array, plainHash: Uint8Array): NewlySealed {
  const { id, parts } = sealParts(contentKey, plain, plainHash);
  return { id, ciphertext: () => joinParts(parts) };
}

/**
 * Seals bytes again as the block `ref`; the ciphertext (fills its own ArrayBuffer), or null when they are not that
 * block. The plaintext is hashed before anything is sealed: a changed block must never meet an old key.
 */
export function sealBlock(contentKey: Uint8Array, plain: Uint8Array, ref: BlockRef): Uint8Array | null {
  if (plain.length !== ref.len || !sameBytes(sha256(plain), ref.plainHash)) return null;
  const { id, parts } = sealParts(contentKey, plain, ref.plainHash);
  return sameBytes(id, ref.id) ? joinParts(parts) : null;
}

/**
 * Checks a received block completely (size, id, tag, zero padding, plaintext hash) and returns its plaintext.
 * Throws `bad_hash` when anything does not hold, `malformed` when the reference itself is impossible.
 */
export function openBlock(contentKey: Uint8Array, ref: BlockRef, ciphertext: Uint8Array): Uint8Array {
  if (!Number.isInteger(ref.len) || ref.len < 1 || ref.len > maxBlockSize || ref.plainHash.length !== 32) {
    throw new AppError('malformed', 'A block reference has an impossible length.');
  }
  if (ciphertext.length !== sealedLength(ref.len) || !sameBytes(sha256(ciphertext), ref.id)) {
    throw new AppError('bad_hash', 'A received block is not the one that was asked for.');
  }
  const body = ciphertext.length - tagLength;
  const decipher = createDecipheriv('aes-256-gcm', blockKey(contentKey, ref.plainHash, ref.len), zeroNonce, {
    authTagLength: tagLength,
  });
  decipher.setAuthTag(ciphertext.subarray(body));
  const padded = decipher.update(ciphertext.subarray(0, body));
  try {
    decipher.final();
  } catch (cause) {
    throw new AppError('bad_hash', 'A block could not be decrypted with the key of its epoch.', { cause });
  }
  for (let i = ref.len; i < body; i++) {
    if (padded[i] !== 0) throw new AppError('bad_hash', 'A block is not padded as it should be.');
  }
  const plain = padded.subarray(0, ref.len);
  if (!sameBytes(sha256(plain), ref.plainHash)) {
    throw new AppError('bad_hash', 'A block holds something else than its reference says.');
  }
  return plain;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
