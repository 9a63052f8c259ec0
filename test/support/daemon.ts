import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import os from 'node:os';
import path from 'node:path';
import type { Ready } from '../../src-main/headless/daemon.ts';
import { runWarmCli } from './warm-cli.ts';

const root = path.resolve(import.meta.dirname, '../..');
const extrachain = path.join(root, 'bin', 'extrachain');

/** What one run of the command line answered. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One real daemon in a process of its own, driven as a user drives it: through the command line. */
export interface Daemon {
  readonly data: string;
  readonly ready: Ready;
  readonly pid: number;
  /** The last lines of its log (stderr), for a failing test's message. */
  log(): string;
  /** Runs a command with `--json`; throws with the error's code and message when it exits non-zero. */
  cli<T = unknown>(...args: string[]): Promise<T>;
  /** SIGTERM, waits for the exit; returns the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** Runs `bin/extrachain` once. */
export function runCli(
  args: readonly string[],
  options: { input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(extrachain, args, {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/**
 * Runs a command with `--json` and returns its value; throws `Error` with `.code` from the contract otherwise. In a process that is there
 * already: a hundred commands a file would be a hundred programs started.
 */
export async function cliJson<T>(data: string, args: readonly string[]): Promise<T> {
  const result = await runWarmCli(['--data', data, '--json', ...args]);
  if (result.code === 0) return (result.stdout.trim() === '' ? null : JSON.parse(result.stdout)) as T;
  let code = 'exit';
  let message = `exit ${result.code}: ${result.stderr}`;
  try {
    const parsed = JSON.parse(result.stdout) as { error?: { code: string; message: string }; code?: string };
    if (parsed.error) ({ code, message } = parsed.error);
    // `tx wait` answers with how a failed transaction ended and exits with 1.
    else if (parsed.code) ({ code } = parsed as { code: string });
  } catch {
    // not an answer of the contract; the raw text is in the message
  }
  throw Object.assign(new Error(`${args.join(' ')}: ${code}: ${message}`), { code });
}

export interface DaemonOptions {
  readonly data: string;
  /** The loopback address to listen on, 127.0.0.x. */
  readonly host?: string;
  readonly port?: number;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** No daemon outlives the process that started it. */
const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Starts a daemon and waits for its ready line. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const listen = `/ip4/${options.host ?? '127.0.0.1'}/tcp/${options.port ?? 0}`;
  const child = spawn(
    extrachain,
    ['daemon', '--data', options.data, '--listen', listen, '--no-mdns', ...(options.args ?? [])],
    { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  living.add(child);
  child.once('exit', () => living.delete(child));
  const tail: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    tail.push(chunk);
    if (tail.length > 400) tail.shift();
  });
  const exited = exit(child);
  const ready = await new Promise<Ready>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      try {
        const value = JSON.parse(line) as Ready;
        if (value.ready) resolve(value);
      } catch {
        reject(new Error(`not a ready line: ${line}`));
      }
    });
    void exited.then((code) => reject(new Error(`the daemon ended with ${code}: ${tail.join('')}`)));
    setTimeout(() => reject(new Error(`no ready line in 180 s: ${tail.join('')}`)), 180_000).unref();
  }).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return {
    data: options.data,
    ready,
    pid: child.pid!,
    log: () => tail.join(''),
    cli: (...args) => cliJson(options.data, args),
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function exit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on('exit', (code) => resolve(code)));
}

/** Runs a command that makes a transaction; resolves once it is final, and `other` has the block with it. */
export async function cliFinal(daemon: Daemon, other: Daemon, ...args: string[]): Promise<void> {
  const { hash } = await daemon.cli<{ hash: string }>(...args);
  const { height } = await daemon.cli<{ height: number }>('tx', 'wait', hash, '--timeout', '60');
  await other.cli('chain', 'wait', '--height', String(height), '--timeout', '60');
}

/** A temporary folder with a function that removes it. */
export async function tempDir(name: string): Promise<{ dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(path.join(os.tmpdir(), `extrachain-${name}-`));
  return { dir, remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }) };
}
