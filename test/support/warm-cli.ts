import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { CliResult } from './daemon.ts';

/** Processes that wait for the next command; as many as commands ran at once. */
const idle: ChildProcess[] = [];
const program = path.join(import.meta.dirname, 'cli-process.ts');

function start(): ChildProcess {
  const child = fork(program, [], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  child.setMaxListeners(0);
  return child;
}

/** The same as a run of `bin/extrachain` with these arguments and an empty stdin, in a process that ran others before. */
export async function runWarmCli(args: readonly string[]): Promise<CliResult> {
  const child = idle.pop() ?? start();
  // While nothing is asked it keeps nobody from ending.
  child.ref();
  child.channel?.ref();
  const result = await new Promise<CliResult>((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`the command's process ended with ${code}`));
    child.once('exit', ended);
    child.once('error', reject);
    child.once('message', (answer: CliResult) => {
      child.off('exit', ended);
      child.off('error', reject);
      resolve(answer);
    });
    child.send(args);
  });
  child.unref();
  child.channel?.unref();
  idle.push(child);
  return result;
}
