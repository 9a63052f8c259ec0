import { stat } from 'node:fs/promises';
import type { BrowserWindow } from 'electron';
import { AppError } from '../../src-shared/errors.ts';
import type { PlatformServices } from '../api/index.ts';
import type { ElectronParts } from './electron-parts.ts';
import type { LinkInbox } from './link-inbox.ts';
import type { LoginItem } from './login-item.ts';
import { externalUrl } from './policy/navigation.ts';
import { mayOpen } from './policy/openable.ts';
import type { PreferenceStore } from './preferences.ts';
import type { Strings } from './strings.ts';

export interface DesktopPlatformOptions {
  readonly electron: Pick<ElectronParts, 'app' | 'dialog' | 'shell' | 'nativeImage' | 'Notification'>;
  readonly window: () => BrowserWindow | null;
  readonly preferences: PreferenceStore;
  readonly loginItem: LoginItem;
  readonly links: LinkInbox;
  readonly update: PlatformServices['update'];
  readonly keychain: boolean;
  readonly strings: () => Strings;
  /** Shown beside the pointer while files are dragged. */
  readonly dragIcon: string;
  readonly platform: NodeJS.Platform;
}

/** What the desktop does for the window: dialogs, the file manager, other programs, preferences. */
export function createDesktopPlatform(options: DesktopPlatformOptions): PlatformServices {
  const { electron, window, preferences, loginItem, links, update, strings } = options;

  async function statOf(file: string) {
    return stat(file).catch((cause: unknown) => {
      throw new AppError('not_found', 'The file is not on this computer; fetch it first.', { cause });
    });
  }

  function current() {
    const { closeToTray, notifications, language } = preferences.get();
    return { startAtLogin: loginItem.isOn(), closeToTray, notifications, language };
  }

  return {
    capabilities: {
      host: 'desktop',
      os: options.platform,
      pickFolder: true,
      showFiles: true,
      drag: true,
      preferences: true,
      // A checkout would start an Electron without our program.
      startAtLogin: electron.app.isPackaged,
      notifications: electron.Notification.isSupported(),
      keychain: options.keychain,
      links: true,
      updates: update.state().state !== 'off',
    },
    async pickFolder({ title, from }) {
      const asked = {
        title: title ?? strings().chooseFolder,
        properties: ['openDirectory' as const, 'createDirectory' as const],
        ...(from !== undefined && { defaultPath: from }),
      };
      const owner = window();
      const { canceled, filePaths } = await (owner
        ? electron.dialog.showOpenDialog(owner, asked)
        : electron.dialog.showOpenDialog(asked));
      return canceled ? null : (filePaths[0] ?? null);
    },
    async reveal(file) {
      await statOf(file);
      electron.shell.showItemInFolder(file);
    },
    async open(file) {
      const found = await statOf(file);
      if (!found.isDirectory() && !mayOpen(file, found.mode, options.platform)) {
        throw new AppError(
          'not_allowed',
          'This file could run as a program, so it is not opened from here. Show it in its folder.',
        );
      }
      const problem = await electron.shell.openPath(file);
      if (problem !== '') throw new AppError('not_found', `No program could open it: ${problem}`);
    },
    drag(files) {
      const [file] = files;
      if (file === undefined) return;
      const icon = electron.nativeImage.createFromPath(options.dragIcon);
      window()?.webContents.startDrag({ file, files: [...files], icon });
    },
    async openExternal(url) {
      const allowed = externalUrl(url);
      if (allowed === null) throw new AppError('not_allowed', 'Only pages of the web (https) are opened.');
      await electron.shell.openExternal(allowed);
    },
    preferences: current,
    async setPreferences({ startAtLogin, ...change }) {
      if (startAtLogin !== undefined && startAtLogin !== loginItem.isOn()) {
        if (!electron.app.isPackaged) {
          throw new AppError('unsupported', 'Only the installed application can start at login.');
        }
        await loginItem.set(startAtLogin);
      }
      const given = Object.entries(change).filter(([, value]) => value !== undefined);
      if (given.length > 0) await preferences.set(Object.fromEntries(given));
      return current();
    },
    links,
    update,
  };
}
