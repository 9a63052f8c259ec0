import { AppError } from '../../../src-shared/errors.ts';
import { decodeStrict, encodeStrict, malformed } from '../../identity/index.ts';
import { maxAmount } from './limits.ts';

/*
 * A shape says how a value looks in dag-cbor, both ways: so what is encoded is what is accepted, and every field is bounded
 * in one place. `from` takes nothing on trust; `to` refuses what `from` would refuse.
 */

/** How a `T` looks in dag-cbor. */
export interface Shape<T> {
  /** The dag-cbor value. @throws AppError `invalid_argument` when it would not be accepted back */
  to(value: T, at: string): unknown;
  /** The value again. @throws AppError `malformed`, naming what is wrong where */
  from(wire: unknown, at: string): T;
  /** Bytes that the dag-cbor takes at the most, without making it; null: `to` would refuse the value, or it can't be told so. */
  most(value: T): number | null;
}

/** Of the head of a dag-cbor value, at the most; whole numbers are nothing else. */
const headBytes = 9;

/** The bytes of several values together, and of so many more; null when one has none. */
function sumOf(sizes: Iterable<number | null>, more: number): number | null {
  let sum = more;
  for (const size of sizes) {
    if (size === null) return null;
    sum += size;
  }
  return sum;
}

/** What a checked value takes: a number, a boolean, text (a character is three bytes at most) or bytes. */
const plainBytes = (value: unknown): number =>
  typeof value === 'string'
    ? headBytes + 3 * value.length
    : value instanceof Uint8Array
      ? headBytes + value.length
      : headBytes;

/** The values a shape describes. */
export type ValueOf<S> = S extends Shape<infer T> ? T : never;

/** A shape that is the same on both sides: one check serves both ways. */
function plain<T>(check: (value: unknown) => value is T, expected: string): Shape<T> {
  return {
    to(value, at) {
      if (check(value)) return value;
      throw new AppError('invalid_argument', `The ${at} is not right: it is not ${expected}.`);
    },
    from(wire, at) {
      if (check(wire)) return wire;
      throw malformed(at, `not ${expected}`);
    },
    most: (value) => (check(value) ? plainBytes(value) : null),
  };
}

/** Exactly `length` bytes. */
export const bytesOf = (length: number): Shape<Uint8Array> =>
  plain(
    (value): value is Uint8Array => value instanceof Uint8Array && value.length === length,
    `${length} bytes`,
  );

/** At most `max` bytes. */
export const bytesUpTo = (max: number): Shape<Uint8Array> =>
  plain(
    (value): value is Uint8Array => value instanceof Uint8Array && value.length <= max,
    `at most ${max} bytes`,
  );

/** A whole number in [min, max]. */
export const whole = (max: number = Number.MAX_SAFE_INTEGER, min = 0): Shape<number> =>
  plain(
    (value): value is number =>
      Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    `a whole number from ${min} to ${max}`,
  );

export const flag: Shape<boolean> = plain((value) => typeof value === 'boolean', 'true or false');

/** Characters that change how a line reads without being seen: controls, and marks of writing direction. */
// eslint-disable-next-line no-control-regex
const unseen = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

/**
 * Text for people, at most `max` UTF-8 bytes: one line without controls or lone surrogates. No Unicode form is asked for:
 * which characters have one changes with the version of Unicode, and all nodes must agree for ever.
 */
export const text = (max: number, min = 0): Shape<string> =>
  plain((value): value is string => {
    if (typeof value !== 'string' || !value.isWellFormed()) return false;
    const length = Buffer.byteLength(value);
    return length >= min && length <= max && !unseen.test(value);
  }, `one line of text of ${min} to ${max} bytes`);

/** Text that matches a pattern. */
export const pattern = (regex: RegExp, expected: string): Shape<string> =>
  plain((value): value is string => typeof value === 'string' && regex.test(value), expected);

/** One of these values. */
export const oneOf = <const T extends string | number>(...values: readonly T[]): Shape<T> =>
  plain((value): value is T => (values as readonly unknown[]).includes(value), `one of ${values.join(', ')}`);

/** An unsigned integer of `length` bytes, big-endian; amounts have 16. */
export const unsigned = (length: number): Shape<bigint> => {
  const limit = 1n << BigInt(8 * length);
  const most = headBytes + length;
  return {
    most: (value) => (typeof value === 'bigint' && value >= 0n && value < limit ? most : null),
    to(value, at) {
      if (typeof value === 'bigint' && value >= 0n && value < limit) return bigintBytes(value, length);
      throw new AppError('invalid_argument', `The ${at} is not right: it is out of range.`);
    },
    from(wire, at) {
      if (wire instanceof Uint8Array && wire.length === length) return bytesBigint(wire);
      throw malformed(at, `not ${length} bytes`);
    },
  };
};

/** A u128 in 16 bytes. */
export const amount = unsigned(16);

/** An amount that is not zero. */
export const positiveAmount: Shape<bigint> = {
  most: (value) => (value > 0n ? amount.most(value) : null),
  to(value, at) {
    if (value > 0n) return amount.to(value, at);
    throw new AppError('invalid_argument', `The ${at} has to be more than zero.`);
  },
  from(wire, at) {
    const value = amount.from(wire, at);
    if (value > 0n) return value;
    throw malformed(at, 'not more than zero');
  },
};

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return {
    to: (value, at) => (value === null ? null : shape.to(value, at)),
    from: (wire, at) => (wire === null ? null : shape.from(wire, at)),
    most: (value) => (value === null ? headBytes : shape.most(value)),
  };
}

/** `min` to `max` values of one shape. */
export function listOf<T>(shape: Shape<T>, max: number, min = 0): Shape<readonly T[]> {
  return {
    to(values, at) {
      if (values.length < min || values.length > max) {
        throw new AppError('invalid_argument', `The ${at} is not right: ${min} to ${max} are allowed.`);
      }
      return values.map((value) => shape.to(value, at));
    },
    from(wire, at) {
      if (!Array.isArray(wire) || wire.length < min || wire.length > max) {
        throw malformed(at, `not a list of ${min} to ${max}`);
      }
      return wire.map((one) => shape.from(one, at));
    },
    most: (values) =>
      values.length < min || values.length > max ? null : sumOf(values.map(shape.most), headBytes),
  };
}

/** A map with exactly these fields. */
export function record<T extends object>(fields: { readonly [K in keyof T]: Shape<T[K]> }): Shape<
  Readonly<T>
> {
  const shapes = Object.entries(fields as Readonly<Record<string, Shape<unknown>>>);
  const names = shapes.reduce((sum, [name]) => sum + plainBytes(name), headBytes);
  return {
    most(value) {
      let sum = names;
      for (const [name, shape] of shapes) {
        const size = shape.most((value as Record<string, unknown>)[name]);
        if (size === null) return null;
        sum += size;
      }
      return sum;
    },
    to(value, at) {
      const wire: Record<string, unknown> = {};
      for (const [name, shape] of shapes) {
        wire[name] = shape.to((value as Record<string, unknown>)[name], `${name} of ${at}`);
      }
      return wire;
    },
    from(wire, at) {
      const found = mapOf(wire, at);
      if (Object.keys(found).length !== shapes.length)
        throw malformed(at, 'its fields are not those expected');
      const value: Record<string, unknown> = {};
      for (const [name, shape] of shapes) {
        if (!Object.hasOwn(found, name)) throw malformed(at, `${name} is missing`);
        value[name] = shape.from(found[name], `${name} of ${at}`);
      }
      return value as T;
    },
  };
}

/** Maps that tell by their field `type` which of the shapes they have. */
export function union<T extends { readonly type: string }>(shapes: {
  readonly [K in T['type']]: Shape<Omit<Extract<T, { readonly type: K }>, 'type'>>;
}): Shape<T> {
  const known = new Map(Object.entries(shapes as unknown as Readonly<Record<string, Shape<unknown>>>));
  return {
    to(value, at) {
      const shape = known.get(value.type);
      if (!shape) throw new AppError('invalid_argument', `The ${at} is not right: its type is unknown.`);
      return { ...(shape.to(value, at) as object), type: value.type };
    },
    from(wire, at) {
      const { type, ...rest } = mapOf(wire, at);
      const shape = typeof type === 'string' ? known.get(type) : undefined;
      if (!shape) throw malformed(at, 'its type is unknown');
      return { type, ...(shape.from(rest, at) as object) } as unknown as T;
    },
    most: (value) =>
      sumOf([known.get(value.type)?.most(value) ?? null], 2 * headBytes + plainBytes(value.type)),
  };
}

/** Adds a rule that spans fields. `problem` answers what is wrong, or null. */
export function refined<T>(shape: Shape<T>, problem: (value: T) => string | null): Shape<T> {
  return {
    to(value, at) {
      const wrong = problem(value);
      if (wrong !== null) throw new AppError('invalid_argument', `The ${at} is not right: ${wrong}.`);
      return shape.to(value, at);
    },
    from(wire, at) {
      const value = shape.from(wire, at);
      const wrong = problem(value);
      if (wrong !== null) throw malformed(at, wrong);
      return value;
    },
    most: (value) => (problem(value) === null ? shape.most(value) : null),
  };
}

/** A shape whose encoding stands alone, at most `maxBytes` of it. */
export interface Codec<T> {
  /** @throws AppError `invalid_argument` for what `decode` would refuse */
  encode(value: T): Uint8Array;
  /** @throws AppError `malformed`, `too_large` */
  decode(bytes: Uint8Array): T;
}

export function codecOf<T>(shape: Shape<T>, what: string, maxBytes: number): Codec<T> {
  return {
    encode(value) {
      const bytes = encodeStrict(shape.to(value, what));
      if (bytes.length <= maxBytes) return bytes;
      throw new AppError('invalid_argument', `The ${what} is not right: it is too large.`);
    },
    decode: (bytes) => shape.from(decodeStrict(bytes, maxBytes, what), what),
  };
}

function mapOf(wire: unknown, at: string): Record<string, unknown> {
  if (typeof wire === 'object' && wire !== null && !Array.isArray(wire) && !(wire instanceof Uint8Array)) {
    return wire as Record<string, unknown>;
  }
  throw malformed(at, 'not a map');
}

/** Big-endian bytes of an unsigned integer that fits. */
export function bigintBytes(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (length % 8 !== 0) {
    bytes.set(Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex'));
    return bytes;
  }
  const view = new DataView(bytes.buffer);
  for (let end = length, rest = value; end > 0; end -= 8, rest >>= 64n) {
    view.setBigUint64(end - 8, BigInt.asUintN(64, rest));
  }
  return bytes;
}

/** The unsigned integer that big-endian bytes say. */
export function bytesBigint(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`);
}

/** True for what an `Amount` may be. */
export const isAmount = (value: bigint): boolean => value >= 0n && value <= maxAmount;
