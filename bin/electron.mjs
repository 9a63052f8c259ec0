// Where the Electron binary is. The package `electron` itself is never loaded for that: under Node it begins to download,
// and waits.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { requireNode, root } from './bootstrap.mjs';

const names = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' };
const packaged = path.join(root, 'node_modules', 'electron');
/** A download may take so long, ms. */
const patience = 180_000;

/** `ELECTRON_OVERRIDE_DIST_PATH`, else what `npx install-electron` has put beside the package; null: neither is there. */
export function findElectron() {
  for (const folder of [process.env.ELECTRON_OVERRIDE_DIST_PATH, path.join(packaged, 'dist')]) {
    if (!folder) continue;
    const file = path.join(folder, names[process.platform] ?? 'electron');
    if (existsSync(file)) return file;
  }
  return null;
}

/** Why no window of Electron can be shown here, in words; null: it can. */
export function whyNoElectron() {
  if (process.platform === 'linux') {
    if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return 'there is no display';
    if (process.getuid() === 0) return "Electron's sandbox does not work for root";
  }
  if (findElectron() === null && process.env.EXTRACHAIN_FETCH_ELECTRON === '1') {
    console.error('Fetching Electron (once)...');
    spawnSync(requireNode(), [path.join(packaged, 'install.js')], { stdio: 'inherit', timeout: patience });
  }
  if (findElectron() !== null) return null;
  return "Electron's binary is not here (EXTRACHAIN_FETCH_ELECTRON=1 npm start fetches it)";
}
