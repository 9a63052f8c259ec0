import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { createStream } from 'rotating-file-stream';

/** Of the file being written, and how many older ones are kept: 12 MB at the most. */
const largest = '3M';
const keptFiles = 3;
const keptCrashes = 5;
const current = 'extrachain.log';

/** Where a node writes what it has to say, JSON line by line. */
export interface LogFile {
  write(line: string): void;
  close(): Promise<void>;
}

export const logsDir = (dataDir: string): string => path.join(dataDir, 'logs');

/** A log in the data folder that never grows beyond its bounds: full files are moved aside, the oldest goes. */
export function createLogFile(dataDir: string): LogFile {
  const dir = logsDir(dataDir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stream = createStream((_, index) => (index ? `${current}.${index}` : current), {
    path: dir,
    size: largest,
    rotate: keptFiles,
    mode: 0o600,
  });
  // A log that cannot be written (a full disk) must not end the program; stderr has it as well.
  stream.on('error', () => {});
  return {
    write: (line) => void stream.write(line),
    close: () => new Promise((resolve) => stream.end(resolve)),
  };
}

/**
 * Writes what ended the program into the log folder, before it ends.
 * @returns what ends that
 */
export function keepCrashReports(dataDir: string, version: string): () => void {
  const dir = logsDir(dataDir);
  const onCrash = (error: Error, origin: string) => {
    const time = new Date().toISOString();
    const report = {
      time,
      version,
      origin,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      platform: `${process.platform} ${process.arch}`,
      node: process.version,
      uptime: Math.round(process.uptime()),
      memory: process.memoryUsage(),
    };
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const name = `crash-${time.replaceAll(':', '')}.json`;
      writeFileSync(path.join(dir, name), JSON.stringify(report, null, 2), { mode: 0o600 });
      for (const old of crashes(dir).slice(0, -keptCrashes)) rmSync(path.join(dir, old), { force: true });
    } catch {
      // Nothing more can be done; the error itself is on stderr.
    }
  };
  process.on('uncaughtExceptionMonitor', onCrash);
  return () => void process.removeListener('uncaughtExceptionMonitor', onCrash);
}

/** Oldest first. */
function crashes(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => /^crash-.*\.json$/.test(name))
    .sort();
}

/** The end of the log, at most `bytes`, whole lines, oldest first; and all crash reports, by file name. */
export function readLogs(
  dataDir: string,
  bytes = 512 * 1024,
): { readonly log: string; readonly crashes: Readonly<Record<string, string>> } {
  const dir = logsDir(dataDir);
  const read = (name: string): string => {
    try {
      return readFileSync(path.join(dir, name), 'utf8');
    } catch {
      return '';
    }
  };
  const all = `${read(`${current}.1`)}${read(current)}`;
  const log = all.length <= bytes ? all : all.slice(all.indexOf('\n', all.length - bytes) + 1);
  let names: string[] = [];
  try {
    names = crashes(dir);
  } catch {
    // No folder: nothing was ever logged.
  }
  return { log, crashes: Object.fromEntries(names.map((name) => [name, read(name)])) };
}
