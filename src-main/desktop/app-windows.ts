import type { BrowserWindow, IpcMainEvent, WebContents } from 'electron';
import { appPortMessage } from '../../src-shared/app-bridge.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { AppHost } from '../apps/index.ts';
import { appSession } from './app-session.ts';
import { mainPortCarrier } from './bridge.ts';
import type { ElectronParts } from './electron-parts.ts';
import { appUrl, isAppFrame } from './policy/app-origins.ts';

export interface AppWindowsOptions {
  readonly electron: Pick<ElectronParts, 'app' | 'BrowserWindow' | 'ipcMain' | 'session'>;
  readonly host: AppHost;
  /** The bundled preload script of apps, absolute. */
  readonly preload: string;
  readonly icon: string;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Memory that an app's process may keep, bytes: then its window is closed. Working sets are looked at this often, ms. */
const mostMemory = 1024 ** 3;
const lookEvery = 3000;

export interface AppWindows {
  /** Opens an app in a window of its own; one that is open is brought to the front. */
  open(appId: string, name: string, place: string): void;
  stop(): void;
}

/** Windows of apps: each in its own process and partition, with the provider as its only way out. */
export function createAppWindows({
  electron,
  host,
  preload,
  icon,
  log,
  clock,
}: AppWindowsOptions): AppWindows {
  const windows = new Map<string, BrowserWindow>();
  const appOf = (sender: WebContents): string | null =>
    [...windows].find(([, window]) => window.webContents === sender)?.[0] ?? null;

  function onPort(event: IpcMainEvent): void {
    const [port] = event.ports;
    const appId = appOf(event.sender);
    if (!port || appId === null || !isAppFrame(event.senderFrame, appId) || !host.hosts(appId)) {
      log.warn({ url: event.senderFrame?.url ?? null }, 'a port from a stranger was refused');
      for (const one of event.ports) one.close();
      return;
    }
    const [known] = host.sessions.list(appId).filter(({ carrier }) => carrier === 'desktop');
    host.connect(known ?? host.sessions.begin(appId, 'desktop'), mainPortCarrier(port), 'closed');
  }

  async function make(appId: string, name: string, place: string): Promise<void> {
    const session = await appSession(
      electron,
      appId,
      (request) => host.serve(appId, request, null),
      () => host.media(appId),
    );
    const window = new electron.BrowserWindow({
      name: `app-${appId}`,
      windowStatePersistence: true,
      title: name,
      width: 1000,
      height: 720,
      minWidth: 320,
      minHeight: 400,
      show: false,
      autoHideMenuBar: true,
      icon,
      webPreferences: {
        session,
        preload,
        sandbox: true,
        contextIsolation: true,
        nodeIntegration: false,
        nodeIntegrationInWorker: false,
        nodeIntegrationInSubFrames: false,
        webSecurity: true,
        webviewTag: false,
        spellcheck: false,
        enableWebSQL: false,
        devTools: !electron.app.isPackaged,
      },
    });
    windows.set(appId, window);
    const { webContents } = window;
    webContents.setWebRTCIPHandlingPolicy('disable_non_proxied_udp');
    // The address is not shown in our windows, so the title says whose page it is, whatever the page calls itself.
    window.on('page-title-updated', (event) => event.preventDefault());
    webContents.on('will-frame-navigate', (event) => event.preventDefault());
    webContents.on('will-redirect', (event) => event.preventDefault());
    webContents.on('will-attach-webview', (event) => event.preventDefault());
    webContents.setWindowOpenHandler(() => ({ action: 'deny' }));
    // What a process leaves behind that has ended is an empty window.
    webContents.on('render-process-gone', () => window.destroy());
    window.once('ready-to-show', () => window.show());
    window.on('closed', () => {
      windows.delete(appId);
      for (const one of host.sessions.list(appId)) if (one.carrier === 'desktop') host.sessions.end(one.id);
    });
    await window.loadURL(appUrl(appId, place));
  }

  /** Ends apps that take so much memory that the computer suffers: neither a policy nor a header bounds that. */
  function look(): void {
    cancel = clock.after(lookEvery, look);
    if (windows.size === 0) return;
    const sizes = new Map(
      electron.app.getAppMetrics().map(({ pid, memory }) => [pid, memory.workingSetSize * 1024]),
    );
    for (const [appId, window] of [...windows]) {
      const bytes = sizes.get(window.webContents.getOSProcessId()) ?? 0;
      if (bytes <= mostMemory) continue;
      log.warn({ app: appId, bytes }, 'an app took too much memory; its window was closed');
      // Destroyed, not closed: a page that hangs is not asked.
      window.destroy();
    }
  }
  let cancel = clock.after(lookEvery, look);

  electron.ipcMain.on(appPortMessage, onPort);
  return {
    open(appId, name, place) {
      const open = windows.get(appId);
      if (open) {
        if (open.isMinimized()) open.restore();
        open.show();
        open.focus();
        if (place !== '') void open.loadURL(appUrl(appId, place)).catch(() => {});
        return;
      }
      make(appId, name, place).catch((error: unknown) =>
        log.error({ app: appId, error: String(error) }, 'the window of an app could not be opened'),
      );
    },
    stop() {
      cancel();
      electron.ipcMain.off(appPortMessage, onPort);
      for (const window of windows.values()) window.destroy();
      windows.clear();
    },
  };
}
