import type { Clock, Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import type { ContentIo, Drive } from '../../drive/index.ts';
import type { Exchange } from '../../exchange/index.ts';
import type { ChunkStore, Database } from '../../store/index.ts';
import type { FolderFs } from '../fs/types.ts';
import type { WatcherFactory } from '../scan/watcher.ts';

export interface FolderSyncOptions {
  /** Days the trash keeps everything. Default 30. */
  readonly trashDays?: number;
  /** Share of the drive (0..1) that retained versions may take; the larger of this and `versionsBytes` counts. Default 0.1. */
  readonly versionsShare?: number;
  /** Bytes. Default 2 GB. */
  readonly versionsBytes?: number;
}

export interface FolderSyncDeps {
  readonly drive: Drive;
  readonly exchange: Exchange;
  readonly content: ContentIo;
  readonly chunks: ChunkStore;
  /** The drive's database; the engine has tables of its own in it. */
  readonly db: Database;
  /** Absolute path; marked as this drive's when first used. */
  readonly folder: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** Default: the real file system and real watchers. */
  readonly fs?: FolderFs;
  readonly watcher?: WatcherFactory;
  readonly options?: FolderSyncOptions;
  /**
   * The folder carries this drive's mark already; one that does not is not used. `false`: it is marked anew at each start. Default: it is
   * marked when first used, and waited for when it is away later.
   */
  readonly marked?: boolean;
  /** Rules of a drive around this one, for paths relative to this folder. */
  readonly ignoredAbove?: (path: string, dir: boolean) => boolean;
  /** Makes what was committed to `db` survive a power cut. Default: flushes the database's log. */
  readonly flush?: () => Promise<void>;
  /** How many others have to hold a file before it may be freed here. Default 1. */
  readonly copies?: () => number;
  /** Storage hosts that hold everything of the drive and passed an audit lately. Default none. */
  readonly hosts?: () => number;
  /** A storage host that was there within so many ms is not connected now: it may have what no member has. Default: none is. */
  readonly hostAway?: (withinMs: number) => boolean;
  /** Ciphertext of the drive that this computer keeps for others; null where it does not. Default: none. */
  readonly kept?: (id: Uint8Array) => Promise<Uint8Array | null>;
}
