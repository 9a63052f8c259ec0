import { access } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { EntryId } from '../history/index.ts';
import { checkRoot, createRealFs, forgetFolder, markRoot } from '../sync/index.ts';
import type { DriveRecords } from './drive-records.ts';
import type { Running } from './drives/running.ts';
import { claimFolder } from './folders.ts';

export interface FolderPlacesDeps {
  readonly clock: Clock;
  readonly dataDir: string;
  readonly records: DriveRecords;
  readonly running: () => readonly Running[];
  /** Closes a drive, does something with its database, and opens it again as its record has it then. */
  readonly reopen: (driveId: EntryId, between: (one: Running) => void) => Promise<void>;
}

/** Where the folders of drives are: noticed when one is gone, and said anew by the person when it is elsewhere. */
export interface FolderPlaces {
  start(): void;
  stop(): void;
  /**
   * @param anew false: the folder was moved and carries the drive's mark. true: it is another one, or has lost its mark; what it lacks is
   *   brought from other computers, and nothing is deleted
   * @throws AppError `root_missing`, `root_unmarked`, `folder_in_use`, `invalid_argument`, `permission_denied`
   */
  move(one: Running, folder: string, anew: boolean): Promise<void>;
}

/** No system tells of a disk that is pulled out: looked at this often, ms. */
const interval = 5000;

export function createFolderPlaces(deps: FolderPlacesDeps): FolderPlaces {
  const { clock, records } = deps;
  let cancel: (() => void) | null = null;
  /** Being looked at: a disk behind a network may take its time. */
  const looking = new Set<EntryId>();

  async function look({ record, sync }: Running): Promise<void> {
    const { driveId, folder } = record;
    const { state } = sync.status();
    if (state === 'stopped' || state === 'paused' || looking.has(driveId)) return;
    looking.add(driveId);
    // The engine looks itself, and says what it finds.
    await access(path.join(folder, '.extrachain', 'marker.json')).catch(() => sync.scan().catch(() => {}));
    looking.delete(driveId);
  }

  function again(): void {
    cancel = clock.after(interval, () => {
      for (const one of deps.running()) void look(one);
      again();
    });
  }

  async function claim(driveId: EntryId, folder: string, anew: boolean): Promise<string> {
    const fs = createRealFs();
    try {
      if (!anew) await checkRoot(fs, folder, driveId);
      const others = records.all().filter((record) => record.driveId !== driveId);
      const inside = others.filter((record) => record.mount?.parent === driveId);
      if (anew && inside.length > 0) {
        throw new AppError(
          'invalid_argument',
          'A folder of this drive is a drive of its own. Leave that first; it can be joined again afterwards.',
        );
      }
      const taken = others.filter((record) => !inside.includes(record)).map((record) => record.folder);
      const real = await claimFolder(folder, [deps.dataDir, ...taken]);
      if (anew) await markRoot(fs, real, driveId);
      return real;
    } finally {
      await fs.stop();
    }
  }

  return {
    start: again,
    stop: () => cancel?.(),
    async move(one, folder, anew) {
      const { driveId, mount } = one.record;
      if (mount !== null) {
        throw new AppError(
          'invalid_argument',
          'This drive has its place in a folder of another one; say where that one is.',
        );
      }
      const real = await claim(driveId, folder, anew);
      await deps.reopen(driveId, ({ db }) => {
        if (anew) forgetFolder(db, real === one.record.folder);
        records.setPlace(driveId, real, null);
      });
      for (const { driveId: inner } of records.all().filter((record) => record.mount?.parent === driveId))
        await deps.reopen(inner, () => {});
    },
  };
}
