import path from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { formatFields, formatSeconds, formatTable } from '../format.ts';
import { fetchToFile } from '../fetch.ts';
import type { Run } from '../program.ts';

export function addNodeCommands(program: Command, run: Run): void {
  program
    .command('status')
    .description('what this node is and does')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).node.status({}, { signal });
        const text = formatFields([
          ['peer', value.peerId],
          ['user', value.userId ?? 'none yet: extrachain id create'],
          ['peers', value.peers],
          ['drives', value.drives],
          ['keystore', value.keystore],
          ['version', value.version],
          ['up for', formatSeconds(value.uptime)],
          ...value.addresses.map((address) => ['address', address] as const),
        ]);
        return { value, text };
      }),
    );

  program
    .command('doctor')
    .description('checks the node and its network')
    .option('--bundle <file.zip>', 'writes a diagnostics bundle with no secrets in it')
    .action(({ bundle }) =>
      run(async ({ client, signal }) => {
        const { doctor } = await client();
        const value = await doctor.check({}, { signal });
        const file = bundle === undefined ? null : path.resolve(bundle);
        if (file !== null) await fetchToFile((await doctor.bundle({}, { signal })).url, file, signal);
        return {
          value: file === null ? value : { ...value, bundle: file },
          text: async () => {
            const rows = value.checks.map(({ level, name, message }) => [level, name, message]);
            const table = await formatTable(['', 'check', 'found'], rows, 'Nothing was checked.');
            return file === null ? table : `${table}\n\nThe bundle is in ${file}.`;
          },
          failed: !value.ok,
        };
      }),
    );
}
