import { z } from 'zod';
import { decodeStrict, encodeStrict, malformed } from '../../../identity/index.ts';
import { maxRequestBytes } from './request.ts';

/*
 * `/extrachain/signing/1`: one question a stream. A request for signatures with all that the asker has gathered; the answer is
 * what the other side has, so that both hold the same afterwards.
 */

export const maxSigningFrame = maxRequestBytes + 1024;
const what = 'word about signatures';

const wire = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= maxRequestBytes);
const offerShape = z.strictObject({
  request: wire,
  /** `withdrawn`: who asked for the signatures wants them no longer. `refused`: the sender does not sign. */
  word: z.enum(['wanted', 'withdrawn', 'refused']),
});
const answerShape = z.strictObject({
  /** `unknown`: it is nothing for that person, or of a network that is not followed there. */
  state: z.enum(['taken', 'refused', 'unknown']),
  /** What is known there; empty unless it was taken. */
  request: wire,
});
export type SigningOffer = z.infer<typeof offerShape>;
export type SigningAnswer = z.infer<typeof answerShape>;

function decoder<T>(shape: z.ZodType<T>): (frame: Uint8Array) => T {
  return (frame) => {
    const parsed = shape.safeParse(decodeStrict(frame, maxSigningFrame, what));
    if (parsed.success) return parsed.data;
    throw malformed(what, parsed.error.issues[0]?.message ?? 'it is something else');
  };
}

export const encodeOffer = (offer: SigningOffer): Uint8Array => encodeStrict(offer);
/** @throws AppError `malformed`, `too_large` */
export const decodeOffer = decoder<SigningOffer>(offerShape);
export const encodeAnswer = (answer: SigningAnswer): Uint8Array => encodeStrict(answer);
/** @throws AppError `malformed`, `too_large` */
export const decodeAnswer = decoder<SigningAnswer>(answerShape);
