import path from 'node:path';
import process from 'node:process';
import type { Command } from '@commander-js/extra-typings';
import type { Grant, PermissionRequest } from '../../../../src-shared/apps/index.ts';
import type { InstalledApp } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatBytes, formatFields, formatTable } from '../format.ts';
import type { Run } from '../program.ts';
import type { AppClient } from '../session.ts';
import { addAuthorCommands } from './app-authors.ts';
import { bounds, collectGrants, grantOption } from './app-grants.ts';
import { addBlockListCommands, addPermissionCommands, addReviewCommands } from './app-trust.ts';

const installedAnswer = (value: InstalledApp) => ({
  value,
  text: formatFields([
    ['id', value.appId],
    ['name', value.name],
    ['version', `${value.version} (${value.channel})`],
    ['publisher', value.publisherName ?? value.publisher],
    ['size', formatBytes(value.size)],
    ['from', value.source],
    ['before', value.previous ?? '-'],
    [
      'update',
      value.update
        ? `${value.update.version}${value.update.grows.length > 0 ? ' (asks for more)' : ''}`
        : '-',
    ],
    ['taken back', value.revoked ? 'yes, by its publisher' : 'no'],
    ['warned of', value.blocked ? `${value.blocked.list}: ${value.blocked.reason}` : 'no'],
  ]),
});

/** Asks on a terminal; without one, or for programs, `--yes` has to have said it. */
async function agree(question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY) throw new AppError('not_allowed', `${question} Give --yes to agree.`);
  const { createInterface } = await import('node:readline/promises');
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await ask.question(`${question} [y/N] `);
  ask.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new AppError('cancelled', 'Nothing was changed.');
}

const wishes = (all: readonly PermissionRequest[]): string =>
  all
    .map(
      (one) => `${one.name}${bounds(one) ? ` (${bounds(one)})` : ''}${one.reason ? `: ${one.reason}` : ''}`,
    )
    .join('\n  ');

/** A path of this computer means a file; everything else is an id, a name or a link. */
const isFile = (text: string): boolean => text.endsWith('.exapp') && !text.includes('://');

async function installApp(
  client: AppClient,
  app: string,
  options: { readonly channel?: string | undefined; readonly grant: Grant[]; readonly yes: boolean },
  signal: AbortSignal,
) {
  const channel = options.channel === undefined ? {} : { channel: options.channel };
  const grants = options.grant;
  if (isFile(app)) return client.apps.install({ file: path.resolve(app), grants, ...channel }, { signal });
  if (!options.yes) {
    const found = await client.apps.show({ app, ...channel }, { signal });
    const { name, version, publisher, publisherName, permissions } = found;
    const asked = permissions.required.length > 0 ? `It needs:\n  ${wishes(permissions.required)}\n` : '';
    await agree(`${name} ${version} by ${publisherName ?? publisher}. ${asked}Install it?`, false);
  }
  return client.apps.install({ app, grants, ...channel }, { signal });
}

/** `app ...`: writing, publishing, installing and using apps. */
export function addAppCommands(program: Command, run: Run): void {
  const app = program.command('app').description('apps: write, publish, install, allow');
  const withApp = (name: string, description: string) =>
    app
      .command(name)
      .description(description)
      .argument('<app>', 'id, @name, link, or slug of an installed one');

  addAuthorCommands(app, run);
  app
    .command('list')
    .description('the store of the network in use; --installed: what is here')
    .option('--search <text>', 'words of name, description and categories', '')
    .option('--category <word>')
    .option('--channel <word>')
    .option('--installed', 'what is installed on this computer')
    .action(({ search, category, channel, installed }) =>
      run(async ({ client, signal }) => {
        const { apps } = await client();
        if (installed) {
          const value = await apps.installed({}, { signal });
          const rows = value.map((one) => [
            one.name,
            one.version,
            one.appId,
            one.source,
            one.update?.version ?? '-',
          ]);
          return {
            value,
            text: () =>
              formatTable(['name', 'version', 'id', 'from', 'update'], rows, 'No app is installed.'),
          };
        }
        const value = await apps.list(
          { search, category: category ?? null, ...(channel !== undefined && { channel }) },
          { signal },
        );
        const rows = value.map((one) => [
          one.name,
          one.revoked ? `${one.version} (taken back)` : one.version,
          one.publisherName ?? one.publisher,
          one.rating === null ? '-' : `${one.rating} of ${one.reviews}`,
          one.appId,
        ]);
        return {
          value,
          text: () => formatTable(['name', 'version', 'publisher', 'rating', 'id'], rows, 'No app fits.'),
        };
      }),
    );
  withApp('show', 'what an app is and asks for, before it is installed')
    .option('--channel <word>')
    .action((one, { channel }) =>
      run(async ({ client, signal }) => {
        const value = await (
          await client()
        ).apps.show({ app: one, ...(channel !== undefined && { channel }) }, { signal });
        const text = formatFields([
          ['id', value.appId],
          ['name', `${value.name} ${value.version}`],
          ['publisher', value.publisherName ?? value.publisher],
          ['about', value.description],
          ['needs', value.permissions.required.map(({ name }) => name).join(', ') || 'nothing'],
          ['may ask for', value.permissions.optional.map(({ name }) => name).join(', ') || 'nothing'],
          ['size', formatBytes(value.size)],
          ['license', value.license],
          ['installed', value.installed ?? 'no'],
        ]);
        return { value, text };
      }),
    );
  app
    .command('install')
    .description('installs an app; what it needs is granted')
    .argument('<app>', 'id, @name, link, or an .exapp file')
    .option('--channel <word>')
    .option(...grantOption, collectGrants, [])
    .option('--yes', 'agrees to what it needs')
    .action((one, { channel, grant: grants, yes }) =>
      run(async ({ client, signal, json }) =>
        installedAnswer(
          await installApp(await client(), one, { channel, grant: grants, yes: yes ?? json }, signal),
        ),
      ),
    );
  withApp('run', 'opens an app; prints an address that is good once')
    .option('--path <path>', 'where in the app', '')
    .option('--open', 'opens it in the browser')
    .action((one, options) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).apps.launch({ app: one, path: options.path }, { signal });
        if (options.open) await (await import('open')).default(value.url);
        return { value, text: value.url };
      }),
    );
  app
    .command('update')
    .description('installs what is newer; of a named app also what asks for more')
    .argument('[app]')
    .option('--yes', 'agrees to what it asks for')
    .action((one, { yes }) =>
      run(async ({ client, signal, json }) => {
        const { apps } = await client();
        if (one !== undefined && !yes && !json) {
          await apps.update({}, { signal });
          const grows = (await apps.installed({}, { signal })).find(
            (found) => (found.appId === one || found.slug === one) && found.update,
          )?.update?.grows;
          if (grows && grows.length > 0) await agree(`It asks for more:\n  ${wishes(grows)}\nUpdate?`, false);
        }
        const value = await apps.update(one === undefined ? {} : { app: one }, { signal });
        const rows = value.map((found) => [
          found.name,
          found.version,
          found.update
            ? `${found.update.version} asks for ${found.update.grows.map(({ name }) => name).join(', ') || 'your word'}`
            : '-',
        ]);
        return { value, text: () => formatTable(['name', 'version', 'waits'], rows, 'No app is installed.') };
      }),
    );
  withApp('rollback', 'goes back to the version before').action((one) =>
    run(async ({ client, signal }) =>
      installedAnswer(await (await client()).apps.rollback({ app: one }, { signal })),
    ),
  );
  withApp('remove', 'takes an app off this computer')
    .option('--keep-data', 'what it stored stays')
    .action((one, { keepData }) =>
      run(async ({ client, signal }) => {
        const value = await (
          await client()
        ).apps.remove({ app: one, keepData: keepData ?? false }, { signal });
        return { value, text: 'Removed.' };
      }),
    );
  withApp('pin', 'keeps it at the top')
    .option('--off', 'no longer')
    .action((one, { off }) =>
      run(async ({ client, signal }) =>
        installedAnswer(await (await client()).apps.set({ app: one, pinned: !off }, { signal })),
      ),
    );
  withApp('auto-update', 'installs updates that need no more by themselves')
    .option('--off', 'no longer')
    .action((one, { off }) =>
      run(async ({ client, signal }) =>
        installedAnswer(await (await client()).apps.set({ app: one, autoUpdate: !off }, { signal })),
      ),
    );
  addPermissionCommands(app, run);
  addReviewCommands(app, run);
  addBlockListCommands(app, run);
}
