/** bech32m, prefix `exc`, over SHA-256 of the actor's root signing key. */
export type UserId = string;
/** libp2p peer ID of a device (string form of its Ed25519 key). */
export type DeviceId = string;

/** Signs with one Ed25519 key; the secret stays inside. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes, RFC 8032 pure Ed25519. */
  sign(bytes: Uint8Array): Uint8Array;
}

/**
 * What makes a device key speak for a user: signed by the user's root key over the other fields. Carried inside actor
 * cards and writer certificates so that either can be checked offline.
 */
export interface DeviceCertificate {
  readonly v: 1;
  readonly user: UserId;
  /** The actor's root signing key, 32 bytes; its hash is `user`. */
  readonly rootKey: Uint8Array;
  /** The device's Ed25519 key, 32 bytes. */
  readonly deviceKey: Uint8Array;
  readonly name: string;
  /** ms since the epoch. */
  readonly issuedAt: number;
  readonly sig: Uint8Array;
}

/** The keys of an actor in use: numbered, signed by the root key; the highest number known wins. */
export interface ActorCard {
  readonly v: 1;
  readonly user: UserId;
  readonly rootKey: Uint8Array;
  /** Grows by one with each change. */
  readonly number: number;
  /** X25519 public key, 32 bytes, in use now; and how many times it was replaced. */
  readonly encKey: Uint8Array;
  readonly encKeyNumber: number;
  readonly devices: readonly DeviceCertificate[];
  /** Device keys that must not be believed any more, with the time of revocation. */
  readonly revoked: readonly { readonly deviceKey: Uint8Array; readonly at: number }[];
  readonly time: number;
  readonly sig: Uint8Array;
}
