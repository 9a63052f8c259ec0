import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from '@commander-js/extra-typings';
import { manifestName } from '../../../../src-shared/apps/index.ts';
import { formatBytes, formatFields } from '../format.ts';
import { parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import { collectGrants, grantOption } from './app-grants.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';

/** How long a build that has just been started may take until its manifest is there, and how often that is looked at, ms. */
const buildWithin = 60_000;
const lookEvery = 250;

/**
 * Waits for the manifest of a folder whose build was started a moment ago (`npm run dev &`). A folder that nothing is built in is left to
 * the node's own words.
 */
async function firstBuild(dir: string, signal: AbortSignal): Promise<void> {
  const isWhole = (file: string): boolean => {
    try {
      JSON.parse(readFileSync(path.join(dir, file), 'utf8'));
      return true;
    } catch {
      // Not there yet, or half written.
      return false;
    }
  };
  const isBuilt = (): boolean =>
    existsSync(path.join(dir, manifestName)) || isWhole(path.join('dist', manifestName));
  if (isBuilt() || !existsSync(path.join(dir, 'package.json'))) return;
  process.stderr.write('Waiting for the first build. Start it with: npm run dev\n');
  for (let waited = 0; waited < buildWithin && !isBuilt(); waited += lookEvery) {
    await sleep(lookEvery, undefined, { signal });
  }
}

/** What authors do. */
export function addAuthorCommands(app: Command, run: Run): void {
  app
    .command('init')
    .description('begins a new app in a folder: TypeScript and vite')
    .argument('<dir>')
    .option('--name <name>', 'of the app; left out: that of the folder')
    .action((dir, { name }) =>
      run(async () => {
        const { initApp } = await import('../init-app.ts');
        const value = await initApp(path.resolve(dir), name ?? null);
        return { value, text: `Made ${value.dir}. Go on with: cd ${dir} && npm install && npm run dev` };
      }),
    );
  app
    .command('dev')
    .description('opens the app of a folder as it is on disk; its pages load anew when files change')
    .argument('<dir>')
    .option(...grantOption, collectGrants, [])
    .option('--open', 'opens it in the browser')
    .action((dir, { grant: grants, open }) =>
      run(async ({ client, signal, json }) => {
        const { apps } = await client();
        await firstBuild(path.resolve(dir), signal);
        const { appId } = await apps.develop({ dir: path.resolve(dir), grants }, { signal });
        const { url } = await apps.launch({ app: appId }, { signal });
        process.stdout.write(json ? `${JSON.stringify({ appId, url })}\n` : `${url}\n`);
        if (open) await (await import('open')).default(url);
        return null;
      }),
    );
  app
    .command('pack')
    .description(
      'builds an app as its package.json says, and packs the folder with extrachain.json into a bundle',
    )
    .argument('<dir>')
    .requiredOption('--out <file>', 'the bundle, .exapp')
    .option('--no-build', 'packs what is there')
    .action((dir, { out, build }) =>
      run(async ({ client, signal }) => {
        if (build) await (await import('../build-app.ts')).buildApp(path.resolve(dir), signal);
        const value = await (
          await client()
        ).apps.pack({ dir: path.resolve(dir), out: path.resolve(out) }, { signal });
        const text = `${value.slug} ${value.version}: ${value.files} files, ${formatBytes(value.size)}, root ${value.root}`;
        return { value, text };
      }),
    );
  app
    .command('publish')
    .description('puts a bundle into your public drive and registers the release')
    .argument('<file>', 'a bundle')
    .option('--channel <word>')
    .option('--days <days>', 'of rent for the entry', parseCount)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((file, options) =>
      run(async ({ client, signal }) => {
        const { channel, days } = options;
        const value = await (
          await client()
        ).apps.publish(
          {
            ...(await paying(options)),
            file: path.resolve(file),
            ...(channel !== undefined && { channel }),
            ...(days !== undefined && { days }),
          },
          { signal },
        );
        const text = formatFields([
          ['id', value.appId],
          ['version', value.version],
          ['drive', value.link],
          ['transaction', value.hash],
        ]);
        return { value, text };
      }),
    );
  app
    .command('revoke-version')
    .description('takes a release of yours back')
    .argument('<app>')
    .argument('<version>')
    .option('--reason <text>', 'for those who have it', '')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((one, version, options) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(
          await (
            await client()
          ).apps.revokeRelease(
            { ...(await paying(options)), app: one, version, reason: options.reason },
            { signal },
          ),
        ),
      ),
    );
  app
    .command('unpublish')
    .description('takes an app of yours off the register')
    .argument('<app>')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((one, options) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(
          await (await client()).apps.unpublish({ ...(await paying(options)), app: one }, { signal }),
        ),
      ),
    );
}
