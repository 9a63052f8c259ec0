import { z } from 'zod';
import { decodeStrict, encodeStrict, malformed } from '../../identity/index.ts';

/*
 * `/extrachain/account-keys/1`, between computers of one user: a linked one asks for the right to sign for the account, or which
 * network the others follow. One question a stream, strict dag-cbor.
 */

export const maxKeyMessage = 16 * 1024;

const chainId = z.string().min(1).max(80);
const bytes32 = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === 32);
/** Smallest units: decimal digits of an amount under 2^128. */
const units = z.string().refine((text) => /^\d{1,39}$/.test(text) && BigInt(text) < 1n << 128n);

/** What a key may do: the terms the account puts into the ledger. */
export const keyTerms = z.strictObject({
  scopes: z
    .array(z.string().regex(/^[a-z]{2,16}(\.[a-zA-Z]{2,24})?$/))
    .min(1)
    .max(16),
  caps: z
    .array(z.strictObject({ symbol: z.string().regex(/^[A-Z0-9]{2,12}$/), amount: units }))
    .max(16)
    .refine((caps) => new Set(caps.map(({ symbol }) => symbol)).size === caps.length),
  /** ms since the epoch. */
  expiry: z.int().min(0).max(8_640_000_000_000_000),
});
export type KeyTerms = z.infer<typeof keyTerms>;

const requestShape = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('ask'), chainId, key: bytes32, terms: keyTerms }),
  z.strictObject({ t: z.literal('network') }),
]);
export type KeyRequestMessage = z.infer<typeof requestShape>;

const answerShape = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('asked'), state: z.enum(['waiting', 'denied', 'allowed']) }),
  /** Link of the network that is active there; '': none. */
  z.strictObject({ t: z.literal('network'), link: z.string().max(8192) }),
]);
export type KeyAnswerMessage = z.infer<typeof answerShape>;

function decoder<T>(shape: z.ZodType<T>, what: string): (frame: Uint8Array) => T {
  return (frame) => {
    const parsed = shape.safeParse(decodeStrict(frame, maxKeyMessage, what));
    if (parsed.success) return parsed.data;
    throw malformed(what, parsed.error.issues[0]?.message ?? 'it is something else');
  };
}

export const encodeKeyRequest = (message: KeyRequestMessage): Uint8Array => encodeStrict(message);
/** @throws AppError `malformed`, `too_large` */
export const decodeKeyRequest = decoder<KeyRequestMessage>(requestShape, 'question about keys');
export const encodeKeyAnswer = (message: KeyAnswerMessage): Uint8Array => encodeStrict(message);
/** @throws AppError `malformed`, `too_large` */
export const decodeKeyAnswer = decoder<KeyAnswerMessage>(answerShape, 'answer about keys');
