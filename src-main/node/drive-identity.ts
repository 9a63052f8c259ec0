import type { DriveIdentity } from '../drive/index.ts';
import { tryUnwrap } from '../identity/index.ts';
import type { Identity, UserId } from '../identity/index.ts';

/**
 * The actor and this device as a drive needs them.
 * @param secret opens boxes made for readers without a role; null: there is none
 */
export function driveIdentity(identity: Identity, user: UserId, secret: Uint8Array | null): DriveIdentity {
  return {
    userId: user,
    device: identity.deviceSigner,
    certificate: identity.certificate(user),
    // Asked for each time: revoking a device replaces it, and a new epoch must not be boxed for the old one.
    get encKey() {
      return identity.card(user).encKey;
    },
    unwrap: (box) => identity.tryUnwrap(box, user) ?? (secret && tryUnwrap(secret, box)),
  };
}
