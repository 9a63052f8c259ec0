import { createSigner, verifySignature } from '../../identity/index.ts';
import type { Signer } from '../../identity/index.ts';
import { concat, encodeCbor, hex, sha256 } from '../codec/bytes.ts';

/** Bytes of the secret an invitation's link carries: 128 random bits. */
export const inviteSecretBytes = 16;
const domain = Buffer.from('extrachain invite claim v1\0', 'latin1');

/** Whom a claim lets in, and the conversation it was made for: it is good for nobody and nothing else. */
export interface InviteClaim {
  /** Hash of the genesis entry. */
  readonly drive: Uint8Array;
  readonly user: string;
  /** The device that claims and the one that asks for the proof. */
  readonly device: string;
  readonly verifier: string;
  /** 32 random bytes of the verifier. */
  readonly nonce: Uint8Array;
}

/**
 * The key pair behind an invitation. Members know its public half only: reading the drive's history does not let them pass
 * for somebody who has the link.
 */
export function inviteSigner(secret: Uint8Array): Signer {
  return createSigner(sha256('extrachain invite v1\0', secret));
}

/** Names an invitation to those who have its link and to members: 32 hex characters. */
export function inviteRefOf(key: Uint8Array): string {
  return hex(sha256('extrachain invite ref v1\0', key)).slice(0, 32);
}

function claimBytes(claim: InviteClaim): Uint8Array {
  const { drive, user, device, verifier, nonce } = claim;
  return concat(domain, encodeCbor([drive, user, device, verifier, nonce]));
}

/** Proves knowledge of an invitation's secret; 64 bytes. */
export function signClaim(secret: Uint8Array, claim: InviteClaim): Uint8Array {
  return inviteSigner(secret).sign(claimBytes(claim));
}

/** @param key the invitation's public key */
export function verifyClaim(key: Uint8Array, claim: InviteClaim, signature: Uint8Array): boolean {
  return signature.length === 64 && verifySignature(key, claimBytes(claim), signature);
}
