import { z } from 'zod';
import { decodeStrict, encodeStrict, malformed } from '../../identity/index.ts';
import { maxRecordBox } from './record.ts';

/*
 * `/extrachain/recovery/1`: one question a stream. `keep` hands in the sealed record of the asking computer, answered by `kept` or `refused`. `ask`
 * wants every record of the asker's person: a `record` for each computer, then `end`. Who asks is known from the connection.
 */

/** Records of one person's computers that are kept, the newest. */
export const recordsPerUser = 8;
export const maxRecoveryFrame = maxRecordBox + 1024;
const what = 'word about recovery';

const bytes = (min: number, max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= min && value.length <= max);
const requestShape = z.discriminatedUnion('t', [
  z.strictObject({
    t: z.literal('keep'),
    /** Under this key it is said in the DHT who keeps records of this person: only the phrase and the person's computers can compute it. */
    locator: bytes(32, 32),
    box: bytes(1, maxRecordBox),
  }),
  z.strictObject({ t: z.literal('ask') }),
]);
const answerShape = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('kept') }),
  z.strictObject({ t: z.literal('refused') }),
  z.strictObject({ t: z.literal('record'), box: bytes(1, maxRecordBox) }),
  z.strictObject({ t: z.literal('end') }),
]);
export type RecoveryRequest = z.infer<typeof requestShape>;
export type RecoveryAnswer = z.infer<typeof answerShape>;

function decoder<T>(shape: z.ZodType<T>): (frame: Uint8Array) => T {
  return (frame) => {
    const parsed = shape.safeParse(decodeStrict(frame, maxRecoveryFrame, what));
    if (parsed.success) return parsed.data;
    throw malformed(what, parsed.error.issues[0]?.message ?? 'it is something else');
  };
}

export const encodeRecovery = (message: RecoveryRequest | RecoveryAnswer): Uint8Array =>
  encodeStrict(message);
/** @throws AppError `malformed`, `too_large` */
export const decodeRecoveryRequest = decoder<RecoveryRequest>(requestShape);
/** @throws AppError `malformed`, `too_large` */
export const decodeRecoveryAnswer = decoder<RecoveryAnswer>(answerShape);
