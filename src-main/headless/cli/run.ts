import process from 'node:process';
import { CommanderError } from '@commander-js/extra-typings';
import { createProgram } from './program.ts';

/**
 * Runs the command line with these arguments: prints the answer and sets the exit code.
 * @param version of the program
 */
export async function runArguments(args: readonly string[], version: string): Promise<void> {
  if (args.length === 1 && args[0] === '--version') {
    process.stdout.write(`${version}\n`);
    return;
  }
  try {
    await createProgram(version).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Asked-for help and version end well; everything else commander throws is wrong usage, already said on stderr.
    const asked = ['commander.helpDisplayed', 'commander.version'].includes(error.code);
    process.exitCode = asked ? 0 : 2;
    if (!asked && args.includes('--json')) {
      const message = error.message.replace(/^error: /, '');
      process.stdout.write(`${JSON.stringify({ error: { code: 'invalid_argument', message } })}\n`);
    }
  }
}
