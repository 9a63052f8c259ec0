import * as dagCbor from '@ipld/dag-cbor';
import { AppError } from '../../src-shared/errors.ts';
import { compareBytes, entryId, hashLength, sameBytes, sha256 } from './ids.ts';
import type { Entry, EntryHash, EntryHeader } from './types.ts';

/** Most bytes of an entry's body. */
export const maxBodyBytes = 2 * 1024 * 1024;
/** Most bytes of an encoded header: 64 parents, 16 access heads and the fixed fields take less. */
export const maxHeaderBytes = 4096;
/** Most bytes of an encoded entry. */
export const maxEntryBytes = maxBodyBytes + maxHeaderBytes + 128;
export const maxParents = 64;
export const maxAccess = 16;
export const signatureLength = 64;

/** Incarnations are 48-bit numbers. */
const maxIncarnation = 2 ** 48 - 1;
/** The end of the year 9999: whatever shows a time may rely on a four-digit year. */
export const maxTime = 253_402_300_799_999;
const signingPrefix = Buffer.from('extrachain entry v1\0', 'latin1');
const zeroHash = new Uint8Array(hashLength);
const headerFields = [
  'v',
  'kind',
  'drive',
  'writer',
  'incarnation',
  'seq',
  'prev',
  'parents',
  'access',
  'lamport',
  'time',
  'keyEpoch',
  'opsRoot',
  'bodyHash',
] as const satisfies readonly (keyof EntryHeader)[];

/** The bytes a writer signs for an entry. */
export function signingBytes(headerBytes: Uint8Array): Uint8Array {
  return Buffer.concat([signingPrefix, headerBytes]);
}

/**
 * Strict dag-cbor of a header.
 * @throws AppError `invalid_argument` when the header breaks a rule `decodeHeader` checks
 */
export function encodeHeader(header: EntryHeader): Uint8Array {
  const problem = headerProblem(header as unknown as Record<string, unknown>);
  if (problem !== null) throw new AppError('invalid_argument', `This entry can't be written: ${problem}.`);
  return dagCbor.encode(header);
}

/**
 * Decodes a header and checks its shape: fields, types, lengths, sorted unique links, and that it is either a genesis
 * header or has what every other needs. Links are not followed here.
 * @throws AppError `too_large`, `malformed`
 */
export function decodeHeader(bytes: Uint8Array): EntryHeader {
  if (bytes.length > maxHeaderBytes) throw new AppError('too_large', 'The header of an entry is too large.');
  const value = decodeStrict(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw new AppError('malformed', 'The header of an entry is no map.');
  }
  const problem = headerProblem(value as Record<string, unknown>);
  if (problem !== null) throw new AppError('malformed', `The header of an entry is wrong: ${problem}.`);
  return value as unknown as EntryHeader;
}

/**
 * Puts an entry together from its signed parts. The signature is not checked.
 * @param headerBytes what `encodeHeader` gave
 */
export function encodeEntry(headerBytes: Uint8Array, body: Uint8Array, sig: Uint8Array): Uint8Array {
  return dagCbor.encode([headerBytes, body, sig]);
}

/**
 * Decodes the stored and transmitted form of one entry and checks everything that needs no other entry and no key: one
 * valid encoding, limits, header rules, and that the body is the one the header names.
 * @throws AppError `too_large`, `malformed`, `bad_hash`
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length > maxEntryBytes) throw new AppError('too_large', 'A history entry is too large.');
  const value = decodeStrict(bytes);
  if (!Array.isArray(value) || value.length !== 3)
    throw new AppError('malformed', 'A history entry is no triple.');
  const [headerBytes, body, sig] = value as readonly unknown[];
  if (
    !(headerBytes instanceof Uint8Array) ||
    !(body instanceof Uint8Array) ||
    !(sig instanceof Uint8Array) ||
    sig.length !== signatureLength
  ) {
    throw new AppError('malformed', 'A history entry does not hold a header, a body and a signature.');
  }
  if (body.length > maxBodyBytes)
    throw new AppError('too_large', 'The body of a history entry is too large.');
  const header = decodeHeader(headerBytes);
  if (!sameBytes(sha256(body), header.bodyHash)) {
    throw new AppError('bad_hash', 'The body of a history entry is not the one its header names.');
  }
  const hash = sha256(headerBytes);
  return { id: entryId(hash), hash, header, body, sig, bytes };
}

/** The signed header inside an entry's bytes, as it was signed. */
export function headerBytesOf(entry: Entry): Uint8Array {
  return dagCbor.encode(entry.header);
}

/** The hash of the drive an entry belongs to; the genesis entry belongs to the drive it founds. */
export function driveOf(entry: Entry): EntryHash {
  return entry.header.drive ?? entry.hash;
}

/**
 * Decodes dag-cbor that has exactly one encoding. The library refuses most other encodings by itself but not all (unsorted
 * map keys, for one), hence the comparison.
 * @throws AppError `malformed`
 */
export function decodeStrict(bytes: Uint8Array): unknown {
  try {
    const value: unknown = dagCbor.decode(bytes);
    if (sameBytes(dagCbor.encode(value), bytes)) return value;
  } catch (error) {
    // Also a RangeError: deep nesting exhausts the stack of the recursive decoder, which is harmless once caught.
    throw new AppError('malformed', 'The bytes are no valid dag-cbor.', { cause: error });
  }
  throw new AppError('malformed', 'The bytes are not in the one valid encoding.');
}

/** What is wrong with a header, in words; null when nothing is. */
function headerProblem(h: Record<string, unknown>): string | null {
  const keys = Object.keys(h);
  if (keys.length !== headerFields.length) return 'fields are missing or unknown';
  for (const field of headerFields) if (!Object.hasOwn(h, field)) return `the field ${field} is missing`;

  if (h.v !== 1) return 'its version is unknown';
  if (h.kind !== 'ops' && h.kind !== 'access') return 'its kind is unknown';
  if (!isHash(h.writer)) return 'writer is no 32-byte key';
  if (!isWhole(h.incarnation, maxIncarnation)) return 'incarnation is out of range';
  if (!isWhole(h.seq, Number.MAX_SAFE_INTEGER)) return 'seq is out of range';
  if (!isWhole(h.lamport, Number.MAX_SAFE_INTEGER)) return 'lamport is out of range';
  if (!isWhole(h.time, maxTime)) return 'time is out of range';
  if (!isHash(h.keyEpoch)) return 'keyEpoch has no 32 bytes';
  if (!isHash(h.opsRoot)) return 'opsRoot has no 32 bytes';
  if (!isHash(h.bodyHash)) return 'bodyHash has no 32 bytes';
  if (h.kind === 'access' && !sameBytes(h.opsRoot, zeroHash)) return 'an access entry has no operations';
  if (!isHashList(h.parents, maxParents)) return 'parents is no sorted list of at most 64 hashes';
  if (!isHashList(h.access, maxAccess)) return 'access is no sorted list of at most 16 hashes';

  if (h.drive === null) {
    const founds =
      h.kind === 'access' && h.seq === 0 && h.prev === null && h.lamport === 0 && h.parents.length === 0;
    return founds && h.access.length === 0 ? null : 'it founds a drive but has links';
  }
  if (!isHash(h.drive)) return 'drive has no 32 bytes';
  if (h.seq === 0 ? h.prev !== null : !isHash(h.prev)) return 'prev does not fit seq';
  if (h.parents.length === 0) return 'it has no parents';
  if (h.access.length === 0) return 'it names no access entry';
  if (h.lamport === 0) return 'lamport is out of range';
  return null;
}

function isHash(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === hashLength;
}

function isWhole(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

function isHashList(value: unknown, max: number): value is readonly Uint8Array[] {
  if (!Array.isArray(value) || value.length > max || !value.every(isHash)) return false;
  return value.every((hash, i) => i === 0 || compareBytes(value[i - 1] as Uint8Array, hash) < 0);
}
