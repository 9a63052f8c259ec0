import type { Protection } from './keystore-protection.ts';

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

/** `none`: this computer has a device key but no user yet. `locked`: a password is needed, no secret is in memory. */
export type IdentityState = 'none' | 'locked' | 'open';

export interface IdentityStatus {
  readonly state: IdentityState;
  /** `none` is shown to people as "unprotected". */
  readonly protection: Protection;
  readonly deviceId: DeviceId;
  /** The actor in use. */
  readonly userId: UserId | null;
  /** Linked to another computer: it has a certificate and encryption keys, but neither phrase nor root key. */
  readonly linked: boolean;
  /** The newest card known no longer certifies this device. */
  readonly revoked: boolean;
  /** A linked device lacks the newest encryption key; some other device of the user must hand it over (`keysFor`). */
  readonly keysMissing: boolean;
}

export interface ActorInfo {
  readonly name: string;
  readonly userId: UserId;
  readonly inUse: boolean;
}

export interface DeviceInfo {
  readonly deviceId: DeviceId;
  /** '' of a revoked device. */
  readonly name: string;
  /** ms since the epoch; null for a revoked device. */
  readonly linkedAt: number | null;
  readonly revokedAt: number | null;
  readonly thisDevice: boolean;
}

export type IdentityEvents = {
  /** Something in `status()` changed. */
  status: IdentityStatus;
  /** An own card is new: publish it. */
  card: ActorCard;
  /** A computer asks to be linked. */
  joinRequest: JoinInfo;
};

/** A computer that knows an invite's code and waits for approval. */
export interface JoinInfo {
  readonly code: string;
  readonly deviceId: DeviceId;
  readonly name: string;
  /** Six digits, the same on both screens. */
  readonly digits: string;
  readonly approved: boolean;
}
