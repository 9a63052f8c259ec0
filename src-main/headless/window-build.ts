import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The build of the window, in this checkout or this package. */
export const windowDir = path.join(root, 'dist', 'window');
/** The bundles of the apps that come along. */
export const appsDir = path.join(root, 'dist', 'apps');

/**
 * In a checkout whose window was never built: builds it beside the running node, which serves the plain page until then.
 * @returns ends the build if it still goes on
 */
export function buildMissingWindow(): () => void {
  const script = path.join(root, 'bin', 'build-window.mjs');
  if (existsSync(path.join(windowDir, 'index.html')) || !existsSync(script)) return () => {};
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'ignore', 'inherit'] });
  // What goes wrong is said by the script itself; the plain page stays.
  child.on('error', () => {});
  child.unref();
  return () => void child.kill();
}
