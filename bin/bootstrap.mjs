// Makes a fresh checkout ready: installs what the lockfile names and provides the pinned Node. Uses only Node's own
// modules and runs on Node 20. Says nothing, and takes a few milliseconds, when all is in place.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const modules = path.join(root, 'node_modules');

/** Flags for every process of ours; `bin/extrachain` has the same. */
export const nodeFlags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4'];

/** The Node that the lockfile pins, for this system; null when it brings none (macOS). */
export function pinnedNode() {
  const folder = path.join(
    modules,
    `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`,
  );
  const file = path.join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  return existsSync(file) ? file : null;
}

/** The Node to run our code with. Ends the process, saying why, when there is none that can. */
export function requireNode() {
  const pinned = pinnedNode();
  if (pinned !== null) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  console.error(
    `ExtraChain needs Node 24. For ${process.platform}-${process.arch} it can't be installed along; see .nvmrc.`,
  );
  process.exit(1);
}

const modified = (file) => statSync(file).mtimeMs;

/** Every package that the lockfile names is here in its version; those of other systems may be missing. */
function hasLockedVersions(lockFile, installedFile) {
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  return Object.entries(JSON.parse(readFileSync(lockFile, 'utf8')).packages).every(
    ([name, { version, optional }]) =>
      name === '' || (name in installed ? installed[name].version === version : optional === true),
  );
}

/** npm writes `.package-lock.json` last, so it stands for a whole install. */
function isInstalled() {
  const lockFile = path.join(root, 'package-lock.json');
  const installedFile = path.join(modules, '.package-lock.json');
  if (!existsSync(installedFile)) return false;
  // The lockfile may be newer only because git wrote it again.
  return modified(installedFile) >= modified(lockFile) || hasLockedVersions(lockFile, installedFile);
}

function install() {
  console.error('Installing the packages that package-lock.json names (once)...');
  // No package needs its install script: the native ones bring their binaries along.
  const args = [
    'ci',
    '--ignore-scripts',
    '--include=optional',
    '--include=dev',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const { status, error } = spawnSync(command, [...first, ...args], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: command === 'npm' && process.platform === 'win32',
  });
  if (status !== 0) {
    console.error(`npm ci failed${error ? `: ${error.message}` : ''}.`);
    process.exit(1);
  }
}

/** After an install only: the pinned Node starts, and the native packages load in it. */
function assertRuns() {
  const check =
    "if (Number(process.versions.node.split('.')[0]) < 24) throw new Error('Node ' + process.version);" +
    "await import('@parcel/watcher'); const { default: D } = await import('better-sqlite3'); new D(':memory:').close()";
  const { status } = spawnSync(requireNode(), ['--input-type=module', '-e', check], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    console.error(
      'The packages are installed, but Node 24 with its native packages does not run on this system.',
    );
    process.exit(1);
  }
}

export function bootstrap() {
  if (!isInstalled()) {
    install();
    assertRuns();
  }
  requireNode();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) bootstrap();
