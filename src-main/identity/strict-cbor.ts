import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../src-shared/errors.ts';

/** Strict dag-cbor: one valid encoding of each value. */
export const encodeStrict = (value: unknown): Uint8Array => new Uint8Array(encode(value));

/**
 * Decodes strict dag-cbor and proves that the bytes are its one valid encoding by encoding again.
 * @param maxBytes refuses longer input before looking at it
 * @param what names the thing in messages, e.g. "actor card"
 * @throws AppError `too_large`, `malformed`
 */
export function decodeStrict(bytes: Uint8Array, maxBytes: number, what: string): unknown {
  if (bytes.length > maxBytes) {
    throw new AppError('too_large', `The ${what} is too large.`, {
      details: { bytes: bytes.length, maxBytes },
    });
  }
  let value: unknown;
  let again: Uint8Array;
  try {
    value = decode(bytes);
    again = encode(value);
  } catch (cause) {
    throw malformed(what, 'not valid dag-cbor', cause);
  }
  if (Buffer.compare(bytes, again) !== 0) throw malformed(what, 'not in its one valid encoding');
  return value;
}

/** An AppError `malformed` for people: "The actor card is malformed: <why>." */
export function malformed(what: string, why: string, cause?: unknown): AppError {
  return new AppError('malformed', `The ${what} is malformed: ${why}.`, cause === undefined ? {} : { cause });
}

/** Reads fields of one decoded value with checks; each throws `malformed` naming the field. */
export function fieldsOf(value: unknown, keys: readonly string[], what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw malformed(what, 'not a map');
  }
  const record = value as Record<string, unknown>;
  const found = Object.keys(record);
  if (found.length !== keys.length || !keys.every((key) => Object.hasOwn(record, key))) {
    throw malformed(what, 'its fields are not those expected');
  }
  return {
    bytes(key, length) {
      const field = record[key];
      if (field instanceof Uint8Array && (length === undefined || field.length === length)) return field;
      throw malformed(what, `${key} is not ${length ?? ''} bytes`);
    },
    integer(key, min = 0, max = Number.MAX_SAFE_INTEGER) {
      const field = record[key];
      if (typeof field === 'number' && Number.isSafeInteger(field) && field >= min && field <= max)
        return field;
      throw malformed(what, `${key} is not a whole number in range`);
    },
    text(key) {
      const field = record[key];
      if (typeof field === 'string') return field;
      throw malformed(what, `${key} is not text`);
    },
    list(key, max) {
      const field = record[key];
      if (Array.isArray(field) && field.length <= max) return field as readonly unknown[];
      throw malformed(what, `${key} is not a list of at most ${max}`);
    },
  };
}

export interface Fields {
  /** A byte string, of that length if one is given. */
  bytes(key: string, length?: number): Uint8Array;
  /** A whole number in [min, max], 0 .. 2^53-1 if not given. */
  integer(key: string, min?: number, max?: number): number;
  text(key: string): string;
  list(key: string, max: number): readonly unknown[];
}

/** Unsigned lexicographic order of byte strings. */
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
