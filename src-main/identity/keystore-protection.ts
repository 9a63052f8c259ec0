import { scrypt } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../../src-shared/errors.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import type { KeystoreFiles } from './keystore-files.ts';
import { aesGcmOpen, aesGcmSeal, wipe } from './primitives.ts';

/** What the keystore file says about how its master key is wrapped: plain JSON, made and read by one protector. */
export type WrapRecord = Readonly<Record<string, string | number>>;

/**
 * Wraps the keystore's random master key. The daemon has the two below; the desktop hands in one on the system's
 * keychain.
 */
export interface KeyProtector {
  /** Stands in the file, so that the right protector is asked next time. */
  readonly kind: Protection;
  wrap(masterKey: Uint8Array): Promise<WrapRecord>;
  /** The master key; the caller wipes it. Throws `wrong_password`, `corrupt`, `permission_denied`. */
  unwrap(record: WrapRecord): Promise<Uint8Array>;
  /** What was unwrapped last should be wrapped anew: the system changed its own key. */
  outdated?(): boolean;
}
/** `none`: whoever can read the data folder has the keys; shown to the user as "unprotected". */
export type Protection = 'password' | 'keychain' | 'none';

export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}
/** 64 MiB and about 0.4 s: one of the settings OWASP lists as equal (2023), the one with half the memory of the first. */
const defaultScryptCost: ScryptCost = { n: 2 ** 16, r: 8, p: 2 };

const base64Bytes = (length: number) =>
  z.base64().transform((text, context) => {
    const bytes = new Uint8Array(Buffer.from(text, 'base64'));
    if (bytes.length !== length) context.addIssue('wrong length');
    return bytes;
  });
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

const passwordRecord = z.strictObject({
  // Bounds: a forged file must not make us take gigabytes or hours.
  n: z
    .number()
    .int()
    .min(2)
    .max(2 ** 18)
    .refine((n) => (n & (n - 1)) === 0),
  r: z.number().int().min(1).max(8),
  p: z.number().int().min(1).max(16),
  salt: base64Bytes(32),
  nonce: base64Bytes(12),
  key: base64Bytes(48),
});

/**
 * scrypt (RFC 7914) and AES-256-GCM under a password.
 * @param password compared in Unicode form NFKC; `wrap` refuses an empty one and more than 1024 bytes
 */
export function passwordProtector(
  password: string,
  deps: { readonly random: RandomBytes; readonly cost?: ScryptCost },
): KeyProtector {
  const secret = Buffer.from(password.normalize('NFKC'));
  const derive = ({ n, r, p }: ScryptCost, salt: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      scrypt(secret, salt, 32, { N: n, r, p, maxmem: 256 * n * r }, (error, key) =>
        error ? reject(error) : resolve(key),
      );
    });
  return {
    kind: 'password',
    async wrap(masterKey) {
      if (secret.length === 0 || secret.length > 1024) {
        throw new AppError('invalid_argument', 'A password has 1 to 1024 characters.');
      }
      const cost = deps.cost ?? defaultScryptCost;
      const salt = deps.random(32);
      const nonce = deps.random(12);
      const wrapping = await derive(cost, salt);
      const key = aesGcmSeal(wrapping, nonce, masterKey);
      wipe(wrapping);
      return { ...cost, salt: base64(salt), nonce: base64(nonce), key: base64(key) };
    },
    async unwrap(record) {
      const { salt, nonce, key, ...cost } = parseRecord(passwordRecord, record);
      const wrapping = await derive(cost, salt);
      const masterKey = aesGcmOpen(wrapping, nonce, key);
      wipe(wrapping);
      if (!masterKey) throw new AppError('wrong_password', 'The password is wrong.');
      return masterKey;
    },
  };
}

const keyFile = 'keystore.key';
const keyFileRecord = z.strictObject({ nonce: base64Bytes(12), key: base64Bytes(48) });

/** No password: the wrapping key lies in `keystore.key` beside the keystore, readable by the owner only. */
export function keyFileProtector(deps: {
  readonly files: KeystoreFiles;
  readonly random: RandomBytes;
}): KeyProtector {
  const { files, random } = deps;
  return {
    kind: 'none',
    async wrap(masterKey) {
      // An existing key is kept: some older copy of the keystore may still need it.
      let wrapping = files.read(keyFile, 1024);
      if (wrapping && wrapping.length !== 32)
        throw new AppError('corrupt', `The file ${keyFile} is damaged.`);
      if (!wrapping) files.write(keyFile, (wrapping = random(32)));
      const nonce = random(12);
      const key = aesGcmSeal(wrapping, nonce, masterKey);
      wipe(wrapping);
      return { nonce: base64(nonce), key: base64(key) };
    },
    async unwrap(record) {
      const { nonce, key } = parseRecord(keyFileRecord, record);
      const wrapping = files.read(keyFile, 1024);
      if (!wrapping)
        throw new AppError('corrupt', `The file ${keyFile} is missing; the keystore cannot be opened.`);
      const masterKey = wrapping.length === 32 ? aesGcmOpen(wrapping, nonce, key) : null;
      wipe(wrapping);
      if (!masterKey)
        throw new AppError('corrupt', `The file ${keyFile} is damaged or belongs to another keystore.`);
      return masterKey;
    },
  };
}

/** Removes the key file once nothing is wrapped with it any more. */
export function removeKeyFile(files: KeystoreFiles): void {
  files.remove(keyFile);
}

function parseRecord<T>(schema: z.ZodType<T>, record: WrapRecord): T {
  const parsed = schema.safeParse(record);
  if (parsed.success) return parsed.data;
  throw new AppError('corrupt', 'The keystore file is damaged.');
}
