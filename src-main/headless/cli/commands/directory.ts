import type { Command } from '@commander-js/extra-typings';
import { Argument } from '@commander-js/extra-typings';
import { formatBytes, formatTable, formatTime } from '../format.ts';
import { parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';

const kind = () =>
  new Argument('<kind>', 'what it is: drive, stream or person').choices([
    'drive',
    'stream',
    'person',
  ] as const);

/** `directory ...`: public drives this node has heard of, and what stands in the directory of the active network. */
export function addDirectoryCommands(program: Command, run: Run): void {
  const directory = program.command('directory').description('public drives, streams and people');
  directory
    .command('search')
    .description('drives heard of from other nodes whose names contain the words')
    .argument('[words...]')
    .action((words) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).directory.search({ text: words.join(' ') }, { signal });
        const rows = value.map((one) => [
          one.name,
          one.files,
          formatBytes(one.bytes),
          one.holders,
          one.driveId,
        ]);
        const head = ['name', 'files', 'size', 'computers', 'drive'];
        return { value, text: () => formatTable(head, rows, 'No such public drive has been heard of.') };
      }),
    );
  directory
    .command('entries')
    .description('what stands on the network, with words that begin so')
    .argument('[words...]')
    .action((words) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).directory.entries({ text: words.join(' ') }, { signal });
        const rows = value.map((one) => [one.kind, one.title, one.id, one.owner, formatTime(one.paidUntil)]);
        const head = ['kind', 'title', 'id', 'owner', 'paid until'];
        return { value, text: () => formatTable(head, rows, 'The directory has no such entry.') };
      }),
    );
  directory
    .command('publish')
    .description('puts something of yours there, or changes it; its rent is paid by the day')
    .addArgument(kind())
    .argument('<id>', 'of the drive or stream, or your user id')
    .requiredOption('--title <title>', 'what it is called')
    .option('--text <text>', 'what it is found by besides', '')
    .option('--link <link>', 'where it is', '')
    .option('--days <days>', 'of rent', parseCount, 365)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((what, id, options) =>
      run(async ({ client, signal }) => {
        const { title, text, link, days } = options;
        const entry = { kind: what, id, title, text, link, days };
        return acceptedAnswer(
          await (await client()).directory.publish({ ...(await paying(options)), ...entry }, { signal }),
        );
      }),
    );
  directory
    .command('remove')
    .description('takes an entry of yours away')
    .addArgument(kind())
    .argument('<id>')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((what, id, options) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(
          await (await client()).directory.remove({ ...(await paying(options)), kind: what, id }, { signal }),
        ),
      ),
    );
}
