import {
  createCipheriv,
  createDecipheriv,
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
const piece = 64 * 1024;
const zeros = new Uint8Array(piece);
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
export function blockKey(contentKey: Uint8Array, plainHash: Uint8Array, len: number): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(len);
  return createHmac('sha256', keyObject(contentKey)).update(plainHash).update(length).digest();
}

/** As a KeyObject, with which a cipher is made three times as fast as with bytes. */
function cipherKey(contentKey: Uint8Array, plainHash: Uint8Array, len: number): KeyObject {
  return createSecretKey(blockKey(contentKey, plainHash, len));
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

/**
 * Seals into `into`, which must have exactly `sealedLength(plain.length)` bytes, and returns the id. In pieces: memory of
 * the usual sizes of an allocator is warm, while each fresh megabyte would be faulted in page by page.
 */
function sealInto(
  contentKey: Uint8Array,
  plain: Uint8Array,
  plainHash: Uint8Array,
  into: Uint8Array,
): Uint8Array {
  if (plain.length < 1 || plain.length > maxBlockSize) {
    throw new AppError('invalid_argument', 'A block has 1 byte to 16 MiB.');
  }
  const cipher = createCipheriv('aes-256-gcm', cipherKey(contentKey, plainHash, plain.length), zeroNonce);
  for (let at = 0; at < plain.length; at += piece)
    into.set(cipher.update(plain.subarray(at, at + piece)), at);
  const padded = into.length - tagLength;
  for (let at = plain.length; at < padded; at += piece) {
    into.set(cipher.update(zeros.subarray(0, Math.min(piece, padded - at))), at);
  }
  cipher.final();
  into.set(cipher.getAuthTag(), padded);
  return sha256(into);
}

/**
 * Seals a block that no reference names yet; its id.
 * @param plainHash SHA-256 of exactly these bytes, computed from this same memory by the caller
 * @param into gets the ciphertext, of `sealedLength(plain.length)` bytes
 */
export function sealNew(
  contentKey: Uint8Array,
  plain: Uint8Array,
  plainHash: Uint8Array,
  into: Uint8Array,
): Uint8Array {
  return sealInto(contentKey, plain, plainHash, into);
}

/**
 * Seals bytes again as the block `ref`; the ciphertext, or null when they are not that block. The plaintext is hashed before anything is sealed: a changed block must never meet an old key.
 * @param into gets the ciphertext, of `sealedLength(ref.len)` bytes; default: fresh memory
 */
export function sealBlock(
  contentKey: Uint8Array,
  plain: Uint8Array,
  ref: BlockRef,
  into: Uint8Array = Buffer.allocUnsafeSlow(sealedLength(ref.len)),
): Uint8Array | null {
  if (plain.length !== ref.len || !sameBytes(sha256(plain), ref.plainHash)) return null;
  return sameBytes(sealInto(contentKey, plain, ref.plainHash, into), ref.id) ? into : null;
}

/**
 * Checks a received block completely (size, id, tag, zero padding, plaintext hash) and returns its plaintext.
 * Throws `bad_hash` when anything does not hold, `malformed` when the reference itself is impossible.
 * @param memory for the padded plaintext, of which the answer is a view; default: fresh memory
 */
export function openBlock(
  contentKey: Uint8Array,
  ref: BlockRef,
  ciphertext: Uint8Array,
  memory: (bytes: number) => Uint8Array = (bytes) => Buffer.allocUnsafeSlow(bytes),
): Uint8Array {
  if (!Number.isInteger(ref.len) || ref.len < 1 || ref.len > maxBlockSize || ref.plainHash.length !== 32) {
    throw new AppError('malformed', 'A block reference has an impossible length.');
  }
  if (ciphertext.length !== sealedLength(ref.len) || !sameBytes(sha256(ciphertext), ref.id)) {
    throw new AppError('bad_hash', 'A received block is not the one that was asked for.');
  }
  const body = ciphertext.length - tagLength;
  const decipher = createDecipheriv('aes-256-gcm', cipherKey(contentKey, ref.plainHash, ref.len), zeroNonce, {
    authTagLength: tagLength,
  });
  decipher.setAuthTag(ciphertext.subarray(body));
  const padded = memory(body);
  for (let at = 0; at < body; at += piece) {
    padded.set(decipher.update(ciphertext.subarray(at, Math.min(at + piece, body))), at);
  }
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
