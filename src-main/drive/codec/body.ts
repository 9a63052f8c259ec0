import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import { byteList, concat, decodeCbor, encodeCbor, itemsOf, malformed } from './bytes.ts';

/** Our writers cut a batch here; one larger operation still makes one body of its own. */
export const targetBodyBytes = 512 * 1024;
/** Operations a body may hold: an entry is applied in one transaction and must not hold up the event loop. */
const maxOpsPerBody = 1024;
/** Operations our own writers put into one body. */
export const targetOpsPerBody = 200;
const maxPlainBytes = 2 * 1024 * 1024;
const nonceBytes = 12;
const tagBytes = 16;
const prefix = Buffer.from('extrachain body v1\0', 'latin1');

/** What a sealed body is bound to: it opens under no other drive, writer, epoch or list of operations. */
export interface BodyBinding {
  readonly drive: Uint8Array;
  readonly writer: Uint8Array;
  readonly keyEpoch: Uint8Array;
  readonly opsRoot: Uint8Array;
}

function aad(binding: BodyBinding): Uint8Array {
  return concat(prefix, binding.drive, binding.writer, binding.keyEpoch, binding.opsRoot);
}

/**
 * AES-256-GCM (NIST SP 800-38D): nonce, ciphertext, tag.
 * @param key 32 bytes
 * @param nonce 12 random bytes
 */
export function sealBytes(
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  binding: BodyBinding,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(aad(binding));
  return concat(nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

/** Opens what `sealBytes` made; null when key, binding or bytes do not fit together. */
export function openBytes(key: Uint8Array, sealed: Uint8Array, binding: BodyBinding): Uint8Array | null {
  if (sealed.length < nonceBytes + tagBytes) return null;
  const end = sealed.length - tagBytes;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(aad(binding));
  decipher.setAuthTag(sealed.subarray(end));
  try {
    const plain = decipher.update(sealed.subarray(nonceBytes, end));
    decipher.final();
    return new Uint8Array(plain);
  } catch {
    return null;
  }
}

/** A body before sealing: its salt (32 bytes, the operations' salts derive from it) and the encoded operations. */
export interface PlainBody {
  readonly salt: Uint8Array;
  readonly ops: readonly Uint8Array[];
}

export function encodeBody(body: PlainBody): Uint8Array {
  return encodeCbor([1, body.salt, body.ops]);
}

/** @throws AppError `too_large`, `malformed` */
export function decodeBody(bytes: Uint8Array): PlainBody {
  const what = 'body of an entry';
  const items = itemsOf(decodeCbor(bytes, maxPlainBytes, what), 3, what);
  if (items.any(0) !== 1) throw malformed(what, 'its version is unknown');
  const list = items.list(2, maxOpsPerBody);
  const ops = list.map((op) => {
    if (!(op instanceof Uint8Array)) throw malformed(what, 'an operation is no byte string');
    return op;
  });
  if (ops.length === 0) throw malformed(what, 'it is empty');
  return { salt: byteList([items.any(1)], 32, what)[0] as Uint8Array, ops };
}

/**
 * Splits encoded operations into bodies.
 * @param first bytes already used in the first body (the writer certificate)
 * @throws AppError `too_large` when one operation fits into no body
 */
export function splitOps(sizes: readonly number[], first: number): readonly { start: number; end: number }[] {
  const limit = maxPlainBytes - 64 * 1024;
  const parts: { start: number; end: number }[] = [];
  let start = 0;
  let bytes = first;
  sizes.forEach((size, i) => {
    if (size + first > limit) {
      throw new AppError('too_large', 'The description of this file is too large for the history.');
    }
    if (i > start && (bytes + size > targetBodyBytes || i - start >= targetOpsPerBody)) {
      parts.push({ start, end: i });
      start = i;
      bytes = 0;
    }
    bytes += size;
  });
  if (sizes.length > start) parts.push({ start, end: sizes.length });
  return parts;
}
