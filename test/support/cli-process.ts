// A process that runs one command line after another, as it was asked over its channel: what `bin/extrachain` runs, without the start of a
// program each time. Ends with whoever started it.
import process from 'node:process';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/node', import.meta.url)));
const { runArguments } = await import('../../src-main/headless/cli/run.ts');

let taken: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };

for (const name of ['stdout', 'stderr'] as const) {
  const write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    taken[name].push(Buffer.from(chunk as Uint8Array));
    const done = rest.find((each) => typeof each === 'function') as (() => void) | undefined;
    if (done) process.nextTick(done);
    return true;
  };
  process[name].write = write as typeof process.stdout.write;
  // Each command listens for a reader that went away, as it is the only one of its process.
  process[name].setMaxListeners(0);
}

process.on('message', (args: readonly string[]) => {
  taken = { stdout: [], stderr: [] };
  process.exitCode = undefined;
  void runArguments(args, 'test').then(
    () => answer(Number(process.exitCode ?? 0)),
    (error: unknown) => {
      taken.stderr.push(Buffer.from(String(error)));
      answer(1);
    },
  );
});
process.on('disconnect', () => process.exit());

function answer(code: number): void {
  const text = (name: 'stdout' | 'stderr'): string => Buffer.concat(taken[name]).toString();
  process.send!({ code, stdout: text('stdout'), stderr: text('stderr') });
}
