import type { Ed25519PrivateKey } from '@libp2p/interface';
import type { Clock, Events, Logger, RandomBytes } from '../../src-shared/runtime.ts';
import type { KeystoreFiles } from './keystore-files.ts';
import type { KeyProtector, ScryptCost } from './keystore-protection.ts';
import type { Inviter, Joiner } from './linking.ts';
import type {
  ActorCard,
  ActorInfo,
  DeviceCertificate,
  DeviceId,
  DeviceInfo,
  IdentityEvents,
  IdentityStatus,
  JoinInfo,
  Signer,
  UserId,
} from './types.ts';

export interface IdentityDeps {
  /** Folder of `keystore.json`, or the files themselves. */
  readonly files: string | KeystoreFiles;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** What this computer is called in its certificate; a host name will do. */
  readonly deviceName: string;
  /** The system's keychain, on the desktop. */
  readonly keychain?: KeyProtector;
  readonly scryptCost?: ScryptCost;
  readonly log?: Logger;
}

/** The new computer's side of a link in progress. */
export interface JoinSession extends Pick<Joiner, 'join' | 'handleAnswer'> {
  /** Checks and stores what the approval grants. Throws `bad_signature`, `malformed`, `too_large`, `already_exists`. */
  accept(approval: Uint8Array): Promise<void>;
}

/**
 * Who this node is: its device key (from the first start on), its user's actors and cards, and every secret of theirs.
 * Secrets never leave except where a method says so. Methods that need secrets throw `keystore_locked` while locked;
 * those about a user throw `no_identity` before one was created, restored or linked. `user` defaults to the actor in use.
 */
export interface Identity extends Events<IdentityEvents> {
  /** Opens the keystore, or makes it at the first start. Without its password the identity stays locked. */
  start(options?: { readonly password?: string | null }): Promise<void>;
  /** Wipes every secret; ends open invites. */
  stop(): Promise<void>;
  /** Throws `wrong_password`. */
  unlock(password: string): Promise<void>;
  /** Wipes every secret. Throws `not_allowed` when there is no password to come back with. */
  lock(): Promise<void>;
  /** Sets, replaces or (null) removes the password; `current` is needed when there is one. Throws `wrong_password`. */
  changePassword(next: string | null, current?: string): Promise<void>;
  /** For acts that ask for it again; without a password there is nothing to check. Throws `wrong_password`. */
  checkPassword(password: string): Promise<void>;
  status(): IdentityStatus;

  readonly deviceId: DeviceId;
  /** Signs with the device key. */
  readonly deviceSigner: Signer;
  /** The device key for libp2p, which keeps it: stop the network when locking. */
  devicePrivateKey(): Promise<Ed25519PrivateKey>;
  /** 32 bytes that only this device can derive, one per purpose (e.g. `writer <nonce>`): HKDF-SHA-256 of the device key. */
  deviceSecret(purpose: string): Uint8Array;
  /**
   * 32 bytes that all computers of a user derive alike, and nobody else: one for every app and purpose. The caller wipes them.
   * HKDF-SHA-256 of the user's encryption secret number 0, which linked computers have and the phrase brings back.
   * Throws `key_missing` on a linked computer that was not given it yet.
   */
  appSecret(appId: string, purpose: string, user?: UserId): Uint8Array;

  /** Makes a new phrase and its first actor. Throws `already_exists`. */
  create(options?: { readonly words?: 12 | 24 }): Promise<UserId>;
  /** From a phrase. The card found for the user afterwards goes to `acceptCard`. Throws `phrase_invalid`, `already_exists`. */
  restore(phrase: string): Promise<UserId>;
  /** The recovery phrase in clear. Throws `not_allowed` on a linked device, which has none. */
  backupPhrase(): string;

  /** The actor in use; null before there is one. */
  userId(): UserId | null;
  /** Works while locked. */
  card(user?: UserId): ActorCard;
  /** Signs ledger transactions with the actor's root key, whose hash is the account. Throws `not_allowed` on a linked device. */
  accountSigner(user?: UserId): Signer;
  /** This device's certificate. Throws `forbidden` when the device was revoked. */
  certificate(user?: UserId): DeviceCertificate;
  actors(): readonly ActorInfo[];
  /** The phrase's next actor. Throws `already_exists` for a name in use, `not_allowed` on a linked device. */
  addActor(name: string): UserId;
  /** Throws `not_found`. */
  useActor(name: string): UserId;

  /** Opens a box made with `wrapFor` for any encryption key the user has or had. Null when it is for someone else. */
  tryUnwrap(box: Uint8Array, user?: UserId): Uint8Array | null;
  /** As `tryUnwrap`; throws `key_missing` instead. */
  unwrap(box: Uint8Array, user?: UserId): Uint8Array;

  devices(): readonly DeviceInfo[];
  /** Publishes a card without the device and with a new encryption key. Throws `device_unknown`, `not_allowed`. */
  revokeDevice(device: DeviceId): void;
  /** Certifies a device anew under another name. Throws `device_unknown`, `invalid_argument`; `not_allowed` without the phrase. */
  renameDevice(device: DeviceId, name: string): void;
  /**
   * Takes a card found on the network. A card of an own actor is kept when newer; where the phrase is, it is merged with
   * changes made here (and signed anew). True when the own card changed. Throws `bad_signature`.
   */
  acceptCard(card: ActorCard): boolean;
  /** Card and encryption secrets for another device of the user, to send over its own stream. Throws `forbidden`. */
  keysFor(device: DeviceId): Uint8Array;
  /** On a linked device: takes what `keysFor` made. True when anything was new. Throws `forbidden`, `malformed`. */
  acceptKeys(bytes: Uint8Array, from: DeviceId): boolean;

  /** Linking, on the computer that has the phrase (see linking.ts). */
  invite(): Promise<{ readonly code: string; readonly expiresAt: number }>;
  handleJoin: Inviter['handleJoin'];
  joinRequests(): readonly JoinInfo[];
  /** Certifies the computer waiting on a code. Throws `code_invalid`, `not_found`, `not_allowed`. */
  approve(code: string): JoinInfo;
  cancelInvite(code: string): void;
  /** Linking, on the new computer. `inviter` is who the transport says is at the other end. */
  join(options: {
    readonly code: string;
    readonly inviter: DeviceId;
    readonly name?: string;
  }): Promise<JoinSession>;
}
