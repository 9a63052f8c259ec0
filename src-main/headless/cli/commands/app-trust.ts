import { readFile } from 'node:fs/promises';
import type { Command } from '@commander-js/extra-typings';
import type { AppPermission } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { disclosures } from '../disclosures.ts';
import { formatTable, formatTime } from '../format.ts';
import { parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import type { AppClient } from '../session.ts';
import { bounds, parseGrant } from './app-grants.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';

/** What an app may do, and what waits for a yes. */
export function addPermissionCommands(app: Command, run: Run): void {
  const answer = (value: readonly AppPermission[]) => ({
    value,
    text: () =>
      formatTable(
        ['permission', 'state', 'bounds', 'for'],
        value.map((one) => [one.name, one.state, bounds(one) || '-', one.reason ?? '-']),
        'It asks for nothing.',
      ),
  });
  app
    .command('permissions')
    .description('what an app may do')
    .argument('<app>')
    .action((one) =>
      run(async ({ client, signal }) =>
        answer(await (await client()).apps.permissions({ app: one }, { signal })),
      ),
    );
  app
    .command('grant')
    .description('allows an app more')
    .argument('<app>')
    .argument('<permission>', 'NAME, drive.read=DRIVE/PATH, "tokens.spend=2.5 EXC", messages=100', parseGrant)
    .action((one, what) =>
      run(async ({ client, signal }) =>
        answer(await (await client()).apps.grant({ app: one, grant: what }, { signal })),
      ),
    );
  app
    .command('revoke')
    .description('takes a permission back')
    .argument('<app>')
    .argument('<permission>', 'NAME; with bounds, exactly that one', parseGrant)
    .action((one, { name, caveats }) =>
      run(async ({ client, signal }) => {
        const exactly = Object.keys(caveats).length > 0 ? { caveats } : {};
        return answer(await (await client()).apps.revoke({ app: one, name, ...exactly }, { signal }));
      }),
    );
  app
    .command('approvals')
    .description('what apps ask you now')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).apps.approvals({}, { signal });
        const rows = value.map((one) => [
          one.approvalId,
          one.appName,
          one.kind,
          one.spends.map(({ amount, symbol }) => `${amount} ${symbol}`).join(', ') || '-',
          one.text,
        ]);
        const effects = value.flatMap((one) => [
          '',
          one.approvalId,
          ...(one.fee ? [`  fee ${one.fee.amount} ${one.fee.symbol}`] : []),
          ...one.balancesAfter.map(({ amount, symbol }) => `  ${amount} ${symbol} left after it`),
          ...one.discloses.map((name) => `  ${disclosures[name]}`),
        ]);
        const head = ['id', 'app', 'asks for', 'spends', 'what'];
        return {
          value,
          text: async () => [await formatTable(head, rows, 'Nothing waits for you.'), ...effects].join('\n'),
        };
      }),
    );
  app
    .command('decide')
    .description('answers what an app asks')
    .argument('<id>')
    .argument('<answer>', 'yes or no')
    .option('--grant <permission>', 'the folder, where it asks for one: drive.read=DRIVE/PATH', parseGrant)
    .option(...passwordFile)
    .action((approvalId, yes, options) =>
      run(async ({ client, signal }) => {
        if (yes !== 'yes' && yes !== 'no') throw new AppError('invalid_argument', 'The answer is yes or no.');
        const { password } = await paying(options);
        const value = await (
          await client()
        ).apps.decide(
          {
            approvalId,
            allow: yes === 'yes',
            ...(options.grant !== undefined && { grant: options.grant }),
            ...(password !== undefined && { password }),
          },
          { signal },
        );
        return { value, text: yes === 'yes' ? 'Allowed.' : 'Refused.' };
      }),
    );
}

/** What people think of apps. */
export function addReviewCommands(app: Command, run: Run): void {
  app
    .command('review')
    .description('your review of an app that is installed here; a second one takes the place of the first')
    .argument('<app>')
    .argument('<stars>', '1 to 5', parseCount)
    .argument('[text]', '', '')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((one, stars, text, options) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(
          await (
            await client()
          ).apps.review({ ...(await paying(options)), app: one, stars, text }, { signal }),
        ),
      ),
    );
  app
    .command('reviews')
    .description('what people think of an app')
    .argument('<app>')
    .action((one) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).apps.reviews({ app: one }, { signal });
        const rows = value.map((found) => [
          found.stars,
          found.authorName ?? found.author,
          found.version,
          formatTime(found.at),
          found.text,
        ]);
        return {
          value,
          text: () =>
            formatTable(['stars', 'by', 'version', 'when', 'text'], rows, 'Nobody reviewed it yet.'),
        };
      }),
    );
}

/** Lists of apps that others warn of. */
export function addBlockListCommands(app: Command, run: Run): void {
  const blocklist = app.command('blocklist').description('lists of apps that others warn of');
  blocklist
    .command('list')
    .description('the lists that are subscribed to')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).apps.blockLists({}, { signal });
        const rows = value.map((one) => [
          one.title,
          one.apps,
          one.author,
          formatTime(one.updatedAt),
          one.problem ?? '-',
          one.listId,
        ]);
        return {
          value,
          text: () =>
            formatTable(['title', 'apps', 'by', 'read', 'problem', 'id'], rows, 'No list is subscribed to.'),
        };
      }),
    );
  blocklist
    .command('subscribe')
    .description('installs and opens nothing that the list names from now on')
    .argument('<link>', 'of the public drive with the list')
    .action((link) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).apps.subscribeBlockList({ link }, { signal });
        return { value, text: `${value.title}: ${value.apps} apps.` };
      }),
    );
  blocklist
    .command('unsubscribe')
    .argument('<id>')
    .action((listId) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).apps.unsubscribeBlockList({ listId }, { signal });
        return { value, text: 'No longer subscribed to.' };
      }),
    );
  blocklist
    .command('publish')
    .description('signs a list of your own and puts it into your public drive')
    .argument('<file>', 'JSON: {title, apps: [{appId, reason}]}')
    .action((file) =>
      run(async ({ client, signal }) => {
        const list = JSON.parse(await readFile(file, 'utf8')) as Parameters<
          AppClient['apps']['publishBlockList']
        >[0];
        const value = await (await client()).apps.publishBlockList(list, { signal });
        return { value, text: value.link };
      }),
    );
}
