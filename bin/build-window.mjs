// Builds the window into dist/window when it is missing or older than its sources. Says what it does on stderr; takes a
// few milliseconds when all is in place. `--force` builds in any case.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { requireNode, root } from './bootstrap.mjs';
import { windowBudget, windowSize } from './window-size.mjs';

const target = path.join(root, 'dist', 'window');
const vite = path.join(root, 'node_modules', 'vite', 'bin', 'vite.js');

function isCurrent() {
  const index = path.join(target, 'index.html');
  if (!existsSync(index)) return false;
  const built = statSync(index).mtimeMs;
  const sources = [
    'vite.config.ts',
    'package-lock.json',
    ...globSync(['src-renderer/**/*.{vue,ts,css,json,html,svg}', 'src-shared/**/*.ts'], { cwd: root }),
  ];
  return sources.every((file) => statSync(path.join(root, file)).mtimeMs <= built);
}

/** @returns whether the window is there */
export function buildWindow({ force = false } = {}) {
  if (!force && isCurrent()) return true;
  if (!existsSync(vite)) return existsSync(target);
  console.error('Building the window (some seconds)...');
  // Beside its place first: whoever serves the old one goes on, and two builds at once do not mix.
  const fresh = path.join(root, 'dist', `window-${process.pid}`);
  const args = [vite, 'build', '--outDir', fresh, '--emptyOutDir', '--logLevel', 'warn'];
  // Whoever runs it, a test too: what is shipped is built, without the libraries' own warnings.
  const env = { ...process.env, NODE_ENV: 'production' };
  const { status } = spawnSync(requireNode(), args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    console.error('The window could not be built.');
    return false;
  }
  const { all } = windowSize(fresh);
  if (all > windowBudget) {
    rmSync(fresh, { recursive: true, force: true });
    console.error(
      `The window takes ${all} bytes gzipped without the PDF viewer; ${windowBudget} is the most.`,
    );
    return false;
  }
  mkdirSync(path.dirname(target), { recursive: true });
  rmSync(target, { recursive: true, force: true });
  renameSync(fresh, target);
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = buildWindow({ force: process.argv.includes('--force') }) ? 0 : 1;
}
