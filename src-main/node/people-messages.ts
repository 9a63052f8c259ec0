import { decode, encode } from '@ipld/dag-cbor';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { parseUserId } from '../identity/index.ts';
import type { NameGiven } from './people.ts';

/** Names in one frame at most. */
export const namesPerFrame = 256;
export const maxNamesFrame = 128 * 1024;
const mostNameLength = 64;
/** Until the year 9999. */
const latest = 253_402_300_799_999;

/** `/extrachain/people/1`: frames of names between computers of one person: `['names', [[user, name or null, time]...]]`. */
export function encodeNames(names: readonly NameGiven[]): Uint8Array {
  return encode(['names', names.map(({ user, name, time }) => [user, name, time])]);
}

/** @throws AppError `malformed`, `too_large` */
export function decodeNames(frame: Uint8Array): readonly NameGiven[] {
  if (frame.length > maxNamesFrame) throw new AppError('too_large', 'A list of names is too large.');
  let value: unknown;
  try {
    value = decode(frame);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value) || value.length !== 2 || value[0] !== 'names') throw malformed();
  const list = (value as unknown[])[1];
  if (!Array.isArray(list) || list.length > namesPerFrame) throw malformed();
  return (list as unknown[]).map(nameGiven);
}

function nameGiven(value: unknown): NameGiven {
  if (!Array.isArray(value) || value.length !== 3) throw malformed();
  const [user, name, time] = value as unknown[];
  if (typeof user !== 'string' || user.length > 100) throw malformed();
  try {
    parseUserId(user);
  } catch (cause) {
    throw isAppError(cause) ? malformed(cause) : cause;
  }
  const isName = typeof name === 'string' && name.length > 0 && name.length <= mostNameLength;
  if (name !== null && !isName) throw malformed();
  if (typeof time !== 'number' || !Number.isSafeInteger(time) || time < 0 || time > latest) throw malformed();
  return { user, name, time };
}

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A list of names cannot be read.', { cause });
}
