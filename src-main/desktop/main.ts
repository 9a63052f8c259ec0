import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import * as electron from 'electron';
import { headlessPlatform, systemClock } from '../platform/index.ts';
import { runDesktop } from './desktop.ts';
import { loadUpdater } from './load-updater.ts';
import { createDesktopLog } from './log.ts';

// Bundled into dist/desktop, beside the preload script. Everything up to the first `await` of `runDesktop` happens
// before Electron is ready, as some of it must.
const here = import.meta.dirname;
const { env } = process;
const dataDir = env['EXTRACHAIN_DATA']
  ? path.resolve(env['EXTRACHAIN_DATA'])
  : headlessPlatform.defaultDataDir();

// Settings for tests and unusual set-ups come by the environment: what a link puts on the command line can't reach it.
const listen = (env['EXTRACHAIN_LISTEN'] ?? '').split(',').filter((address) => address !== '');

process.on('SIGTERM', () => electron.app.quit());
process.on('SIGINT', () => electron.app.quit());

// Not awaited: Electron is ready only after this module has been evaluated, and `runDesktop` waits for that.
void runDesktop({
  electron,
  dataDir,
  argv: process.argv.slice(1),
  platform: process.platform,
  configDir: env['XDG_CONFIG_HOME'] || path.join(os.homedir(), '.config'),
  program: env['APPIMAGE'] ?? process.execPath,
  files: {
    page: path.join(here, '..', 'window'),
    preload: path.join(here, 'preload.cjs'),
    appPreload: path.join(here, 'app-preload.cjs'),
    icons: path.join(here, '..', '..', 'assets'),
  },
  node: {
    listen,
    bootstrap: [],
    mdns: env['EXTRACHAIN_MDNS'] !== 'off',
    password: null,
    logLevel: 'warn',
    shippedApps: path.join(here, '..', 'apps'),
  },
  loadNode: async () => (await import('../node/index.ts')).createNode,
  loadUpdater: () => loadUpdater(electron.app),
  clock: systemClock,
  log: createDesktopLog(),
});
