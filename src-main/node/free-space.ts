import { statfs } from 'node:fs/promises';
import type { Online } from './core.ts';
import type { Drives } from './drives.ts';
import { activityWords } from './activity-words.ts';

/** How often the disks are looked at, ms. */
const every = 60_000;

/**
 * While the setting `free.below` is on and less than that is free on the disk of a drive's folder, frees files of that drive until
 * so much is free again, as far as others hold them.
 */
export interface FreeSpace {
  /** Looks now, not at the next minute: the setting changed. */
  look(): void;
  stop(): Promise<void>;
}

export function keepSpaceFree(node: Online, drives: Drives): FreeSpace {
  const { clock, settings, logger, events, activity } = node;
  const ending = new AbortController();
  let cancel: (() => void) | null = null;
  let looking: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    const below = settings.get('free.below');
    if (below === null) return;
    for (const { record, sync } of drives.list()) {
      ending.signal.throwIfAborted();
      // Asked anew for each: drives may share a disk.
      const { bavail, bsize } = await statfs(record.folder);
      const missing = below - bavail * bsize;
      if (missing <= 0 || sync.status().state === 'stopped') continue;
      const { files, bytes } = await sync.online.freeSpace(missing, ending.signal);
      if (files === 0) continue;
      const words = activityWords.freed(files, bytes);
      events.emit('activity', activity.add({ kind: 'problem', driveId: record.driveId, ...words }));
    }
  }

  function arm(ms = every): void {
    cancel?.();
    cancel = clock.after(ms, () => {
      looking = looking
        .then(look)
        .catch((error: unknown) => {
          if (!ending.signal.aborted) logger.warn({ err: error }, 'space could not be freed');
        })
        .finally(() => {
          if (!ending.signal.aborted) arm();
        });
    });
  }
  arm();

  return {
    look: () => arm(0),
    async stop() {
      ending.abort();
      cancel?.();
      await looking;
    },
  };
}
