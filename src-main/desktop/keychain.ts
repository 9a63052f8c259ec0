import { AppError } from '../../src-shared/errors.ts';
import type { KeyProtector } from '../identity/index.ts';
import type { ElectronParts } from './electron-parts.ts';

type SafeStorage = Pick<
  ElectronParts['safeStorage'],
  'isAsyncEncryptionAvailable' | 'getSelectedStorageBackend' | 'encryptStringAsync' | 'decryptStringAsync'
>;

/**
 * The system's keychain as the guard of the keystore's master key.
 * @returns null where there is none. Linux without a keyring counts as that: Electron would then "encrypt" under a key that
 *   stands in its source code.
 */
export async function createKeychain(
  safeStorage: SafeStorage,
  platform: NodeJS.Platform,
): Promise<KeyProtector | null> {
  if (platform === 'linux') {
    const backend = safeStorage.getSelectedStorageBackend();
    if (backend === 'basic_text' || backend === 'unknown') return null;
  }
  if (!(await safeStorage.isAsyncEncryptionAvailable().catch(() => false))) return null;
  let outdated = false;
  return {
    kind: 'keychain',
    async wrap(masterKey) {
      const text = Buffer.from(masterKey).toString('base64');
      const sealed = await safeStorage.encryptStringAsync(text).catch(refused);
      return { sealed: sealed.toString('base64') };
    },
    async unwrap({ sealed }) {
      if (typeof sealed !== 'string') throw new AppError('corrupt', 'The keystore file is damaged.');
      const { result, shouldReEncrypt } = await safeStorage
        .decryptStringAsync(Buffer.from(sealed, 'base64'))
        .catch(refused);
      outdated = shouldReEncrypt;
      const masterKey = new Uint8Array(Buffer.from(result, 'base64'));
      if (masterKey.length !== 32) throw new AppError('corrupt', 'The keystore file is damaged.');
      return masterKey;
    },
    outdated: () => outdated,
  };
}

function refused(cause: unknown): never {
  throw new AppError(
    'permission_denied',
    "The system's keychain did not open the keystore. Unlock it, or restore from your recovery phrase.",
    { cause },
  );
}
