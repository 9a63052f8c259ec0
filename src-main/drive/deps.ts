import type { Entry, EntryId } from '../history/index.ts';
import type { DeviceCertificate, Signer, UserId } from '../identity/index.ts';
import type { Database } from '../store/index.ts';
import type { Budget } from './budget.ts';
import type { DrivePurpose } from './types.ts';
import type { Clock, Logger, RandomBytes } from '../../src-shared/runtime.ts';

/** What a drive needs of the person and device that use it. */
export interface DriveIdentity {
  readonly userId: UserId;
  /** The device's key; signs writer certificates. */
  readonly device: Signer;
  /** Certifies the device for the user. */
  readonly certificate: DeviceCertificate;
  /** The actor's X25519 key in use now, 32 bytes. */
  readonly encKey: Uint8Array;
  /** Opens an ECIES box made for this actor (with any of his keys, also earlier ones); null when it is not his. */
  unwrap(box: Uint8Array): Uint8Array | null;
}

/** Keeps the secret of this device's writer in each drive (32 bytes, an Ed25519 seed); encrypted at rest. */
export interface WriterKeys {
  get(drive: EntryId): Uint8Array | null;
  /** Durable when it resolves. */
  put(drive: EntryId, secret: Uint8Array): void | Promise<void>;
}

export interface DriveDeps {
  readonly identity: DriveIdentity;
  readonly writerKeys: WriterKeys;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger?: Logger;
  /** What one member may write into a collection: for tests, the same on all replicas. */
  readonly budget?: Budget;
}

/** Where one drive is kept. The caller closes the database, after `Drive.close()`. */
export interface DriveStorage {
  /** Folder of the chain; made when missing. */
  readonly dir: string;
  /** The drive's own database; the drive migrates its tables (`drive_*`, `tree_*`, `history_*`). */
  readonly db: Database;
}

export interface CreateDriveDeps extends DriveDeps {
  /** What people call the drive, 1..255 bytes. */
  readonly name: string;
  /** Left out: an ordinary drive of files and folders. */
  readonly purpose?: DrivePurpose;
  /** Called once the id of the new drive is known. */
  readonly storage: (driveId: EntryId) => DriveStorage | Promise<DriveStorage>;
}

export interface OpenDriveDeps extends DriveDeps, DriveStorage {
  readonly driveId: EntryId;
  /** The first time after a join: the genesis entry, as fetched. */
  readonly genesis?: Uint8Array;
  /** Used by `createDrive`. */
  readonly created?: Entry;
}
