import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../../src-shared/errors.ts';
import type { Drive } from '../../drive/index.ts';

type Role = NonNullable<ReturnType<Drive['ownRole']>>;

/** A collection that the asked device's user has a part in, as another device says. */
export interface CollectionNotice {
  readonly driveId: string;
  /** Which app it belongs to. */
  readonly app: string;
  readonly name: string;
  readonly role: Role;
  /** Where copies of it are on computers of others: full multiaddrs. */
  readonly hosts: readonly string[];
}

/** Collections named in one message at most. */
export const mostNotices = 64;
/** Addresses of hosts of one collection at most, and bytes of one. */
export const mostHostAddresses = 6;
const maxAddress = 256;
export const maxNoticesFrame = 160 * 1024;

const roles: readonly string[] = ['owner', 'manager', 'editor', 'reader'] satisfies Role[];
// Control characters and what turns the reading direction: a name must not look like something else.
const unfit = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** `/extrachain/collections/2`: everything the sender's user shares with the other's: `['collections', [[drive, app, name, role, [host...]]...]]`. */
export function encodeNotices(notices: readonly CollectionNotice[]): Uint8Array {
  return encode([
    'collections',
    notices.map(({ driveId, app, name, role, hosts }) => [driveId, app, name, role, hosts]),
  ]);
}

/** @throws AppError `malformed`, `too_large` */
export function decodeNotices(frame: Uint8Array): readonly CollectionNotice[] {
  if (frame.length > maxNoticesFrame) {
    throw new AppError('too_large', 'A list of shared collections is too large.');
  }
  let value: unknown;
  try {
    value = decode(frame);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value) || value.length !== 2 || value[0] !== 'collections') throw malformed();
  const list = (value as unknown[])[1];
  if (!Array.isArray(list) || list.length > mostNotices) throw malformed();
  return (list as unknown[]).map(notice);
}

function notice(value: unknown): CollectionNotice {
  if (!Array.isArray(value) || value.length !== 5) throw malformed();
  const [driveId, app, name, role, hosts] = value as unknown[];
  if (typeof driveId !== 'string' || !/^b[a-z2-7]{40,100}$/.test(driveId)) throw malformed();
  if (typeof app !== 'string' || !/^[a-z2-7]{52}$/.test(app)) throw malformed();
  if (typeof name !== 'string' || unfit.test(name) || Buffer.byteLength(name) > 255) throw malformed();
  if (typeof role !== 'string' || !roles.includes(role)) throw malformed();
  if (!Array.isArray(hosts) || hosts.length > mostHostAddresses || !hosts.every(isAddress)) throw malformed();
  return { driveId, app, name, role: role as Role, hosts };
}

const isAddress = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= maxAddress && /^\/[\x21-\x7e]+$/.test(value);

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A list of shared collections cannot be read.', { cause });
}
