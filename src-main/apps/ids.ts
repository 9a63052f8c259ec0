import { createHash } from 'node:crypto';
import { base32 } from 'multiformats/bases/base32';
import { appIdPattern } from '../../src-shared/apps/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { userIdOfHash } from '../identity/index.ts';
import { appHash } from '../ledger/index.ts';

/**
 * The id of an app, from who publishes it and what it is called there.
 * @param publisher the 32 bytes of the user id
 */
export const appIdOf = (publisher: Uint8Array, slug: string): string =>
  base32.baseEncode(appHash(publisher, slug));

/** The 32 bytes by which the ledger knows it. @throws AppError `invalid_argument` */
export function hashOfAppId(id: string): Uint8Array {
  // The last letter holds one bit; with others set it is another writing of the same bytes.
  if (appIdPattern.test(id) && /[aq]$/.test(id)) return base32.baseDecode(id);
  throw new AppError('invalid_argument', 'That is no app id.');
}
/** The id for the 32 bytes of the ledger. */
export const appIdOfHash = (hash: Uint8Array): string => base32.baseEncode(hash);

/** Stands for the program itself as the publisher of what it ships: a hash that is no user's, so nobody can publish under those ids. */
export const shippedPublisher = userIdOfHash(
  createHash('sha256').update('extrachain shipped apps v1').digest(),
);
