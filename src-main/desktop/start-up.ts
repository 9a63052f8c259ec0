import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { contract } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { implement } from '../../src-shared/rpc/index.ts';
import type { Implementation } from '../../src-shared/rpc/index.ts';
import { createDownloads, createHandlers } from '../api/index.ts';
import { createLogFile, keepCrashReports, lockFolder } from '../platform/index.ts';
import { createAppWindows } from './app-windows.ts';
import { createBridge } from './bridge.ts';
import { guardPermissions, guardScreenCapture } from './guards.ts';
import { createKeychain } from './keychain.ts';
import type { LinkInbox } from './link-inbox.ts';
import { createLoginItem, startsHidden } from './login-item.ts';
import { menuTemplate } from './menu.ts';
import { createNotifier } from './notifier.ts';
import type { DesktopOptions } from './options.ts';
import { createDesktopPlatform } from './platform.ts';
import { appUrl } from './policy/app-origins.ts';
import { bytesOrigin, linkScheme } from './policy/origins.ts';
import { openPreferences } from './preferences.ts';
import { handleSchemes } from './protocols.ts';
import { requirePassword } from './require-password.ts';
import { stringsFor } from './strings.ts';
import type { Language } from './strings.ts';
import { createTray } from './tray.ts';
import { createUpdates } from './updates.ts';
import { createMainWindow } from './window.ts';

export interface StartUpOptions extends DesktopOptions {
  readonly links: LinkInbox;
  /** Remembers what is to be undone when quitting. */
  readonly undo: (step: () => Promise<void> | void) => void;
  readonly isStopping: () => boolean;
  /** Undoes everything. */
  readonly stopNode: () => Promise<void>;
  /** Told how the window is brought to the front. */
  readonly onWindow: (show: () => void) => void;
  /** Told how to learn the language in use. */
  readonly onLanguage: (read: () => Language | null) => void;
}

/**
 * Builds all parts, in this order: lock, rules of the session, window and tray, node. The window is seen while the node
 * starts; its calls wait until then.
 * @throws AppError `locked` when a daemon runs on the data folder, `shutting_down` when told to stop meanwhile
 */
export async function startUp(options: StartUpOptions): Promise<void> {
  const { electron, dataDir, platform, clock, log, undo } = options;
  const { app } = electron;
  const goOn = () => {
    if (options.isStopping()) throw new AppError('shutting_down', 'The program is being quit.');
  };

  await app.whenReady();
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  goOn();
  const lock = lockFolder(dataDir);
  undo(() => lock.release());
  const logFile = createLogFile(dataDir);
  undo(() => logFile.close());
  undo(keepCrashReports(dataDir, app.getVersion()));
  const preferences = await openPreferences(dataDir);
  options.onLanguage(() => preferences.get().language);
  const strings = () => stringsFor(preferences.get().language, app.getLocale());
  goOn();

  if (app.isPackaged) app.setAsDefaultProtocolClient(linkScheme);
  guardPermissions(electron.session.defaultSession);
  guardScreenCapture(electron, electron.session.defaultSession, () => strings().shareScreen);
  const downloads = createDownloads({ clock, random: randomBytes, origin: () => bytesOrigin });
  handleSchemes(electron, { pageDir: options.files.page, bytes: (request) => downloads.serve(request) });

  const quit = () => app.quit();
  const window = createMainWindow({
    electron,
    preload: options.files.preload,
    icon: path.join(options.files.icons, 'icon.png'),
    log,
    keepOnClose() {
      const { closeToTray, toldAboutTray } = preferences.get();
      if (options.isStopping() || !closeToTray) return false;
      if (!toldAboutTray && electron.Notification.isSupported()) {
        void preferences.set({ toldAboutTray: true });
        const { stillRunning, stillRunningMore } = strings();
        new electron.Notification({ title: stillRunning, body: stillRunningMore }).show();
      }
      return true;
    },
    mayLeave() {
      const { uploadsRunning, uploadsRunningMore, stay, leave } = strings();
      const asked = { message: uploadsRunning, detail: uploadsRunningMore, buttons: [stay, leave] };
      return (
        electron.dialog.showMessageBoxSync({ ...asked, type: 'question', defaultId: 0, cancelId: 0 }) === 1
      );
    },
  });
  undo(() => window.destroy());
  app.on('window-all-closed', () => {
    if (!preferences.get().closeToTray) quit();
  });
  const { promise: implementation, resolve: served, reject } = Promise.withResolvers<Implementation>();
  // Told where it is awaited; here only so that it is never unhandled.
  implementation.catch(() => {});
  undo(() => reject(new AppError('shutting_down', 'The program is being quit.')));
  const contents = () => window.current()?.webContents ?? null;
  undo(createBridge({ electron, contents, implementation, clock, log }));
  const tray = createTray({
    electron,
    iconDir: path.join(options.files.icons, 'tray'),
    platform,
    strings,
    clock,
    log,
    show: window.show,
    quit,
  });
  undo(() => tray.remove());
  const setMenu = () => {
    const template = menuTemplate(strings(), { platform, isPackaged: app.isPackaged }, { quit });
    electron.Menu.setApplicationMenu(electron.Menu.buildFromTemplate(template));
  };
  setMenu();
  options.onWindow(window.show);
  if (!startsHidden(options)) window.show();
  // Linux and macOS wait for us when they are asked to.
  electron.powerMonitor.on('shutdown', (event?: { preventDefault(): void }) => {
    event?.preventDefault();
    quit();
  });

  const keychain = await createKeychain(electron.safeStorage, platform);
  const updates = createUpdates(await options.loadUpdater(), { clock, log, stopNode: options.stopNode });
  const desktopPlatform = createDesktopPlatform({
    electron,
    window: window.current,
    preferences: {
      get: preferences.get,
      async set(change) {
        await preferences.set(change);
        setMenu();
        tray.refresh();
      },
    },
    loginItem: await createLoginItem(electron, options),
    links: options.links,
    update: updates.service,
    keychain: keychain !== null,
    strings,
    dragIcon: path.join(options.files.icons, 'drag.png'),
    platform,
  });
  const createNode = await options.loadNode();
  goOn();
  const node = await createNode({ ...options.node, dataDir, logFile, ...(keychain && { keychain }) });
  undo(() => node.stop());
  goOn();
  await node.start();
  goOn();
  const services = keychain ? node : requirePassword(node);
  const appWindows = createAppWindows({
    electron,
    host: node.appHost,
    preload: options.files.appPreload,
    icon: path.join(options.files.icons, 'icon.png'),
    log,
    clock,
  });
  undo(() => appWindows.stop());
  // What an app wants is answered in our own window, never in the app's.
  let asked = 0;
  undo(
    node.appHost.approvals.on('changed', () => {
      const waiting = node.appHost.approvals.list().length;
      if (waiting > asked) window.show();
      asked = waiting;
    }),
  );
  served(
    implement(
      contract,
      createHandlers(services, {
        clock,
        downloads,
        shutdown: quit,
        platform: desktopPlatform,
        openApp({ appId, name, path: place }) {
          appWindows.open(appId, name, place);
          return appUrl(appId, place);
        },
      }),
    ),
  );
  tray.follow(services);
  const isWanted = () => preferences.get().notifications && !window.isSeen();
  undo(createNotifier({ electron, node: services, isWanted, strings, show: window.show, clock, log }));
  updates.start();
  undo(() => updates.stop());
  // First of all when quitting: what is left to do needs nobody to look at it.
  undo(() => window.current()?.hide());
}
