import { decode, encode } from '@ipld/dag-cbor';
import { AppError, isErrorCode } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';

/**
 * `/extrachain/invite/1` and `/extrachain/open/1`: who opens the stream says what it is about (`hello`), gets a random number, answers
 * with a proof made for it, and is told `yes` or an error code. Whether there is such a drive is said to nobody without proof.
 */
export type SharingMessage =
  /** `ref`: the invitation, 32 hex characters; '' with `open`. */
  | { readonly t: 'hello'; readonly drive: string; readonly ref: string }
  | { readonly t: 'nonce'; readonly nonce: Uint8Array }
  /** `card`: the actor card of who asks to come in; empty with `open`. */
  | { readonly t: 'proof'; readonly proof: Uint8Array; readonly card: Uint8Array }
  | { readonly t: 'yes' }
  | { readonly t: 'no'; readonly code: ErrorCode };

export const maxSharingFrame = 64 * 1024;

export function encodeSharing(message: SharingMessage): Uint8Array {
  switch (message.t) {
    case 'hello':
      return encode(['hello', message.drive, message.ref]);
    case 'nonce':
      return encode(['nonce', message.nonce]);
    case 'proof':
      return encode(['proof', message.proof, message.card]);
    case 'yes':
      return encode(['yes']);
    case 'no':
      return encode(['no', message.code]);
  }
}

/** @throws AppError `malformed`, `too_large` */
export function decodeSharing(frame: Uint8Array): SharingMessage {
  if (frame.length > maxSharingFrame) throw new AppError('too_large', 'A message about a link is too large.');
  let value: unknown;
  try {
    value = decode(frame);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value)) throw malformed();
  const [kind, first, second] = value as unknown[];
  const fields = value.length;
  if (kind === 'hello' && fields === 3) {
    return { t: 'hello', drive: text(first, /^b[a-z2-7]{40,100}$/), ref: text(second, /^([0-9a-f]{32})?$/) };
  }
  if (kind === 'nonce' && fields === 2) return { t: 'nonce', nonce: bytes(first, 32, 32) };
  if (kind === 'proof' && fields === 3) {
    return { t: 'proof', proof: bytes(first, 1, 64), card: bytes(second, 0, maxSharingFrame) };
  }
  if (kind === 'yes' && fields === 1) return { t: 'yes' };
  if (kind === 'no' && fields === 2 && isErrorCode(first)) return { t: 'no', code: first };
  throw malformed();
}

function text(value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw malformed();
  return value;
}

function bytes(value: unknown, min: number, max: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length < min || value.length > max) throw malformed();
  return value;
}

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A message about a link cannot be read.', { cause });
}
