import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { FolderFs } from '../fs/types.ts';
import type { Problems } from '../problems.ts';

/** How often a full disk is looked at, ms. */
const lookEvery = 3000;
/** Bytes that have to be free before it is tried again. */
const spaceToGoOn = 2 * 1024 * 1024;

/** Halts what is brought in while the disk is full, and goes on by itself. */
export interface DiskSpace {
  isFull(): boolean;
  /** Something found no room. */
  full(): void;
  /** Something found room. */
  fine(): void;
  stop(): void;
}

/**
 * @param deps.hold stops what is on its way; `resume` goes on with it, unless something else holds it, too
 * @param deps.missing bytes that are still to come
 */
export function createDiskSpace(deps: {
  readonly fs: Pick<FolderFs, 'freeBytes'>;
  readonly folder: string;
  readonly clock: Clock;
  readonly problems: Pick<Problems, 'whole'>;
  hold(): void;
  resume(): void;
  missing(): number;
}): DiskSpace {
  const { fs, folder, clock, problems } = deps;
  let cancel: (() => void) | null = null;
  let stopped = false;

  function look(): void {
    if (stopped) return;
    cancel = clock.after(lookEvery, () => void retry().catch(look));
  }

  async function retry(): Promise<void> {
    const asked = cancel;
    const free = await fs.freeBytes(folder);
    // Meanwhile room was found, and perhaps lost again.
    if (stopped || cancel !== asked) return;
    if (free < spaceToGoOn) return look();
    deps.resume();
    if (deps.missing() === 0 || free > deps.missing()) clear();
    else look();
  }

  function clear(): void {
    cancel = null;
    problems.whole('disk', null);
  }

  return {
    isFull: () => cancel !== null,
    full() {
      if (cancel !== null || stopped) return;
      problems.whole(
        'disk',
        new AppError(
          'disk_full',
          'The disk of this folder is full, so nothing is brought in; free some space and it goes on by itself.',
        ),
      );
      deps.hold();
      look();
    },
    fine() {
      if (cancel === null) return;
      cancel();
      clear();
      // Something small found room; what waits must go on as well, now that no timer looks after it any more.
      deps.resume();
    },
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}
