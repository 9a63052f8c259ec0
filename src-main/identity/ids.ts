import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id';
import { bech32m } from '@scure/base';
import { AppError } from '../../src-shared/errors.ts';
import { sha256 } from './primitives.ts';
import { isSigningKey } from './signature.ts';
import type { DeviceId, UserId } from './types.ts';

const prefix = 'exc';

/** The user id of a root signing key (32 bytes): bech32m (BIP-350), prefix `exc`, over its SHA-256. */
export function userIdOf(rootKey: Uint8Array): UserId {
  return bech32m.encode(prefix, bech32m.toWords(sha256(rootKey)));
}

/**
 * Checks a user id that a person typed or a peer sent; surrounding space and capitals are forgiven.
 * @returns it in its one valid form
 * @throws AppError `invalid_argument` when it is none (its checksum finds typing mistakes)
 */
export function parseUserId(text: string): UserId {
  const decoded = text.length > 100 ? undefined : bech32m.decodeUnsafe(text.trim());
  const hash = decoded?.prefix === prefix ? bech32m.fromWordsUnsafe(decoded.words) : undefined;
  if (decoded && hash?.length === 32) return bech32m.encode(prefix, bech32m.toWords(Uint8Array.from(hash)));
  throw new AppError(
    'invalid_argument',
    'This is not a user ID; it starts with "exc1" and is 62 characters long.',
  );
}

/** The 32 bytes a user id stands for: what the ledger calls an account. @throws AppError `invalid_argument` */
export function hashOfUserId(user: UserId): Uint8Array {
  return Uint8Array.from(bech32m.fromWords(bech32m.decode(parseUserId(user) as `${string}1${string}`).words));
}

/** The user id of such 32 bytes. */
export function userIdOfHash(hash: Uint8Array): UserId {
  return bech32m.encode(prefix, bech32m.toWords(hash));
}

/** The libp2p peer id of a device key (32 bytes). Throws `invalid_argument` for what is no acceptable key. */
export function deviceIdOf(deviceKey: Uint8Array): DeviceId {
  if (!isSigningKey(deviceKey)) throw new AppError('invalid_argument', 'This is not a device key.');
  return peerIdFromPublicKey(
    publicKeyFromRaw(deviceKey) as Parameters<typeof peerIdFromPublicKey>[0],
  ).toString();
}

/**
 * The Ed25519 key inside a peer id, 32 bytes.
 * @throws AppError `invalid_argument` for anything else (other key types included)
 */
export function deviceKeyOf(deviceId: DeviceId): Uint8Array {
  let key: Uint8Array | null = null;
  try {
    const peer = peerIdFromString(deviceId);
    if (peer.type === 'Ed25519') key = peer.publicKey.raw;
  } catch {
    key = null;
  }
  if (key && isSigningKey(key)) return new Uint8Array(key);
  throw new AppError('invalid_argument', 'This is not a device ID; it starts with "12D3KooW".');
}
