import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { compareBytes, concat, hex, sha256, unhex } from './codec/bytes.ts';
import type { EpochId } from './types.ts';

/** 32 bytes of HKDF-SHA-256 (RFC 5869) with an empty salt; `info` names the purpose. */
function derive(key: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, new Uint8Array(), info, 32));
}

/** The key file blocks of an epoch are derived from. */
export const contentKeyOf = (epochKey: Uint8Array): Uint8Array => derive(epochKey, 'extrachain block v1');
/** The key entries' bodies are sealed with. */
export const bodyKeyOf = (epochKey: Uint8Array): Uint8Array => derive(epochKey, 'extrachain body v1');
/** What an entry that starts an epoch says of its key, so that a wrong key handed out by a member is noticed. */
export const keyCheckOf = (epochKey: Uint8Array): Uint8Array =>
  sha256('extrachain epoch check v1\0', epochKey);

/** The id of the merge of several concurrent epochs; of one epoch: itself. */
export function mergedEpochId(ids: readonly EpochId[]): EpochId {
  if (ids.length === 1) return ids[0] as EpochId;
  const sorted = [...ids].sort();
  return hex(sha256('extrachain epoch merge v1\0', ...sorted.map(unhex)));
}

/**
 * The key of the merge: HKDF over the keys in the order of their epochs' ids, so that who lacks one of them lacks it.
 */
export function mergedEpochKey(
  parts: readonly { readonly id: EpochId; readonly key: Uint8Array }[],
): Uint8Array {
  if (parts.length === 1) return (parts[0] as { key: Uint8Array }).key;
  const sorted = [...parts].sort((a, b) => compareBytes(unhex(a.id), unhex(b.id)));
  return derive(concat(...sorted.map((part) => part.key)), 'extrachain epoch merge v1');
}

const zeroNonce = new Uint8Array(12);

/** An older epoch's key sealed under a newer one. The derived key serves this once, hence the zero nonce. */
export function sealPreviousKey(newKey: Uint8Array, prevId: EpochId, prevKey: Uint8Array): Uint8Array {
  const cipher = createCipheriv(
    'aes-256-gcm',
    derive(newKey, `extrachain epoch link v1 ${prevId}`),
    zeroNonce,
  );
  return concat(cipher.update(prevKey), cipher.final(), cipher.getAuthTag());
}

/** Opens what `sealPreviousKey` made, or null. */
export function openPreviousKey(newKey: Uint8Array, prevId: EpochId, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length !== 48) return null;
  const key = derive(newKey, `extrachain epoch link v1 ${prevId}`);
  const decipher = createDecipheriv('aes-256-gcm', key, zeroNonce, { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(32));
  try {
    const plain = decipher.update(sealed.subarray(0, 32));
    decipher.final();
    return new Uint8Array(plain);
  } catch {
    return null;
  }
}
