import { fromBase64url, toBase64url } from './bytes.ts';
import type { Bytes } from './bytes.ts';
import type { Transport } from './transport.ts';

/** Signing with the app's own account, and encrypting for people. Keys never reach the page. */
export interface Crypto {
  /**
   * @param message up to 256 KiB
   * @returns Ed25519, 64 bytes, over `"extrachain app message v1\0"`, the app id, a zero byte and the message
   */
  sign(message: Bytes): Promise<{ signature: Uint8Array; signKey: string; address: string }>;
  /**
   * Encrypts for one person; the same app on their computer opens it.
   * @param to a user id, or the `encKey` of an account
   */
  encrypt(to: string, content: Bytes): Promise<string>;
  /** @throws AppRequestError with `key_missing` when it is for somebody else or another app */
  decrypt(box: string): Promise<Uint8Array>;
}

export function createCrypto({ request }: Transport): Crypto {
  return {
    async sign(message) {
      const { signature, ...rest } = await request('exc_signMessage', { message: toBase64url(message) });
      return { signature: fromBase64url(signature), ...rest };
    },
    encrypt: async (to, content) => (await request('exc_encrypt', { to, bytes: toBase64url(content) })).box,
    decrypt: async (box) => fromBase64url((await request('exc_decrypt', { box })).bytes),
  };
}
