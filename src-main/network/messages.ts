import { decode, encode } from '@ipld/dag-cbor';
import { z } from 'zod';
import { maxCardBytes } from '../identity/index.ts';
import { AppError } from '../../src-shared/errors.ts';

/** Messages of `/extrachain/card/1` and `/extrachain/find/1`: strict dag-cbor, every field limited. */

export const maxRecordBytes = 8 * 1024;
export const maxFindPeers = 64;

const peer = z.string().min(1).max(128);
const user = z.string().min(1).max(128);
const bytes = (max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= max);

const cardRequest = z.discriminatedUnion('t', [
  /** Opens the acquaintance: here is my own card; the answer carries yours. */
  z.strictObject({ t: z.literal('hello'), card: bytes(maxCardBytes).nullable() }),
  z.strictObject({ t: z.literal('get'), user }),
]);
const cardAnswer = z.strictObject({ t: z.literal('card'), card: bytes(maxCardBytes).nullable() });
const findRequest = z.strictObject({ t: z.literal('find'), peers: z.array(peer).max(maxFindPeers) });
const findAnswer = z.strictObject({
  t: z.literal('found'),
  found: z
    .array(
      z.strictObject({
        peer,
        /** The asked one has a connection to it now, so it may relay. */
        connected: z.boolean(),
        /** Signed peer record (libp2p RFC 0003) of that peer, as it gave it itself. */
        record: bytes(maxRecordBytes).nullable(),
      }),
    )
    .max(maxFindPeers),
});

export type CardRequest = z.infer<typeof cardRequest>;
export type CardAnswer = z.infer<typeof cardAnswer>;
export type FindRequest = z.infer<typeof findRequest>;
export type FindAnswer = z.infer<typeof findAnswer>;

function decoder<T>(schema: z.ZodType<T>): (data: Uint8Array) => T {
  return (data) => {
    let value: unknown;
    try {
      value = decode(data);
      // Only one encoding of a message is valid.
      if (!Buffer.from(encode(value)).equals(data)) throw new Error('not canonical');
    } catch (error) {
      throw new AppError('malformed', 'A message is not valid dag-cbor.', { cause: error });
    }
    const result = schema.safeParse(value);
    if (!result.success)
      throw new AppError('malformed', 'A message has wrong fields.', { cause: result.error });
    return result.data;
  };
}

export const decodeCardRequest = decoder<CardRequest>(cardRequest);
export const decodeCardAnswer = decoder<CardAnswer>(cardAnswer);
export const decodeFindRequest = decoder<FindRequest>(findRequest);
export const decodeFindAnswer = decoder<FindAnswer>(findAnswer);

export function encodeMessage(message: CardRequest | CardAnswer | FindRequest | FindAnswer): Uint8Array {
  return encode(message);
}
