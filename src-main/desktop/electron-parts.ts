import type * as Electron from 'electron';

/**
 * The parts of Electron that the shell uses. They are handed in by `main.ts`, the one module that imports Electron when
 * it runs: so the shell can be tested without it.
 */
export type ElectronParts = Pick<
  typeof Electron,
  | 'app'
  | 'BrowserWindow'
  | 'crashReporter'
  | 'desktopCapturer'
  | 'dialog'
  | 'ipcMain'
  | 'Menu'
  | 'nativeImage'
  | 'Notification'
  | 'powerMonitor'
  | 'protocol'
  | 'safeStorage'
  | 'session'
  | 'shell'
  | 'Tray'
>;
