import { readFileSync } from 'node:fs';
import { CommanderError } from '@commander-js/extra-typings';
import { createProgram } from './program.ts';

const version = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

const args = process.argv.slice(2);
if (args.length === 1 && args[0] === '--version') {
  process.stdout.write(`${version}\n`);
} else {
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
