import { createHash, hash as hashOnce } from 'node:crypto';
import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../../src-shared/errors.ts';

/** Lower-case hex of bytes. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of lower-case hex; the caller knows that it is hex. */
export function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Bytes as a key of maps and sets. */
export function byteKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function sha256(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  if (parts.length === 1) return new Uint8Array(hashOnce('sha256', parts[0] as Uint8Array, 'buffer'));
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const zero32 = new Uint8Array(32);

/** Strict dag-cbor of a value. */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value);
}

/** An AppError `malformed` naming what could not be read. */
export function malformed(what: string, why: string, cause?: unknown): AppError {
  return new AppError('malformed', `The ${what} is malformed: ${why}.`, cause === undefined ? {} : { cause });
}

/**
 * Decodes dag-cbor that must be in its one valid encoding.
 * @param maxBytes longer input is refused unseen
 * @throws AppError `too_large`, `malformed`
 */
export function decodeCbor(bytes: Uint8Array, maxBytes: number, what: string): unknown {
  if (bytes.length > maxBytes) throw new AppError('too_large', `The ${what} is too large.`);
  let value: unknown;
  let again: Uint8Array;
  try {
    value = decode(bytes);
    again = encode(value);
  } catch (cause) {
    throw malformed(what, 'it is not valid dag-cbor', cause);
  }
  if (!sameBytes(again, bytes)) throw malformed(what, 'it is not in its one valid encoding');
  return value;
}

/** Reads the items of one decoded array with checks; each throws `malformed`. */
export interface Items {
  readonly length: number;
  bytes(index: number, length?: number): Uint8Array;
  whole(index: number, max?: number): number;
  text(index: number): string;
  list(index: number, max: number): readonly unknown[];
  any(index: number): unknown;
}

/** Checked access to a decoded array of exactly `length` items. */
export function itemsOf(value: unknown, length: number, what: string): Items {
  if (!Array.isArray(value) || value.length !== length)
    throw malformed(what, 'its fields are not those expected');
  const items = value as readonly unknown[];
  return {
    length,
    bytes(index, size) {
      const item = items[index];
      if (item instanceof Uint8Array && (size === undefined || item.length === size)) return item;
      throw malformed(what, `field ${index} is not ${size ?? 'some'} bytes`);
    },
    whole(index, max = Number.MAX_SAFE_INTEGER) {
      const item = items[index];
      if (typeof item === 'number' && Number.isSafeInteger(item) && item >= 0 && item <= max) return item;
      throw malformed(what, `field ${index} is no whole number in range`);
    },
    text(index) {
      const item = items[index];
      if (typeof item === 'string') return item;
      throw malformed(what, `field ${index} is no text`);
    },
    list(index, max) {
      const item = items[index];
      if (Array.isArray(item) && item.length <= max) return item as readonly unknown[];
      throw malformed(what, `field ${index} is no list of at most ${max}`);
    },
    any: (index) => items[index],
  };
}

/** Checks a list of byte strings of one length. */
export function byteList(value: readonly unknown[], length: number, what: string): readonly Uint8Array[] {
  for (const item of value) {
    if (!(item instanceof Uint8Array) || item.length !== length)
      throw malformed(what, 'a list holds wrong items');
  }
  return value as readonly Uint8Array[];
}
