import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../../src-shared/errors.ts';

/** `/extrachain/messages/1`: one message a frame, sealed for one person; answered by one byte. */
export const messageProtocol = 'messages/1';
/** JSON text of a message, bytes of UTF-8. */
export const maxMessageJson = 64 * 1024;
export const maxMessageFrame = maxMessageJson + 1024;

/** What travels: who may open it is said by `to`, who sent it by the device it came from. */
export interface SealedMessage {
  /** 16 random bytes. */
  readonly id: Uint8Array;
  readonly app: string;
  readonly from: string;
  readonly to: string;
  /** ms, the sender's clock. */
  readonly time: number;
  /** ECIES box for the receiver, of `messageBody`. */
  readonly box: Uint8Array;
}

export const encodeMessage = ({ id, app, from, to, time, box }: SealedMessage): Uint8Array =>
  encode([1, id, app, from, to, time, box]);

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A message of an app cannot be read.', { cause });
}

/** @throws AppError `malformed`, `too_large` */
export function decodeMessage(frame: Uint8Array): SealedMessage {
  if (frame.length > maxMessageFrame) throw new AppError('too_large', 'A message of an app is too large.');
  let value: unknown;
  try {
    value = decode(frame);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value) || value.length !== 7 || value[0] !== 1) throw malformed();
  const [, id, app, from, to, time, box] = value as unknown[];
  if (!(id instanceof Uint8Array) || id.length !== 16) throw malformed();
  if (typeof app !== 'string' || !/^[a-z2-7]{52}$/.test(app)) throw malformed();
  if (typeof from !== 'string' || typeof to !== 'string' || from.length > 128 || to.length > 128)
    throw malformed();
  if (typeof time !== 'number' || !Number.isSafeInteger(time) || time < 0) throw malformed();
  if (!(box instanceof Uint8Array)) throw malformed();
  return { id, app, from, to, time, box };
}

/** What the box holds: bound to who sent it, with which app and id, so that it can't be passed off as another message. */
export const messageBody = (
  { id, app, from, to }: Omit<SealedMessage, 'box' | 'time'>,
  json: string,
): Uint8Array => encode([id, app, from, to, json]);

/** @returns the JSON text; null when it was sealed for another message */
export function openBody(message: SealedMessage, body: Uint8Array): string | null {
  try {
    const [id, app, from, to, json] = decode<unknown[]>(body);
    const fits =
      id instanceof Uint8Array &&
      Buffer.compare(id, message.id) === 0 &&
      app === message.app &&
      from === message.from &&
      to === message.to;
    return fits && typeof json === 'string' && Buffer.byteLength(json) <= maxMessageJson ? json : null;
  } catch {
    return null;
  }
}
