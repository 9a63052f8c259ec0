import type { AppError } from '../../../src-shared/errors.ts';
import type { Drive } from '../../drive/index.ts';
import type { Borrowed } from '../../hosting/index.ts';
import type { ChunkStore, Database } from '../../store/index.ts';
import type { FolderSync } from '../../sync/index.ts';
import type { DriveRecord } from '../drive-records.ts';

/** A drive at work: what it is made of. */
export interface OpenDrive {
  readonly record: DriveRecord;
  readonly drive: Drive;
  readonly sync: FolderSync;
}

/** A drive that could not be opened, with why. */
export interface BrokenDrive {
  readonly record: DriveRecord;
  readonly error: AppError;
}

/** An open drive with what has to be ended with it. */
export interface Running extends OpenDrive {
  readonly db: Database;
  readonly chunks: ChunkStore;
  readonly off: (() => void)[];
  /** What is kept here of this drive for others. */
  readonly borrowed: Borrowed;
  endCheckpoints: () => Promise<void>;
}
