import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import type { WriterKeys } from '../drive/index.ts';
import type { Identity } from '../identity/index.ts';
import { migrate, type Database } from '../store/index.ts';

const migrations = [
  'CREATE TABLE writer_keys (drive TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID',
];
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Writer secrets in node.db, each sealed (AES-256-GCM, bound to its drive) under a key that only this device's keystore can derive.
 */
export function createWriterKeys(db: Database, identity: Identity, random: RandomBytes): WriterKeys {
  migrate(db, 'writer_keys', migrations);
  const select = db.prepare<[string], { sealed: Buffer }>('SELECT sealed FROM writer_keys WHERE drive = ?');
  const insert = db.prepare('INSERT OR REPLACE INTO writer_keys (drive, sealed) VALUES (?, ?)');
  const key = (): Uint8Array => identity.deviceSecret('writer keys');
  return {
    get(drive) {
      const sealed = select.get(drive)?.sealed;
      if (!sealed) return null;
      try {
        const cipher = createDecipheriv('aes-256-gcm', key(), sealed.subarray(0, nonceBytes));
        cipher.setAAD(Buffer.from(drive)).setAuthTag(sealed.subarray(sealed.length - tagBytes));
        const body = sealed.subarray(nonceBytes, sealed.length - tagBytes);
        return Buffer.concat([cipher.update(body), cipher.final()]);
      } catch (cause) {
        throw new AppError('corrupt', 'The key this computer writes to a drive with is damaged.', {
          cause,
          details: { drive },
        });
      }
    },
    put(drive, secret) {
      const nonce = random(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key(), nonce).setAAD(Buffer.from(drive));
      const body = Buffer.concat([cipher.update(secret), cipher.final()]);
      insert.run(drive, Buffer.concat([nonce, body, cipher.getAuthTag()]));
    },
  };
}
