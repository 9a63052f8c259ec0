import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import type { RandomBytes } from '../../../src-shared/runtime.ts';
import type { Identity } from '../../identity/index.ts';
import { migrate, type Database } from '../../store/index.ts';

/** A drive kept here by a link rather than by a role. */
export interface FollowedLink {
  /** null: the drive was public. */
  readonly secret: Uint8Array | null;
  readonly addresses: readonly string[];
}

export interface FollowedLinks {
  get(driveId: string): FollowedLink | null;
  put(driveId: string, link: FollowedLink): void;
  remove(driveId: string): void;
}

const migrations = [
  `CREATE TABLE followed_links (
    drive TEXT PRIMARY KEY,
    sealed BLOB,
    addresses TEXT NOT NULL
  ) STRICT, WITHOUT ROWID`,
];
const nonceBytes = 12;
const tagBytes = 16;

/** Links of drives followed, in node.db; each secret sealed (AES-256-GCM, bound to its drive) under a key of this device. */
export function createFollowedLinks(db: Database, identity: Identity, random: RandomBytes): FollowedLinks {
  migrate(db, 'followed_links', migrations);
  type Row = { sealed: Buffer | null; addresses: string };
  const select = db.prepare<[string], Row>('SELECT sealed, addresses FROM followed_links WHERE drive = ?');
  const insert = db.prepare('INSERT OR REPLACE INTO followed_links VALUES (?, ?, ?)');
  const remove = db.prepare('DELETE FROM followed_links WHERE drive = ?');
  const key = (): Uint8Array => identity.deviceSecret('followed links');

  function open(drive: string, sealed: Buffer): Uint8Array {
    try {
      const cipher = createDecipheriv('aes-256-gcm', key(), sealed.subarray(0, nonceBytes));
      cipher.setAAD(Buffer.from(drive)).setAuthTag(sealed.subarray(sealed.length - tagBytes));
      const body = sealed.subarray(nonceBytes, sealed.length - tagBytes);
      return new Uint8Array(Buffer.concat([cipher.update(body), cipher.final()]));
    } catch (cause) {
      throw new AppError('corrupt', 'The link this drive is read by is damaged; open it again.', { cause });
    }
  }

  return {
    get(drive) {
      const row = select.get(drive);
      if (!row) return null;
      const addresses = JSON.parse(row.addresses) as string[];
      return { secret: row.sealed && open(drive, row.sealed), addresses };
    },
    put(drive, { secret, addresses }) {
      let sealed: Buffer | null = null;
      if (secret) {
        const nonce = random(nonceBytes);
        const cipher = createCipheriv('aes-256-gcm', key(), nonce).setAAD(Buffer.from(drive));
        const body = Buffer.concat([cipher.update(secret), cipher.final()]);
        sealed = Buffer.concat([nonce, body, cipher.getAuthTag()]);
      }
      insert.run(drive, sealed, JSON.stringify(addresses));
    },
    remove: (drive) => void remove.run(drive),
  };
}
