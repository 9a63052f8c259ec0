// `npm start`: the application's window, where Electron can show it; else a node with its page on this computer
// (`npm start -- --browser` asks for that).
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { bootstrap, nodeFlags, requireNode, root } from './bootstrap.mjs';
import { findElectron, whyNoElectron } from './electron.mjs';

/** An Electron that fails sooner than this could not start at all, ms. */
const startTime = 10_000;

/** @returns how the program ended, and after how many ms */
function run(command, args) {
  const started = performance.now();
  const child = spawn(command, args, { stdio: 'inherit', cwd: root });
  // Ctrl-C reaches the child by itself; a signal to this process alone has to be passed on.
  const onInterrupt = () => {};
  const onTerminate = () => child.kill('SIGTERM');
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  return new Promise((resolve) => {
    const end = (code, signal) => {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onTerminate);
      resolve({ code: signal ? 1 : code, signal, after: performance.now() - started });
    };
    child.on('error', () => end(1, null));
    child.on('exit', end);
  });
}

/** Runs a build script under the pinned Node: this process may be an older one. */
function build(script) {
  const args = [path.join(root, 'bin', script)];
  return spawnSync(requireNode(), args, { cwd: root, stdio: ['ignore', 2, 2] }).status === 0;
}

/** @returns the exit code; null: it could not start */
async function startDesktop() {
  if (!build('build-desktop.mjs')) return null;
  const { code, signal, after } = await run(findElectron(), [root]);
  return code !== 0 && signal === null && after < startTime ? null : code;
}

bootstrap();
build('build-window.mjs');
build('build-apps.mjs');
const why = process.argv.includes('--browser') ? 'you asked for it' : whyNoElectron({ fetch: true });
let code = null;
if (why === null) {
  code = await startDesktop();
  if (code === null) console.error('Electron could not start; the window is served to your browser instead.');
} else {
  console.error(`The window is served to your browser: ${why}.`);
}
if (code === null) {
  const start = path.join(root, 'src-main', 'headless', 'start.ts');
  ({ code } = await run(requireNode(), [...nodeFlags, start]));
}
process.exit(code);
