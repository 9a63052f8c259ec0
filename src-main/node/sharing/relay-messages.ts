import { decode, encode } from '@ipld/dag-cbor';
import { AppError, errorCodes, type ErrorCode } from '../../../src-shared/errors.ts';

/** What a gateway asks of a computer that keeps a drive, on behalf of somebody who has its link. */
export type RelayRequest =
  | { readonly t: 'folder'; readonly drive: string; readonly node: string; readonly after: string }
  | { readonly t: 'file'; readonly drive: string; readonly node: string }
  | {
      readonly t: 'block';
      readonly drive: string;
      readonly node: string;
      readonly index: number;
      readonly id: string;
    };

/** The first frame of an answer: so many bytes follow, in frames of at most `relayPiece`; or why not. */
export type RelayAnswer =
  { readonly t: 'yes'; readonly bytes: number } | { readonly t: 'no'; readonly code: ErrorCode };

export const relayPiece = 256 * 1024;
/** A sealed block of 16 MiB with its padding is the largest. */
export const mostRelayed = 20 * 1024 * 1024;
const mostRequest = 2048;

export function encodeRelayRequest(request: RelayRequest): Uint8Array {
  const { t, drive, node } = request;
  if (t === 'folder') return encode([t, drive, node, request.after]);
  if (t === 'file') return encode([t, drive, node]);
  return encode([t, drive, node, request.index, request.id]);
}

/** @throws AppError `malformed`, `too_large` */
export function decodeRelayRequest(frame: Uint8Array): RelayRequest {
  const [t, drive, node, third, fourth] = items(frame);
  if (typeof drive !== 'string' || !/^b[a-z2-7]{40,100}$/.test(drive)) throw malformed();
  if (typeof node !== 'string' || !/^[0-9a-f]{32}$/.test(node)) throw malformed();
  if (t === 'file' && third === undefined) return { t, drive, node };
  if (t === 'folder' && typeof third === 'string' && Buffer.byteLength(third) <= 255 && fourth === undefined)
    return { t, drive, node, after: third };
  if (t !== 'block' || !isCount(third) || typeof fourth !== 'string' || !/^[0-9a-f]{64}$/.test(fourth))
    throw malformed();
  return { t, drive, node, index: third, id: fourth };
}

export function encodeRelayAnswer(answer: RelayAnswer): Uint8Array {
  return encode([answer.t, answer.t === 'yes' ? answer.bytes : answer.code]);
}

/** @throws AppError `malformed`, `too_large` */
export function decodeRelayAnswer(frame: Uint8Array): RelayAnswer {
  const [t, value, more] = items(frame);
  if (more !== undefined) throw malformed();
  if (t === 'yes' && isCount(value) && value <= mostRelayed) return { t, bytes: value };
  if (t === 'no' && (errorCodes as readonly unknown[]).includes(value))
    return { t, code: value as ErrorCode };
  throw malformed();
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function items(frame: Uint8Array): readonly unknown[] {
  if (frame.length > mostRequest)
    throw new AppError('too_large', 'A message between gateway and drive is too large.');
  let value: unknown;
  try {
    value = decode(frame);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value) || value.length > 5 || Buffer.compare(encode(value), frame) !== 0)
    throw malformed();
  return value as readonly unknown[];
}

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A message between gateway and drive cannot be read.', { cause });
}
