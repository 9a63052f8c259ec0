import { hash } from 'node:crypto';
import { decodeStrict, encodeStrict, malformed } from '../../identity/index.ts';
import { limits } from '../limits.ts';

/** One block of a stripe. */
export interface Shard {
  /** SHA-256 of its bytes. */
  readonly id: Uint8Array;
  /** Exact, bytes. */
  readonly size: number;
}

/**
 * Ciphertext blocks of one file (`data` of them; fewer at its end, the rest counts as zeros) with parity blocks computed from
 * them. Each lies on another host; any `data` of all give back the others. It names ciphertext only, so hosts may know it.
 */
export interface Stripe {
  readonly data: number;
  readonly blocks: readonly Shard[];
  readonly parity: readonly Shard[];
}

/** How files are coded: `data` of `data + parity` shards are needed. */
export interface ErasureCode {
  readonly data: number;
  readonly parity: number;
}

/** More shards need more hosts than most networks have. */
const maxParity = 8;

/**
 * The code that stands the loss of as many hosts as `copies` whole copies do, at 1.5 times the size; null: copies are as good.
 * 3 copies: 4 + 2.
 */
export function codeFor(copies: number): ErasureCode | null {
  const parity = copies - 1;
  return parity < 1 || parity > maxParity ? null : { data: 2 * parity, parity };
}

/** Bytes of a parity shard: those of the largest block. */
export function shardSize(stripe: Stripe): number {
  return Math.max(...stripe.blocks.map(({ size }) => size));
}

/** All shards in the order of the code; null: one of zeros, which nobody keeps. */
export function shardsOf({ data, blocks, parity }: Stripe): readonly (Shard | null)[] {
  return [...Array.from({ length: data }, (_, i) => blocks[i] ?? null), ...parity];
}

/** Which of the drive's `data + parity` hosts of shards keeps shard `index`: parity goes round, so that all serve alike. */
export function slotOf(stripe: Stripe, index: number): number {
  return (index + stripe.blocks[0]!.id[0]!) % (stripe.data + stripe.parity.length);
}

/** Encodes a stripe; strict dag-cbor. */
export function encodeStripe({ data, blocks, parity }: Stripe): Uint8Array {
  const list = (shards: readonly Shard[]) => shards.map(({ id, size }) => [id, size]);
  return encodeStrict([data, list(blocks), list(parity)]);
}

/** 32 bytes: SHA-256 of the encoded stripe. */
export function stripeId(encoded: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', encoded, 'buffer'));
}

const what = 'stripe';

/**
 * Decodes a stripe.
 * @throws AppError `too_large`, `malformed` for anything that is not exactly one, within the limits
 */
export function decodeStripe(bytes: Uint8Array): Stripe {
  const fields = decodeStrict(bytes, limits.stripeBytes, what);
  if (!Array.isArray(fields) || fields.length !== 3) throw malformed(what, 'not a list of three');
  const [data, blocks, parity] = fields as readonly unknown[];
  if (typeof data !== 'number' || !Number.isInteger(data) || data < 1 || data > 2 * maxParity) {
    throw malformed(what, 'its number of data shards is out of range');
  }
  const stripe = { data, blocks: shards(blocks, data), parity: shards(parity, maxParity) };
  const ids = [...stripe.blocks, ...stripe.parity].map(({ id }) => Buffer.from(id).toString('hex'));
  if (new Set(ids).size !== ids.length) throw malformed(what, 'a block stands in it twice');
  const size = shardSize(stripe);
  if (stripe.parity.some((one) => one.size !== size)) throw malformed(what, 'its parity has another size');
  return stripe;
}

/** Decodes what a host tells; null: it is no stripe, and worth nothing. */
export function stripeOrNull(bytes: Uint8Array): Stripe | null {
  try {
    return decodeStripe(bytes);
  } catch {
    return null;
  }
}

function shards(value: unknown, max: number): Shard[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > max) {
    throw malformed(what, 'a list of shards is missing, empty or too long');
  }
  return value.map((one: unknown) => {
    if (!Array.isArray(one) || one.length !== 2) throw malformed(what, 'a shard is not a pair');
    const [id, size] = one as readonly unknown[];
    if (!(id instanceof Uint8Array) || id.length !== 32) throw malformed(what, 'an id is not 32 bytes');
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > limits.blockBytes) {
      throw malformed(what, 'a size is out of range');
    }
    return { id, size };
  });
}
