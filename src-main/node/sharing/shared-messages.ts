import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../../src-shared/errors.ts';
import type { Drive } from '../../drive/index.ts';

type Role = NonNullable<ReturnType<Drive['ownRole']>>;

/** A drive that the asked device's user has a part in, as another device says. */
export interface SharedNotice {
  readonly driveId: string;
  readonly name: string;
  readonly role: Role;
}

/** Drives named in one message at most. */
export const mostNotices = 64;
export const maxSharedFrame = 64 * 1024;

const roles: readonly string[] = ['owner', 'manager', 'editor', 'reader'] satisfies Role[];
const mostNameBytes = 255;
// Control characters and what turns the reading direction: a name must not look like something else.
const unfit = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** `/extrachain/shared/1`: one frame, everything the sender shares with the other's user: `['shared', [[drive, name, role]...]]`. */
export function encodeShared(notices: readonly SharedNotice[]): Uint8Array {
  return encode(['shared', notices.map(({ driveId, name, role }) => [driveId, name, role])]);
}

/** @throws AppError `malformed`, `too_large` */
export function decodeShared(frame: Uint8Array): readonly SharedNotice[] {
  if (frame.length > maxSharedFrame) throw new AppError('too_large', 'A list of shared drives is too large.');
  let value: unknown;
  try {
    value = decode(frame);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value) || value.length !== 2 || value[0] !== 'shared') throw malformed();
  const list = (value as unknown[])[1];
  if (!Array.isArray(list) || list.length > mostNotices) throw malformed();
  return (list as unknown[]).map(notice);
}

function notice(value: unknown): SharedNotice {
  if (!Array.isArray(value) || value.length !== 3) throw malformed();
  const [driveId, name, role] = value as unknown[];
  if (typeof driveId !== 'string' || !/^b[a-z2-7]{40,100}$/.test(driveId)) throw malformed();
  if (typeof name !== 'string' || unfit.test(name) || Buffer.byteLength(name) > mostNameBytes)
    throw malformed();
  if (typeof role !== 'string' || !roles.includes(role)) throw malformed();
  return { driveId, name, role: role as Role };
}

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A list of shared drives cannot be read.', { cause });
}
