import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const names: Partial<Record<NodeJS.Platform, string>> = {
  darwin: 'Electron.app/Contents/MacOS/Electron',
  win32: 'electron.exe',
};

/**
 * The Electron binary, when it is there: `ELECTRON_OVERRIDE_DIST_PATH`, else what `npx install-electron` has put beside the
 * package. The package itself is not asked: it would begin to download.
 * @returns null when there is none
 */
export function findElectron(): string | null {
  const root = path.resolve(import.meta.dirname, '../..');
  const folders = [
    process.env['ELECTRON_OVERRIDE_DIST_PATH'],
    path.join(root, 'node_modules', 'electron', 'dist'),
  ];
  for (const folder of folders) {
    if (folder === undefined || folder === '') continue;
    const file = path.join(folder, names[process.platform] ?? 'electron');
    if (existsSync(file)) return file;
  }
  return null;
}
