import type { BrowserWindow } from 'electron';
import type { Logger } from '../../src-shared/runtime.ts';
import type { ElectronParts } from './electron-parts.ts';
import { guardNavigation } from './guards.ts';
import { indexUrl } from './policy/navigation.ts';

export interface MainWindowOptions {
  readonly electron: Pick<ElectronParts, 'app' | 'BrowserWindow' | 'shell'>;
  /** The bundled preload script, absolute. */
  readonly preload: string;
  readonly icon: string;
  readonly log: Logger;
  /** Asked when the person closes the window: true hides it, false lets it go. */
  readonly keepOnClose: () => boolean;
  /** Asked when the page would lose something by closing (uploads under way): true closes it all the same. */
  readonly mayLeave: () => boolean;
}

/** The one window with the product in it. */
export interface MainWindow {
  current(): BrowserWindow | null;
  /** Brings it to the front; makes it when there is none. */
  show(): void;
  /** Whether somebody looks at it. */
  isSeen(): boolean;
  destroy(): void;
}

/** A page that crashes is loaded again, but not for ever. */
const mostReloads = 3;

export function createMainWindow(options: MainWindowOptions): MainWindow {
  const { electron, log } = options;
  let window: BrowserWindow | null = null;
  let reloads = 0;

  function make(): BrowserWindow {
    const made = new electron.BrowserWindow({
      // Size, place and being maximised are kept by Electron under this name.
      name: 'main',
      windowStatePersistence: true,
      title: 'ExtraChain',
      width: 1200,
      height: 780,
      minWidth: 390,
      minHeight: 480,
      show: false,
      autoHideMenuBar: true,
      icon: options.icon,
      webPreferences: {
        preload: options.preload,
        sandbox: true,
        contextIsolation: true,
        nodeIntegration: false,
        nodeIntegrationInWorker: false,
        nodeIntegrationInSubFrames: false,
        webSecurity: true,
        webviewTag: false,
        spellcheck: false,
        devTools: !electron.app.isPackaged,
      },
    });
    guardNavigation(electron, made.webContents);
    made.once('ready-to-show', () => made.show());
    made.on('close', (event) => {
      if (!options.keepOnClose()) return;
      event.preventDefault();
      made.hide();
    });
    // Electron would keep the window open without a word.
    made.webContents.on('will-prevent-unload', (event) => {
      if (options.mayLeave()) event.preventDefault();
    });
    // Windows ends the session whether we are ready or not.
    made.on('session-end', () => electron.app.quit());
    made.on('closed', () => {
      if (window === made) window = null;
    });
    made.webContents.on('render-process-gone', (_, { reason }) => {
      log.error({ reason }, 'the page of the window ended');
      if (reason === 'clean-exit' || window !== made || reloads >= mostReloads) return;
      reloads += 1;
      made.reload();
    });
    made.loadURL(indexUrl).catch((error: unknown) => {
      log.error({ error: String(error) }, 'the page could not be loaded');
      // Quitting while it loads ends here as well, with no window left to show.
      if (!made.isDestroyed()) made.show();
    });
    return made;
  }

  return {
    current: () => window,
    show() {
      if (window === null) {
        // Shows itself as soon as it has something to show.
        window = make();
        return;
      }
      if (window.isMinimized()) window.restore();
      window.show();
      window.focus();
    },
    isSeen: () => window !== null && window.isVisible() && window.isFocused(),
    destroy() {
      window?.destroy();
      window = null;
    },
  };
}
