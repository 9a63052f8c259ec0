import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, fstatSync } from 'node:fs';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { AppError } from '../../src-shared/errors.ts';

/** Where the keystore lives. Small files, so all of it is synchronous; tests hand in a map. */
export interface KeystoreFiles {
  /** The file's bytes, null when there is none. Throws `corrupt` when it is larger than `maxBytes`. */
  read(name: string, maxBytes: number): Uint8Array | null;
  /** Replaces the file whole or not at all, readable by the owner only, on the disk when it returns. */
  write(name: string, bytes: Uint8Array): void;
  /** Removes it if it is there. */
  remove(name: string): void;
}

/** Keystore files in a folder (made with mode 0700). */
export function createKeystoreFiles(folder: string): KeystoreFiles {
  const failed = (cause: unknown, what: string): AppError => {
    if (cause instanceof AppError) return cause;
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new AppError('disk_full', `The disk is full; ${what}.`, { cause });
    }
    const denied = ['EACCES', 'EPERM', 'EROFS'].includes(code);
    return new AppError(denied ? 'permission_denied' : 'internal', `The folder ${folder}: ${what}.`, {
      cause,
    });
  };

  return {
    read(name, maxBytes) {
      let fd: number;
      try {
        fd = openSync(join(folder, name), 'r');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw failed(error, `${name} cannot be read`);
      }
      try {
        if (fstatSync(fd).size > maxBytes)
          throw new AppError('corrupt', `The file ${name} is too large to be ours.`);
        return new Uint8Array(readFileSync(fd));
      } catch (error) {
        throw failed(error, `${name} cannot be read`);
      } finally {
        closeSync(fd);
      }
    },
    write(name, bytes) {
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileAtomic.sync(join(folder, name), Buffer.from(bytes), { mode: 0o600, fsync: true });
        syncFolder(folder);
      } catch (error) {
        throw failed(error, `${name} cannot be written`);
      }
    },
    remove(name) {
      try {
        rmSync(join(folder, name), { force: true });
        syncFolder(folder);
      } catch (error) {
        throw failed(error, `${name} cannot be removed`);
      }
    },
  };
}

/** Makes a rename or removal survive a power cut; Windows neither needs nor allows it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
