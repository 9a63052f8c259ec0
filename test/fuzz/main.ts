/**
 * `npm run fuzz [-- --minutes 10] [--seed N]`: every decoder of bytes from the network or disk against random input, all
 * properties together for about so many minutes. A failure prints the seed, the path and the smallest input found.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runVitest } from '../support/run-vitest.ts';
import { decoders } from './decoders.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const root = path.resolve(import.meta.dirname, '../..');
let properties = 0;
for (const { decoder, file } of decoders) {
  const count = (await readFile(path.join(root, file), 'utf8')).split('fc.assert(').length - 1;
  properties += count;
  console.log(`${decoder}: ${count} properties in ${file}`);
}
const ms = Math.max(100, Math.round((Number(values.minutes) * 60_000) / properties));
console.log(`${properties} properties, ${ms} ms each, seed ${values.seed}, Node ${process.versions.node}`);
process.exitCode = await runVitest(
  decoders.map(({ file }) => file),
  { EXTRACHAIN_FUZZ_MS: String(ms), EXTRACHAIN_FUZZ_SEED: values.seed },
);
