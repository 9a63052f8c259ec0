import type { Logger } from '../../../src-shared/runtime.ts';
import { ownFolder } from './ignore-rules.ts';

/** Tells of folders in which something happened. Only a hint: a watcher may be late, wrong or silent. */
export interface FolderWatcher {
  stop(): Promise<void>;
}

export interface WatchEvents {
  /** Relative path of the folder to look at. */
  readonly hint: (dir: string) => void;
  /** Watching does not work (any more); periodic scans have to do. */
  readonly failed: (error: Error) => void;
}

export type WatcherFactory = (folder: string, entries: number, events: WatchEvents) => Promise<FolderWatcher>;

/** Above so many entries a recursive native watcher takes over from chokidar, which keeps an object for each. */
export const manyEntries = 20_000;

/** The real watchers, by the size of the tree. */
export function createWatcherFactory(logger: Logger): WatcherFactory {
  return async (folder, entries, events) => {
    const relative = (path: string): string | null => {
      if (path === folder) return '';
      const rel = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : null;
      return rel === null || rel === ownFolder || rel.startsWith(`${ownFolder}/`) ? null : rel;
    };
    const hintParent = (path: string): void => {
      const rel = relative(path);
      if (rel !== null) events.hint(rel.slice(0, Math.max(0, rel.lastIndexOf('/'))));
    };
    try {
      return entries > manyEntries ? await watchNative() : await watchSmall();
    } catch (error) {
      events.failed(error instanceof Error ? error : new Error(String(error)));
      return { stop: async () => {} };
    }

    async function watchNative(): Promise<FolderWatcher> {
      const { subscribe } = await import('@parcel/watcher');
      const subscription = await subscribe(
        folder,
        (error, found) => {
          if (error) events.failed(error);
          for (const { path, type } of found) {
            hintParent(path);
            // It loses what is made in a folder it has only just seen.
            const rel = type === 'create' ? relative(path) : null;
            if (rel !== null) events.hint(rel);
          }
        },
        { ignore: [`${folder}/${ownFolder}`] },
      );
      return { stop: () => subscription.unsubscribe() };
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
      watcher.on('all', (_event, path) => hintParent(path));
      watcher.on('error', (error) => {
        logger.warn({ err: error }, 'the watcher failed');
        events.failed(error instanceof Error ? error : new Error(String(error)));
      });
      await new Promise<void>((done) => watcher.once('ready', () => done()));
      return { stop: () => watcher.close() };
    }
  };
}
