// Where the Electron binary is. The package `electron` itself is never loaded for that: under Node it begins to download,
// and waits.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { requireNode, root } from './bootstrap.mjs';

const names = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' };
const packaged = path.join(root, 'node_modules', 'electron');
/** A download may take so long, ms. */
const patience = 120_000;
/** Where none was possible it is not tried again for so long, ms. */
const rest = 24 * 60 * 60 * 1000;
const failed = path.join(packaged, '.not-fetched');

function fetchElectron() {
  console.error(
    'Fetching Electron (once, about 120 MB; with EXTRACHAIN_FETCH_ELECTRON=0 the window is served to your browser)...',
  );
  spawnSync(requireNode(), [path.join(packaged, 'install.js')], {
    stdio: ['ignore', 2, 'ignore'],
    timeout: patience,
  });
  if (findElectron() !== null) return;
  try {
    writeFileSync(failed, '');
  } catch {
    // Packages that belong to somebody else: then it is tried at each start.
  }
}

function failedLately() {
  return existsSync(failed) && Date.now() - statSync(failed).mtimeMs < rest;
}

/** `ELECTRON_OVERRIDE_DIST_PATH`, else what `npx install-electron` has put beside the package; null: neither is there. */
export function findElectron() {
  for (const folder of [process.env.ELECTRON_OVERRIDE_DIST_PATH, path.join(packaged, 'dist')]) {
    if (!folder) continue;
    const file = path.join(folder, names[process.platform] ?? 'electron');
    if (existsSync(file)) return file;
  }
  return null;
}

/**
 * Why no window of Electron can be shown here, in words; null: it can.
 * @param {{ fetch?: boolean }} options whether a binary that is not here may be downloaded; else only when asked for
 */
export function whyNoElectron({ fetch = false } = {}) {
  const wish = process.env.EXTRACHAIN_FETCH_ELECTRON;
  if (process.platform === 'linux') {
    if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return 'there is no display';
    if (process.getuid() === 0) return "Electron's sandbox does not work for root";
  }
  const wanted = wish === '1' || (fetch && wish !== '0' && !failedLately());
  if (findElectron() === null && wanted) fetchElectron();
  if (findElectron() !== null) return null;
  return wanted || (fetch && failedLately())
    ? "Electron's binary could not be fetched (EXTRACHAIN_FETCH_ELECTRON=1 npm start tries again)"
    : "Electron's binary is not here (EXTRACHAIN_FETCH_ELECTRON=1 npm start fetches it)";
}
