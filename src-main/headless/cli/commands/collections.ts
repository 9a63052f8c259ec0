import type { Command } from '@commander-js/extra-typings';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatBytes, formatTable, formatTime } from '../format.ts';
import { parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import type { AppClient } from '../session.ts';

type Host = Awaited<ReturnType<AppClient['collections']['hosts']>>['hosts'][number];

/** A collection by its id, whichever app it belongs to. */
async function named(client: AppClient, collection: string, signal: AbortSignal) {
  const found = (await client.collections.list({}, { signal })).find((one) => one.collection === collection);
  if (found) return { app: found.app, collection };
  throw new AppError('not_found', 'There is no such collection on this computer; see `collection list`.');
}

/** `collection ...`: what apps keep in their key-value stores here. */
export function addCollectionCommands(program: Command, run: Run): void {
  const group = program.command('collection').description('key-value stores of apps on this computer');
  group
    .command('list')
    .option('--app <id>', 'of one app')
    .action(({ app }) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).collections.list(app === undefined ? {} : { app }, { signal });
        const rows = value.map((one) => [
          one.name,
          one.role ?? '-',
          one.members,
          one.keys,
          one.copies,
          one.app,
          one.collection,
        ]);
        const head = ['name', 'role', 'members', 'keys', 'copies', 'app', 'collection'];
        return { value, text: () => formatTable(head, rows, 'No app has a collection here.') };
      }),
    );
  const copiesText = (value: { readonly hosts: readonly Host[] }): Promise<string> =>
    formatTable(
      ['host', 'connected', 'complete', 'kept', 'problem'],
      value.hosts.map((one) => [
        one.peerId,
        one.connected ? 'yes' : 'no',
        one.complete ? 'yes' : 'no',
        formatBytes(one.bytes),
        one.problem ?? '',
      ]),
      'No host keeps a copy of it.',
    );
  group
    .command('replicate')
    .description('keeps copies on computers of others, which cannot read them')
    .argument('<collection>')
    .requiredOption(
      '--copies <count>',
      'on how many of them; 0 takes all back; "default": as the setting collections.copies says',
      (text) => (text === 'default' ? null : text === '0' ? 0 : parseCount(text)),
    )
    .action((collection, { copies }) =>
      run(async ({ client, signal }) => {
        const one = await client();
        const input = { ...(await named(one, collection, signal)), copies };
        const value = await one.collections.replicate(input, { signal });
        return { value, text: () => copiesText(value) };
      }),
    );
  group
    .command('hosts')
    .description('where those copies are')
    .argument('<collection>')
    .action((collection) =>
      run(async ({ client, signal }) => {
        const one = await client();
        const value = await one.collections.hosts(await named(one, collection, signal), { signal });
        return { value, text: () => copiesText(value) };
      }),
    );
  group
    .command('entries')
    .description('keys and values, as JSON')
    .argument('<collection>')
    .option('--prefix <text>', 'keys that begin so')
    .option('--after <key>', 'keys after this one')
    .option('--limit <count>', 'at most so many', parseCount)
    .action((collection, { prefix, after, limit }) =>
      run(async ({ client, signal }) => {
        const one = await client();
        const value = await one.collections.entries(
          {
            ...(await named(one, collection, signal)),
            ...(prefix !== undefined && { prefix }),
            ...(after !== undefined && { after }),
            ...(limit !== undefined && { limit }),
          },
          { signal },
        );
        const rows = value.entries.map((entry) => [
          entry.key,
          JSON.stringify(entry.value).slice(0, 80),
          formatTime(entry.time),
          entry.user ?? '-',
        ]);
        return { value, text: () => formatTable(['key', 'value', 'written', 'by'], rows, 'No such keys.') };
      }),
    );
}
