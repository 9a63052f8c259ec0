import { z } from './zod.ts';

/** ISO 8601 in UTC with milliseconds, as `Date.toISOString` writes it. */
export const time = z.iso.datetime({ precision: 3 });
/** A whole number of bytes (or of anything that is counted). */
export const count = z.int().nonnegative();
/** Bech32m, prefix `exc`. Read leniently here; the node answers `invalid_argument` when it is not one. */
export const userId = z.string().min(1).max(128);
/** A libp2p peer ID. */
export const peerId = z.string().min(1).max(128);
/** CIDv1 of the genesis entry. */
export const driveId = z.string().min(1).max(128);
/** Lower-case hex of a SHA-256. */
export const hash = z.string().regex(/^[0-9a-f]{64}$/);
/** `<entry id>/<index>`. */
export const version = z.string().min(1).max(200);
/** `/`-separated, from the root of a drive, without a leading slash; '' is the root. */
export const path = z.string().max(16_384);
/** An absolute path of this computer. */
export const localPath = z.string().min(1).max(16_384);

export const role = z.enum(['owner', 'manager', 'editor', 'reader']);

export const nothing = z.object({});
/** What commands answer that have nothing to tell. */
export const done = z.object({ ok: z.literal(true) });

/** Bytes never cross the contract: they are fetched by a short-lived URL from an origin of their own. */
export const download = z.object({ url: z.url(), size: count.nullable() });

/**
 * State that is watched: first a snapshot, then patches, numbered without gaps from 0. A patch of an object holds the
 * fields that changed; whoever misses a number asks again.
 */
export function watched<T extends z.ZodObject>(state: T) {
  return z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('snapshot'), n: count, value: state }),
    z.object({ kind: z.literal('patch'), n: count, value: state.partial() }),
  ]);
}

/** The same for a list whose items have a key: a patch names items to put in place and keys to take out. */
export function watchedList<T extends z.ZodObject>(item: T) {
  return z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('snapshot'), n: count, items: z.array(item) }),
    z.object({ kind: z.literal('patch'), n: count, put: z.array(item), remove: z.array(z.string()) }),
  ]);
}
