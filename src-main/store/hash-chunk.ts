import { hash, webcrypto } from 'node:crypto';

/** From here on hashing is left to another thread. Bytes. */
const largeChunk = 256 * 1024;

/** SHA-256, 32 bytes. Bytes in shared memory are copied first, as WebCrypto does not take them. */
export async function hashChunk(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.length < largeChunk) return hash('sha256', bytes, 'buffer');
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes);
  return new Uint8Array(await webcrypto.subtle.digest('SHA-256', own as Uint8Array<ArrayBuffer>));
}
