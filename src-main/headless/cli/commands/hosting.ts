import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { DriveHosts, HostStatus } from '../../../../src-shared/contract/index.ts';
import { formatBytes, formatFields, formatTable, formatTime } from '../format.ts';
import { parseCount, parseSize } from '../parse.ts';
import { passwordFile, paying } from './paying.ts';
import type { Run } from '../program.ts';

function hostAnswer(value: HostStatus) {
  const fields: [string, string | number][] = [
    ['lent', value.offering ? formatBytes(value.quota) : 'nothing'],
    ['promised', formatBytes(value.reserved)],
    ['used', formatBytes(value.used)],
    ...(value.strangers === null
      ? []
      : [
          [
            'for strangers',
            `${formatBytes(value.strangers.each)} each, ${formatBytes(value.strangers.together)} together`,
          ] as [string, string],
        ]),
    [
      'wanted for it',
      value.price === null ? 'nothing' : `${value.price} ${value.symbol ?? ''} for a GiB and hour`,
    ],
    ...value.drives.map((drive): [string, string] => [
      'drive',
      `${drive.driveId}  ${formatBytes(drive.bytes)} of ${formatBytes(drive.reserved)}` +
        (drive.missing === 0 ? '' : `, ${drive.missing} blocks to come`) +
        (drive.pay === null
          ? ''
          : `, ${drive.pay.hour} ${value.symbol} an hour, earned ${drive.pay.paid}, ${drive.pay.missed} hours missed`) +
        (drive.goes === null ? '' : `, nothing pays for it: goes ${formatTime(drive.goes)}`),
    ]),
    ...value.unpaid.map((drive): [string, string] => [
      'let go unpaid',
      `${drive.driveId}  not taken again until ${formatTime(drive.until)}`,
    ]),
  ];
  return { value, text: formatFields(fields) };
}

function hostsAnswer(value: DriveHosts) {
  const rows = value.hosts.map((host) => [
    host.peerId,
    host.problem ?? (host.complete ? 'complete' : 'on its way') + (host.connected ? '' : ', away'),
    formatBytes(host.bytes),
    host.lastAudit === null
      ? '-'
      : `${host.lastAudit.ok ? 'passed' : 'failed'} ${formatTime(host.lastAudit.time)}`,
    host.pay === null ? '-' : paidText(host.pay),
    host.userId ?? '',
  ]);
  const terms = value.pay
    ? `\n${value.pay.price} ${value.symbol} for a GiB, copy and hour; spent ${value.pay.spent} of ${value.pay.budget}` +
      (value.pay.problem === null ? '' : `; no contracts are made: ${value.pay.problem}`)
    : '';
  const none =
    value.wanted === 0
      ? 'No copies are wanted on other computers.'
      : `${value.wanted} copies are wanted; no connected computer lends enough disk.`;
  const head = ['host', 'copy', 'size', 'last audit', 'paid', 'user'];
  return { value, text: async () => `${await formatTable(head, rows, none)}${terms}` };
}

function paidText({ paid, missed, taken }: NonNullable<DriveHosts['hosts'][number]['pay']>): string {
  return (taken ? paid : `${paid}, not taken yet`) + (missed === 0 ? '' : `, ${missed} hours missed`);
}

/** `host ...`: disk lent to others. */
export function addHostCommands(program: Command, run: Run): void {
  const host = program.command('host').description('disk of this computer lent to others');
  host
    .command('offer')
    .description("keeps other people's encrypted data, up to a size")
    .requiredOption('--quota <size>', 'such as 500MB or 2GB', parseSize)
    .option('--price <amount>', 'base coins wanted for a GiB and hour; 0 keeps drives for nothing, too')
    .option('--collateral <amount>', 'base coins to put down for a paid copy at the most')
    .action(({ quota, price, collateral }) =>
      run(async ({ client, signal }) => {
        const input = {
          quota,
          ...(price !== undefined && { price: Number(price) === 0 ? null : price }),
          ...(collateral !== undefined && { collateral }),
        };
        return hostAnswer(await (await client()).hosting.offer(input, { signal }));
      }),
    );
  host
    .command('stop')
    .description('takes nothing new; what is here moves to other hosts and is deleted then')
    .action(() =>
      run(async ({ client, signal }) => hostAnswer(await (await client()).hosting.stop({}, { signal }))),
    );
  host
    .command('status')
    .description('what is lent, promised and used')
    .action(() =>
      run(async ({ client, signal }) => hostAnswer(await (await client()).hosting.status({}, { signal }))),
    );
}

function payOf(price: string, budget: string | undefined, terms: { hours: number; collateral: string }) {
  if (Number(price) === 0) return null;
  if (budget !== undefined) return { price, budget, ...terms };
  throw new InvalidArgumentError('With --price comes --budget: what all of it may come to.');
}

/** `drive replicate` and `drive hosts`: copies of own drives on other computers. */
export function addDriveHostCommands(program: Command, run: Run): void {
  const drive = program.commands.find((command) => command.name() === 'drive')!;
  drive
    .command('replicate')
    .description('keeps copies of a drive on computers of others, which cannot read them')
    .argument('<drive>')
    .requiredOption('--copies <count>', 'on how many of them; 0 takes all back', (text) =>
      text === '0' ? 0 : parseCount(text),
    )
    .option('--price <amount>', 'base coins paid for a GiB, copy and hour; 0 pays nothing any more')
    .option('--budget <amount>', 'base coins that all of it may come to')
    .option('--hours <n>', 'a contract runs so long and is made anew then', parseCount, 168)
    .option('--collateral <amount>', 'what each host puts down', '0')
    .option(...passwordFile)
    .action((name, { copies, price, budget, hours, collateral, ...options }) =>
      run(async ({ client, signal }) => {
        const { password } = await paying(options);
        const pay = price === undefined ? undefined : payOf(price, budget, { hours, collateral });
        const input = {
          drive: name,
          copies,
          ...(pay !== undefined && { pay }),
          ...(password && { password }),
        };
        return hostsAnswer(await (await client()).hosting.replicate(input, { signal }));
      }),
    );
  drive
    .command('hosts')
    .description('where those copies are and when they were last checked')
    .argument('<drive>')
    .action((name) =>
      run(async ({ client, signal }) =>
        hostsAnswer(await (await client()).hosting.hosts({ drive: name }, { signal })),
      ),
    );
}
