import { createHash, hash as hashOnce } from 'node:crypto';
import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import * as digest from 'multiformats/hashes/digest';
import { AppError } from '../../src-shared/errors.ts';
import type { EntryHash, EntryId } from './types.ts';

/** Bytes of every hash, key and salt in a chain. */
export const hashLength = 32;
/** Multicodec number of SHA-256. */
const sha256Code = 0x12;
/** Length of the one text form of a hash: multibase prefix and 36 bytes in base32. */
const idLength = 59;

/** Inputs up to this size are joined before hashing. */
const copyBytes = 4096;

/** SHA-256 of the parts, one after another, 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  // Thousands of small inputs: one call into OpenSSL costs a third of four.
  if (bytes <= copyBytes) {
    return new Uint8Array(hashOnce('sha256', Buffer.concat(parts, bytes), 'buffer'));
  }
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** The CIDv1 text (dag-cbor, base32) of a 32-byte entry hash. */
export function entryId(hash: EntryHash): EntryId {
  if (hash.length !== hashLength) {
    throw new AppError('invalid_argument', 'An entry hash has 32 bytes.');
  }
  return CID.createV1(dagCbor.code, digest.create(sha256Code, hash)).toString();
}

/**
 * The 32 bytes an entry id or drive id stands for.
 * @throws AppError `malformed` for anything but the one text form `entryId` makes
 */
export function entryHash(id: EntryId): EntryHash {
  const wrong = 'This is not the id of a drive or of a history entry.';
  if (id.length !== idLength) throw new AppError('malformed', wrong);
  let hash: Uint8Array;
  try {
    hash = CID.parse(id).multihash.digest;
  } catch (error) {
    throw new AppError('malformed', wrong, { cause: error });
  }
  // Parsing forgives other codecs, hashes and spare bits; writing it again does not.
  if (hash.length !== hashLength || entryId(hash) !== id) throw new AppError('malformed', wrong);
  return new Uint8Array(hash);
}

/** Orders byte strings as unsigned bytes, shorter first on a common prefix; for `Array.sort`. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** True when both hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** A hash as a key of maps and sets. */
export function hashKey(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1');
}
