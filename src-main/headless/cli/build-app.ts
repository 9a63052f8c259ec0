import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { manifestName } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';

/**
 * Builds the app of a folder as its `package.json` says (`npm run build`, after `npm install` where nothing is installed yet), so that what is packed is
 * never the leftover of a development build. What npm prints goes to stderr. A folder that holds its manifest itself, or has no build, is left alone.
 * @throws AppError `build_failed` when npm is missing or a step fails
 */
export async function buildApp(dir: string, signal: AbortSignal): Promise<void> {
  if (existsSync(path.join(dir, manifestName)) || !(await hasBuild(dir))) return;
  if (!existsSync(path.join(dir, 'node_modules'))) {
    await npm(dir, ['install', '--no-audit', '--no-fund'], signal);
  }
  await npm(dir, ['run', 'build'], signal);
}

async function hasBuild(dir: string): Promise<boolean> {
  try {
    const { scripts } = JSON.parse(await readFile(path.join(dir, 'package.json'), 'utf8')) as {
      scripts?: Record<string, unknown>;
    };
    return typeof scripts?.['build'] === 'string';
  } catch {
    // No package, or one that npm would not read either: the node says what is missing.
    return false;
  }
}

function npm(dir: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  const what = `npm ${args.filter((one) => !one.startsWith('-')).join(' ')}`;
  return new Promise((resolve, reject) => {
    // On Windows npm is a batch file, which only a shell starts; nothing in the arguments comes from outside.
    const child = spawn('npm', [...args], {
      cwd: dir,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
      signal,
    });
    child.once('error', (cause) =>
      reject(
        new AppError(
          'build_failed',
          `“${what}” could not be started: ${cause.message}. Build the app yourself, or pack what is there with --no-build.`,
          { cause },
        ),
      ),
    );
    child.once('exit', (code) =>
      code === 0
        ? resolve()
        : reject(
            new AppError(
              'build_failed',
              `“${what}” failed in ${dir}; what it printed says why. Nothing was packed.`,
            ),
          ),
    );
  });
}
