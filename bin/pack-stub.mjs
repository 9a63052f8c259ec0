// `npm run pack:stub`: electron-builder without Electron. Where its binary can't be had, this packs the application around
// an empty stand-in, so that the configuration, the list of files and the fuses can be looked at.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { buildDesktop } from './build-desktop.mjs';
import { buildWindow } from './build-window.mjs';
import { requireNode, root } from './bootstrap.mjs';

/** Electron's fuses as its binary holds them: what marks the place, version, number, then one character each. */
export const fuseMark = 'dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX';
const fuses = '1'.repeat(9);

/** Makes a folder that passes for an unpacked Electron of Linux. */
function makeStub(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, 'resources'), { recursive: true });
  mkdirSync(path.join(folder, 'locales'));
  for (const name of ['en-US', 'de', 'fr']) writeFileSync(path.join(folder, 'locales', `${name}.pak`), '');
  for (const name of ['LICENSE', 'LICENSES.chromium.html', 'version'])
    writeFileSync(path.join(folder, name), '');
  for (const name of ['electron', 'chrome-sandbox', 'chrome_crashpad_handler']) {
    const wire = Buffer.concat([Buffer.from(fuseMark), Buffer.from([1, fuses.length]), Buffer.from(fuses)]);
    writeFileSync(
      path.join(folder, name),
      Buffer.concat([Buffer.from('#!/bin/false\n'), wire, Buffer.alloc(64)]),
    );
    chmodSync(path.join(folder, name), 0o755);
  }
}

/**
 * Packs for Linux on this processor.
 * @param output folder for the result; the application lies in `linux-unpacked` there (with the processor in its name, if
 *   that is not x64)
 * @returns what electron-builder printed
 */
export async function packStub(output) {
  await buildDesktop();
  if (!buildWindow()) throw new Error('The window could not be built.');
  const apps = spawnSync(requireNode(), [path.join(root, 'bin', 'build-apps.mjs')], {
    cwd: root,
    stdio: 'ignore',
  });
  if (apps.status !== 0) throw new Error('The apps could not be built.');
  const stub = path.join(output, 'stub');
  makeStub(stub);
  const args = [
    '--dir',
    '--linux',
    `--${process.arch}`,
    `-c.electronDist=${stub}`,
    `-c.directories.output=${output}`,
  ];
  const { status, stdout, stderr } = spawnSync(
    requireNode(),
    [path.join(root, 'node_modules', 'electron-builder', 'cli.js'), ...args],
    { cwd: root, encoding: 'utf8', env: { ...process.env, CI: 'true' } },
  );
  if (status !== 0) throw new Error(`electron-builder failed:\n${stdout}${stderr}`);
  return stdout + stderr;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(await packStub(path.resolve(process.argv[2] ?? path.join(root, 'dist', 'packages'))));
}
