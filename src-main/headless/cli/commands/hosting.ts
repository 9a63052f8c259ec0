import type { Command } from '@commander-js/extra-typings';
import type { DriveHosts, HostStatus } from '../../../../src-shared/contract/index.ts';
import { formatBytes, formatFields, formatTable, formatTime } from '../format.ts';
import { parseCount, parseSize } from '../parse.ts';
import type { Run } from '../program.ts';

function hostAnswer(value: HostStatus) {
  const fields: [string, string | number][] = [
    ['lent', value.offering ? formatBytes(value.quota) : 'nothing'],
    ['promised', formatBytes(value.reserved)],
    ['used', formatBytes(value.used)],
    ...value.drives.map((drive): [string, string] => [
      'drive',
      `${drive.driveId}  ${formatBytes(drive.bytes)} of ${formatBytes(drive.reserved)}` +
        (drive.missing === 0 ? '' : `, ${drive.missing} blocks to come`),
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
    host.userId ?? '',
  ]);
  const none =
    value.wanted === 0
      ? 'No copies are wanted on other computers.'
      : `${value.wanted} copies are wanted; no connected computer lends enough disk.`;
  return { value, text: () => formatTable(['host', 'copy', 'size', 'last audit', 'user'], rows, none) };
}

/** `host ...`: disk lent to others. */
export function addHostCommands(program: Command, run: Run): void {
  const host = program.command('host').description('disk of this computer lent to others');
  host
    .command('offer')
    .description("keeps other people's encrypted data, up to a size")
    .requiredOption('--quota <size>', 'such as 500MB or 2GB', parseSize)
    .action(({ quota }) =>
      run(async ({ client, signal }) =>
        hostAnswer(await (await client()).hosting.offer({ quota }, { signal })),
      ),
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
    .action((name, { copies }) =>
      run(async ({ client, signal }) =>
        hostsAnswer(await (await client()).hosting.replicate({ drive: name, copies }, { signal })),
      ),
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
