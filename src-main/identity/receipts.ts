import { AppError } from '../../src-shared/errors.ts';
import { deviceIdOf, deviceKeyOf } from './ids.ts';
import { isSigningKey, verifySignature } from './signature.ts';
import { decodeStrict, encodeStrict, malformed } from './strict-cbor.ts';
import type { DeviceId, Signer } from './types.ts';

/*
 * What one device signs that it got from another of a stream. Streams make receipts, the ledger pays for them; so they stand below both.
 */

/** What a viewer's device says it got from another one: the more bytes, the newer. */
export interface Receipt {
  /** 32 bytes in hex. */
  readonly streamId: string;
  /** Who sent. */
  readonly from: DeviceId;
  /** Who received, and signs. */
  readonly to: DeviceId;
  /** Payload that was new and right, since the first part. */
  readonly bytes: number;
  readonly parts: number;
  readonly time: number;
  readonly signed: Uint8Array;
}

export const maxReceiptBytes = 512;
const receiptContext = Buffer.from('extrachain stream receipt v1\0');

export function makeReceipt(device: Signer, one: Omit<Receipt, 'to' | 'signed'>): Receipt {
  const body = encodeStrict([
    1,
    Buffer.from(one.streamId, 'hex'),
    deviceKeyOf(one.from),
    device.publicKey,
    one.bytes,
    one.parts,
    one.time,
  ]);
  const signed = encodeStrict([body, device.sign(Buffer.concat([receiptContext, body]))]);
  return { ...one, to: deviceIdOf(device.publicKey), signed };
}

/** @throws AppError `malformed`, `too_large`, `bad_signature` */
export function readReceipt(signed: Uint8Array): Receipt {
  const what = 'stream receipt';
  const outer = decodeStrict(signed, maxReceiptBytes, what);
  if (!Array.isArray(outer) || outer.length !== 2) throw malformed(what, 'not a signed record');
  const [body, sig] = outer as unknown[];
  if (!(body instanceof Uint8Array) || !(sig instanceof Uint8Array))
    throw malformed(what, 'not a signed record');
  const value = decodeStrict(body, maxReceiptBytes, what);
  if (!Array.isArray(value) || value.length !== 7) throw malformed(what, 'its fields are not those expected');
  const [v, stream, from, to, bytes, parts, time] = value as unknown[];
  const key = (one: unknown): one is Uint8Array => one instanceof Uint8Array && one.length === 32;
  if (v !== 1 || !key(stream) || !key(from) || !key(to) || !isSigningKey(from) || !isSigningKey(to))
    throw malformed(what, 'a key is not valid');
  for (const one of [bytes, parts, time])
    if (!Number.isSafeInteger(one) || (one as number) < 0) throw malformed(what, 'a number is out of range');
  if (!verifySignature(to, Buffer.concat([receiptContext, body]), sig))
    throw new AppError('bad_signature', 'A receipt was not signed by who received.');
  return {
    streamId: Buffer.from(stream).toString('hex'),
    from: deviceIdOf(from),
    to: deviceIdOf(to),
    bytes: bytes as number,
    parts: parts as number,
    time: time as number,
    signed: new Uint8Array(signed),
  };
}
