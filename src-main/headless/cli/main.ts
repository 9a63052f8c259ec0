import { readFileSync } from 'node:fs';
import process from 'node:process';
import { runArguments } from './run.ts';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

await runArguments(process.argv.slice(2), version);
