import path from 'node:path';
import process from 'node:process';
import type { AppContract } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { errorToWire } from '../../../src-shared/rpc/index.ts';
import type { Client } from '../../../src-shared/rpc/index.ts';
import { createProgress } from './progress.ts';
import type { Progress } from './progress.ts';

export type AppClient = Client<AppContract>;

/** What a command answers: a value for programs, and a sentence or table for people. */
export interface Answer {
  readonly value: unknown;
  readonly text: string | (() => string | Promise<string>);
  /** The command ran but what it looked at is not in order: exit 1. */
  readonly failed?: boolean;
}

/** What a running command has at hand. */
export interface Session {
  readonly dataDir: string;
  readonly json: boolean;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** The daemon of the data folder; connected at the first use. */
  client(): Promise<AppClient>;
  /** A new connection, after the daemon was started anew. */
  reconnect(): Promise<AppClient>;
}

export interface GlobalOptions {
  readonly data?: string | undefined;
  readonly json?: boolean | undefined;
}

/** `--data`, else `EXTRACHAIN_DATA`, else where this system keeps the data of programs. */
async function resolveDataDir(given: string | undefined): Promise<string> {
  const dir = given ?? process.env['EXTRACHAIN_DATA'];
  if (dir !== undefined && dir !== '') return path.resolve(dir);
  const { headlessPlatform } = await import('../../platform/index.ts');
  return headlessPlatform.defaultDataDir();
}

/** Runs one command, prints what it answers and sets the exit code. Never throws. */
export async function runCommand(
  options: GlobalOptions,
  command: (session: Session) => Promise<Answer | null>,
): Promise<void> {
  const json = options.json ?? false;
  const abort = new AbortController();
  const onInterrupt = () => abort.abort(new AppError('cancelled', 'Interrupted.'));
  process.once('SIGINT', onInterrupt);
  const progress = createProgress(process.stderr);
  let close = () => {};
  try {
    const dataDir = await resolveDataDir(options.data);
    const connectOnce = async () => {
      const { connectToDaemon } = await import('../client.ts');
      const connection = await connectToDaemon(dataDir);
      close = connection.close;
      return connection.client;
    };
    let client: Promise<AppClient> | null = null;
    const session = {
      dataDir,
      json,
      signal: abort.signal,
      progress,
      client: () => (client ??= connectOnce()),
      reconnect() {
        close();
        return (client = connectOnce());
      },
    };
    const answer = await command(session);
    progress.end();
    if (answer) {
      await print(json ? JSON.stringify(answer.value) : await textOf(answer));
      if (answer.failed) process.exitCode = 1;
    }
  } catch (error) {
    progress.end();
    await printError(error, json);
    process.exitCode = 1;
  } finally {
    process.removeListener('SIGINT', onInterrupt);
    close();
  }
}

async function textOf(answer: Answer): Promise<string> {
  return typeof answer.text === 'string' ? answer.text : answer.text();
}

function print(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // A reader that has seen enough (`| head`) is no failure.
    process.stdout.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' ? resolve() : reject(error),
    );
    process.stdout.write(`${line}\n`, () => resolve());
  });
}

/** One line on stderr; with `--json` the same as a value on stdout. */
export async function printError(error: unknown, json: boolean): Promise<void> {
  const { code, message, details } = errorToWire(error);
  const detail =
    error instanceof AppError ? '' : ` (${error instanceof Error ? error.message : String(error)})`;
  process.stderr.write(`extrachain: ${(message + detail).replace(/\s*\n\s*/g, ' ')} [${code}]\n`);
  if (json)
    await print(JSON.stringify({ error: { code, message, ...(details === undefined ? {} : { details }) } }));
}
