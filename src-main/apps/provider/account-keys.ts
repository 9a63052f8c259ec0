import type { AppAccount } from '../../../src-shared/apps/methods/index.ts';
import { createSigner, encryptionKeyOf, userIdOf, type Signer } from '../../identity/index.ts';
import type { AppNode } from './types.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Lends the key that signs for a person in one app. */
export function withAppSigner<T>(node: AppNode, appId: string, use: (signer: Signer) => T): T {
  const seed = node.appSecret(appId, 'sign');
  const signer = createSigner(seed);
  seed.fill(0);
  try {
    return use(signer);
  } finally {
    signer.forget();
  }
}

/** The account that an app knows a person by: nobody can tell whose it is, and no two apps know the same. */
export function appAccount(node: AppNode, appId: string): AppAccount {
  const secret = node.appSecret(appId, 'encrypt');
  const encKey = encryptionKeyOf(secret);
  secret.fill(0);
  return withAppSigner(node, appId, ({ publicKey }) => ({
    address: userIdOf(publicKey),
    kind: 'app',
    signKey: hex(publicKey),
    encKey: hex(encKey),
  }));
}
