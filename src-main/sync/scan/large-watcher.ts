import type { AsyncSubscription, Event, SubscribeCallback } from '@parcel/watcher';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { FolderWatcher, WatchEvents } from './watcher.ts';

export interface LargeWatcherDeps {
  readonly folder: string;
  readonly own: string;
  readonly clock: Clock;
  readonly events: WatchEvents;
  /** Relative path of something in the folder; null when it does not count. */
  readonly relative: (path: string) => string | null;
  readonly subscribe: (
    dir: string,
    callback: SubscribeCallback,
    options: { ignore: string[] },
  ) => Promise<AsyncSubscription>;
}

/** The kernel keeps 16,384 events for us and drops what comes on top without our hearing of it. */
const stormEvents = 8000;
const stormWindow = 2000;
/** ms after a storm until everything is scanned. */
const calmAfter = 3000;
/** ms from the first new folder to watching it. */
const armDelay = 300;
/** So many new folders at once, or watches of single folders in all, and the whole tree is watched anew instead. */
const fewFolders = 16;
const manyWatches = 64;

/**
 * The watcher for large trees, over @parcel/watcher: one watch a folder, events collected outside the main thread. It has two
 * gaps that are closed here. Of a folder that was filled before it saw it, or moved with what it holds, it watches the top only:
 * so new folders are subscribed to by themselves, which walks them, and looked at again. And it does not tell of an overflow of
 * the kernel's queue: so after a storm everything is scanned.
 */
export async function createLargeWatcher(deps: LargeWatcherDeps): Promise<FolderWatcher> {
  const { folder, clock, events } = deps;
  const fresh = new Set<string>();
  const subscriptions: AsyncSubscription[] = [];
  let windowStart = 0;
  let counted = 0;
  let stopped = false;
  let cancel: (() => void) | null = null;
  let arming: Promise<void> = Promise.resolve();

  function count(n: number): void {
    const now = clock.now();
    if (now - windowStart > stormWindow) {
      windowStart = now;
      counted = 0;
    }
    counted += n;
    if (counted > stormEvents) events.lost(calmAfter);
  }

  function take(error: Error | null, found: readonly Event[]): void {
    if (stopped) return;
    if (error) events.failed(error);
    count(found.length);
    const dirs = new Set<string>();
    for (const { path } of found) {
      const rel = deps.relative(path);
      if (rel !== null) dirs.add(rel.slice(0, Math.max(0, rel.lastIndexOf('/'))));
    }
    for (const dir of dirs) events.hint(dir);
  }

  async function subscribe(dir: string): Promise<void> {
    subscriptions.push(await deps.subscribe(dir, take, { ignore: [deps.own] }));
  }

  async function unsubscribe(): Promise<void> {
    // It complains of watches that the kernel took away with their folder.
    for (const one of subscriptions.splice(0)) await one.unsubscribe().catch(() => {});
  }

  /** New folders that are in no other new folder. */
  function topmost(): string[] {
    const tops: string[] = [];
    for (const dir of [...fresh].sort()) {
      const last = tops.at(-1);
      if (last === undefined || !dir.startsWith(`${last}/`)) tops.push(dir);
    }
    return tops;
  }

  async function arm(): Promise<void> {
    if (stopped) return;
    const tops = topmost();
    const all = [...fresh];
    fresh.clear();
    const started = clock.now();
    try {
      if (tops.length <= fewFolders && subscriptions.length < manyWatches) {
        for (const dir of tops) await subscribeTo(dir);
        for (const dir of all) events.hint(dir, 0);
      } else {
        // It keeps what it knows of a folder as long as it watches it, so the old watch has to go first.
        await unsubscribe();
        await subscribe(folder);
        events.lost(0);
      }
    } catch (error) {
      events.failed(error instanceof Error ? error : new Error(String(error)));
    }
    // It reads many folders: under a rain of new ones it must not go on without end.
    const took = clock.now() - started;
    cancel = null;
    if (fresh.size > 0) schedule(armDelay + 10 * took);
  }

  async function subscribeTo(dir: string): Promise<void> {
    try {
      await subscribe(`${folder}/${dir}`);
    } catch (error) {
      // Gone again already; if watches ran out, the next whole arming says so.
      if ((error as NodeJS.ErrnoException).message.includes('No space')) throw error;
    }
  }

  function schedule(ms: number): void {
    if (stopped) return;
    cancel ??= clock.after(ms, () => {
      arming = arm();
    });
  }

  await subscribe(folder);
  return {
    newFolder(dir) {
      fresh.add(dir);
      schedule(armDelay);
    },
    async stop() {
      stopped = true;
      cancel?.();
      await arming;
      await unsubscribe();
    },
  };
}
