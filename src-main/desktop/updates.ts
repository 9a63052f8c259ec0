import type { UpdateState } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { PlatformServices } from '../api/index.ts';

/** What we use of electron-updater's `AppUpdater`. */
export interface Updater {
  autoDownload: boolean;
  autoInstallOnAppQuit: boolean;
  on(event: 'checking-for-update' | 'update-not-available', listener: () => void): unknown;
  on(
    event: 'update-available' | 'update-downloaded',
    listener: (info: { readonly version: string }) => void,
  ): unknown;
  on(event: 'download-progress', listener: (progress: { readonly percent: number }) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  checkForUpdates(): Promise<unknown>;
  quitAndInstall(): void;
}

export interface Updates {
  readonly service: PlatformServices['update'];
  /** Looks now and every six hours. */
  start(): void;
  stop(): void;
}

const interval = 6 * 60 * 60 * 1000;

/**
 * Updates by electron-updater, shown and never in secret.
 * @param updater null: this build does not update itself (no feed was configured, or a package manager does it)
 * @param stopNode brings the node to rest before the new version is put in place
 */
export function createUpdates(
  updater: Updater | null,
  deps: { readonly clock: Clock; readonly log: Logger; readonly stopNode: () => Promise<void> },
): Updates {
  const listeners = new Set<() => void>();
  let state: UpdateState = {
    state: updater ? 'idle' : 'off',
    version: null,
    percent: null,
    message: null,
  };
  let cancelTimer = () => {};

  function become(change: Partial<UpdateState>): void {
    state = { ...state, percent: null, message: null, ...change };
    for (const listener of listeners) listener();
  }

  if (updater) {
    updater.autoDownload = true;
    updater.autoInstallOnAppQuit = true;
    updater.on('checking-for-update', () => become({ state: 'checking' }));
    updater.on('update-not-available', () => become({ state: 'idle', version: null }));
    updater.on('update-available', ({ version }) => become({ state: 'downloading', version, percent: 0 }));
    updater.on('download-progress', ({ percent }) =>
      become({ state: 'downloading', percent: Math.min(100, Math.max(0, percent)) }),
    );
    updater.on('update-downloaded', ({ version }) => become({ state: 'ready', version }));
    updater.on('error', (error) => {
      deps.log.warn({ error: error.message }, 'looking for an update failed');
      become({ state: 'failed', message: error.message });
    });
  }

  async function check(): Promise<void> {
    if (!updater) throw new AppError('unsupported', 'This build does not update itself.');
    if (state.state === 'checking' || state.state === 'downloading' || state.state === 'ready') return;
    // What goes wrong is told by the `error` event as well, which is what the window shows.
    await updater.checkForUpdates().catch(() => {});
  }

  function again(): void {
    void check();
    cancelTimer = deps.clock.after(interval, again);
  }

  return {
    service: {
      state: () => state,
      on(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      check,
      async install() {
        if (!updater || state.state !== 'ready') throw new AppError('not_found', 'No update is ready.');
        await deps.stopNode();
        updater.quitAndInstall();
      },
    },
    start() {
      if (updater) again();
    },
    stop: () => cancelTimer(),
  };
}
