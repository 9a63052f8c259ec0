import { time } from '../../contract/common.ts';
import { z } from '../../contract/zod.ts';
import { inlineBytes, method, nothing } from './frame.ts';

const key = z.string().regex(/^[0-9a-f]{64}$/);
const which = z.enum(['app', 'user']).default('app');

/** Who the person is for this app. */
export const appAccount = z.object({
  /** `exc1…`. */
  address: z.string(),
  /** `app`: known to this app alone; `user`: the real identity, there with `identity.shared`. */
  kind: z.enum(['app', 'user']),
  /** Ed25519, hex. */
  signKey: key,
  /** X25519, hex: give it to others, who encrypt for it. */
  encKey: key,
});
export type AppAccount = z.infer<typeof appAccount>;

const signed = z.object({
  /** Ed25519 over `"extrachain app message v1\0"`, the app id, a zero byte and the message; base64url. */
  signature: inlineBytes,
  signKey: key,
  address: z.string(),
});

/** Who the person is, what they sign, and what is encrypted for them. */
export const accountMethods = {
  exc_accounts: method([], nothing, z.object({ accounts: z.array(appAccount) })),
  /**
   * Signs in, in the layout of EIP-4361. The host fills in domain, URI, address, chain and time; the person is asked each time.
   * With `user` the real identity signs, which needs `identity.shared`.
   */
  exc_signIn: method(
    [],
    z.object({
      /** One line. */
      statement: z
        .string()
        .max(300)
        .regex(/^[\x20-\x7e]*$/)
        .optional(),
      nonce: z.string().regex(/^[A-Za-z0-9]{8,96}$/),
      expirationTime: time.optional(),
      notBefore: time.optional(),
      requestId: z
        .string()
        .max(96)
        .regex(/^[A-Za-z0-9._~!$&'()*+,;=:@%-]*$/)
        .optional(),
      resources: z
        .array(
          z
            .url()
            .max(500)
            .regex(/^[\x21-\x7e]+$/),
        )
        .max(10)
        .default([]),
      account: which,
    }),
    signed.extend({ message: z.string() }),
  ),
  /** Signs bytes with the app's own account: nothing that counts outside of this app. */
  exc_signMessage: method([], z.object({ message: inlineBytes }), signed),
  /** Encrypts for a user id, or for an encryption key that `exc_accounts` gave elsewhere. Opened by the same app only. */
  exc_encrypt: method(
    [],
    z.object({ to: z.string().min(1).max(128), bytes: inlineBytes }),
    z.object({ box: z.string() }),
  ),
  /** Opens a box made for the app's account, or for the real one with `identity.shared`. */
  exc_decrypt: method(
    [],
    z.object({ box: z.string().min(1).max(400_000) }),
    z.object({ bytes: inlineBytes }),
  ),
};
