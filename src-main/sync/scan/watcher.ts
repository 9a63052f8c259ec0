import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { ownFolder } from './ignore-rules.ts';
import { createLargeWatcher } from './large-watcher.ts';

/** Tells of folders in which something happened. Only a hint: a watcher may be late, wrong or silent. */
export interface FolderWatcher {
  /** This folder (relative) is new, or came here from elsewhere with what it holds. */
  newFolder(dir: string): void;
  stop(): Promise<void>;
}

export interface WatchEvents {
  /** Relative path of the folder to look at, and after how many ms (default: a moment). */
  readonly hint: (dir: string, ms?: number) => void;
  /** So much happened that some of it may not have been told: everything has to be scanned after so many ms. */
  readonly lost: (ms: number) => void;
  /** Watching does not work (any more); periodic scans have to do. */
  readonly failed: (error: Error) => void;
}

/** `small` keeps an object for each entry and misses nothing; `large` is native and light. */
export type WatcherKind = 'small' | 'large';

export type WatcherFactory = (
  folder: string,
  kind: WatcherKind,
  events: WatchEvents,
) => Promise<FolderWatcher>;

/**
 * From so many entries on the native watcher takes over: chokidar needs about 5 kB for each, and looks on the main thread at each file
 * that is written here.
 */
export const manyEntries = 2_000;

/** Which watcher a tree of that size gets. One that has it keeps the large one until it is half that size again. */
export function watcherKind(entries: number, now: WatcherKind | null): WatcherKind {
  return entries > (now === 'large' ? manyEntries / 2 : manyEntries) ? 'large' : 'small';
}

/** The real watchers. */
export function createWatcherFactory(deps: {
  readonly logger: Logger;
  readonly clock: Clock;
}): WatcherFactory {
  return async (folder, kind, events) => {
    const relative = (path: string): string | null => {
      if (path === folder) return '';
      const rel = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : null;
      return rel === null || rel === ownFolder || rel.startsWith(`${ownFolder}/`) ? null : rel;
    };
    const parentOf = (rel: string): string => rel.slice(0, Math.max(0, rel.lastIndexOf('/')));
    try {
      return kind === 'large' ? await watchLarge() : await watchSmall();
    } catch (error) {
      events.failed(error instanceof Error ? error : new Error(String(error)));
      return { newFolder() {}, stop: async () => {} };
    }

    async function watchLarge(): Promise<FolderWatcher> {
      const { subscribe } = await import('@parcel/watcher');
      const own = `${folder}/${ownFolder}`;
      return createLargeWatcher({ folder, own, clock: deps.clock, events, relative, subscribe });
    }

    async function watchSmall(): Promise<FolderWatcher> {
      const { watch } = await import('chokidar');
      const watcher = watch(folder, {
        ignored: (path) => path !== folder && relative(path) === null,
        ignoreInitial: true,
        followSymlinks: false,
        atomic: false,
        ignorePermissionErrors: true,
      });
      watcher.on('all', (_event, path) => {
        const rel = relative(path);
        if (rel !== null) events.hint(parentOf(rel));
      });
      watcher.on('error', (error) => {
        deps.logger.warn({ err: error }, 'the watcher failed');
        events.failed(error instanceof Error ? error : new Error(String(error)));
      });
      await new Promise<void>((done) => watcher.once('ready', () => done()));
      // It follows what is new by itself.
      return { newFolder() {}, stop: () => watcher.close() };
    }
  };
}
