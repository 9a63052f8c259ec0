import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { watch } from 'chokidar';
import { bundleLimits, manifestName, pathProblem } from '../../../src-shared/apps/index.ts';
import type { BundleManifest } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import { appFolder, readSourceManifest } from '../bundle/index.ts';

/** A folder served as an app while its author works on it: nothing is hashed, everything is read when it is asked for. */
export interface DevFolder {
  manifest(): Promise<BundleManifest>;
  read(file: string): Promise<Uint8Array | null>;
  stop(): Promise<void>;
}

/** The manifest of a folder as it is now. @throws AppError as `readSourceManifest` */
export async function devManifest(dir: string): Promise<BundleManifest> {
  const { $schema: _, ...source } = await readSourceManifest(await appFolder(dir));
  return { ...source, files: {} };
}

/** A build writes many files: pages are told once it has been still for so long, ms. */
const stillFor = 150;

/** @param changed called when files changed and are at rest: what a build took away comes again */
export function openDevFolder(dir: string, clock: Clock, changed: () => void): DevFolder {
  let cancel = (): void => {};
  const watcher = watch(dir, {
    ignoreInitial: true,
    ignored: (one) => /(?:^|[\\/])(?:node_modules|\.git)(?:[\\/]|$)/.test(path.relative(dir, one)),
    awaitWriteFinish: { stabilityThreshold: stillFor, pollInterval: 50 },
  });
  watcher.on('all', () => {
    cancel();
    cancel = clock.after(stillFor, changed);
  });
  watcher.on('error', () => {});
  return {
    manifest: () => devManifest(dir),
    async read(file) {
      if (pathProblem(file) !== null || file === manifestName) return null;
      const folder = await realpath(await appFolder(dir));
      const real = await realpath(path.join(folder, file)).catch(() => null);
      if (real === null || !real.startsWith(folder + path.sep)) return null;
      const bytes = await readFile(real).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'EISDIR') return null;
        throw new AppError('corrupt', `${file} can't be read.`, { cause: error });
      });
      if (bytes && bytes.length > bundleLimits.fileBytes)
        throw new AppError('too_large', `${file} is larger than ${bundleLimits.fileBytes} bytes.`);
      return bytes;
    },
    stop() {
      cancel();
      return watcher.close();
    },
  };
}
