import { decodeStrict, encodeStrict } from '../../identity/index.ts';
import type { Shape } from '../codec/shape.ts';
import { maxValueBytes } from './proof.ts';

/*
 * The state is one sorted map of byte strings. A table is the part of it whose keys begin with a byte of its own. In memory
 * keys are strings with one character a byte (latin1): they compare as their bytes do, and maps take them.
 */

/** A key of the state: one character for each byte. */
export type Key = string;

export interface Table<T> {
  /** First byte of its keys; unique. */
  readonly tag: string;
  readonly name: string;
  encode(value: T): Uint8Array;
  /** Whether `encode` is sure to take the value and the row can hold what it makes of it; false: it has to be tried. */
  fits(value: T): boolean;
  decode(bytes: Uint8Array): T;
}

const claimed = new Map<string, string>();

/** Two tables under one byte would read each other's rows: that must not get as far as a test. */
function claim(tag: string, name: string): void {
  const other = claimed.get(tag);
  if (tag.length !== 1 || (other !== undefined && other !== name))
    throw new Error(`the tables ${name} and ${other} begin with one byte`);
  claimed.set(tag, name);
}

function isWithin<T>(shape: Shape<T>, value: T): boolean {
  try {
    const most = shape.most(value);
    return most !== null && most <= maxValueBytes;
  } catch {
    // No such value at all: encoding says so in its words.
    return false;
  }
}

/** A table whose rows are the dag-cbor of a shape. */
export function table<T>(tag: string, name: string, shape: Shape<T>): Table<T> {
  claim(tag, name);
  const what = `row of ${name}`;
  return {
    tag,
    name,
    encode: (value) => encodeStrict(shape.to(value, what)),
    fits: (value) => isWithin(shape, value),
    decode: (bytes) => shape.from(decodeStrict(bytes, maxValueBytes, what), what),
  };
}

/** A table whose rows are the bytes of one unsigned integer. */
export function numbers(tag: string, name: string, shape: Shape<bigint>): Table<bigint> {
  claim(tag, name);
  return {
    tag,
    name,
    encode: (value) => shape.to(value, name) as Uint8Array,
    fits: (value) => isWithin(shape, value),
    decode: (bytes) => shape.from(bytes, name),
  };
}

export const bytesKey = (bytes: Uint8Array): Key =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
export const keyBytes = (key: Key): Uint8Array => new Uint8Array(Buffer.from(key, 'latin1'));

/** A whole number as 8 bytes, big-endian, so that keys sort by it. */
export function numberKey(value: number): Key {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes.toString('latin1');
}

export const keyNumber = (key: Key, offset: number): number =>
  Number(Buffer.from(key.slice(offset, offset + 8), 'latin1').readBigUInt64BE());

/** The smallest key after all that begin with `prefix`; null when there is none. */
export function afterPrefix(prefix: Key): Key | null {
  for (let end = prefix.length; end > 0; end--) {
    const last = prefix.charCodeAt(end - 1);
    if (last < 255) return prefix.slice(0, end - 1) + String.fromCharCode(last + 1);
  }
  return null;
}
