import { access } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import type { ElectronParts } from './electron-parts.ts';
import type { Updater } from './updates.ts';

/**
 * electron-updater, where this build is to update itself: it was packaged with a feed (`app-update.yml`), and no package
 * manager looks after it (on Linux only the AppImage replaces itself).
 */
export async function loadUpdater(app: Pick<ElectronParts['app'], 'isPackaged'>): Promise<Updater | null> {
  if (!app.isPackaged) return null;
  if (process.platform === 'linux' && process.env['APPIMAGE'] === undefined) return null;
  const feed = path.join(process.resourcesPath, 'app-update.yml');
  const configured = await access(feed).then(
    () => true,
    () => false,
  );
  if (!configured) return null;
  const { default: updater } = await import('electron-updater');
  return updater.autoUpdater;
}
