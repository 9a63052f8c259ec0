import { Option, type Command } from '@commander-js/extra-typings';
import type { Bandwidth } from '../../../../src-shared/contract/index.ts';
import { startOfDay, startOfHour, sumTraffic } from '../../../../src-shared/traffic.ts';
import { formatBytes, formatFields, formatRate, formatTable } from '../format.ts';
import { limitOf, parseRate, parseSettingValue } from '../parse.ts';
import type { Run } from '../program.ts';

function bandwidthAnswer(value: Bandwidth) {
  const limit = (rate: number | null) => (rate === null ? 'no limit' : `limit ${formatRate(rate)}`);
  const text = formatFields([
    ['up', `${formatRate(value.upNow)}, ${limit(value.up)}, ${formatBytes(value.sent)} since the start`],
    [
      'down',
      `${formatRate(value.downNow)}, ${limit(value.down)}, ${formatBytes(value.received)} since the start`,
    ],
    ['readers', `${limit(value.readers.up)}, ${formatBytes(value.readers.sent)} since the start`],
  ]);
  return { value, text };
}

export function addNetCommands(program: Command, run: Run): void {
  const net = program.command('net').description('the network of this node');
  net
    .command('peers')
    .description('who it is connected to')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).net.peers({}, { signal });
        const rows = value.map((peer) => [
          peer.rtt === null ? '-' : `${Math.round(peer.rtt)} ms`,
          peer.direction + (peer.relayed ? ', relayed' : ''),
          formatBytes(peer.sent),
          formatBytes(peer.received),
          formatRate(peer.up),
          formatRate(peer.down),
          peer.userId ?? '',
          peer.address,
        ]);
        const head = ['round trip', 'direction', 'sent', 'received', 'up', 'down', 'user', 'address'];
        return { value, text: () => formatTable(head, rows, 'Nobody is connected.') };
      }),
    );
  net
    .command('ping')
    .description('measures the round trip to a peer')
    .argument('<peer>', 'a peer id or an address ending in /p2p/ID')
    .action((peer) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).net.ping({ peer }, { signal });
        return { value, text: `${value.rtt.toFixed(1)} ms` };
      }),
    );
  net
    .command('bandwidth')
    .description('shows the traffic and its limits, or sets them')
    .option('--up <rate>', 'such as 50Mbit or 5MB (a second), or off', parseRate)
    .option('--down <rate>', 'the same', parseRate)
    .option('--readers <rate>', 'of what goes up, for readers of open drives who are no members', parseRate)
    .action(({ up, down, readers }) =>
      run(async ({ client, signal }) => {
        const calls = (await client()).net;
        if (up === undefined && down === undefined && readers === undefined)
          return bandwidthAnswer(await calls.bandwidth({}, { signal }));
        return bandwidthAnswer(
          await calls.limit({ up: limitOf(up), down: limitOf(down), readers: limitOf(readers) }, { signal }),
        );
      }),
    );
  net
    .command('traffic')
    .description(
      'what was sent and received: by day or by computer of the last month, or by hour of the last day',
    )
    .addOption(new Option('--by <stretch>').choices(['day', 'hour', 'peer'] as const).default('day' as const))
    .action(({ by }) =>
      run(async ({ client, signal }) => {
        if (by === 'peer') {
          const since = new Date(Date.now() - 31 * 86_400_000).toISOString();
          const value = await (await client()).net.trafficByPeer({ since }, { signal });
          const rows = value.map((one) => [
            one.peerId === '' ? 'others' : one.peerId,
            one.userId ?? '',
            formatBytes(one.sent),
            formatBytes(one.received),
          ]);
          const head = ['computer', 'user', 'sent', 'received'];
          return { value, text: () => formatTable(head, rows, 'Nothing was carried yet.') };
        }
        const hours = by === 'hour';
        const back = hours ? 86_400_000 : 31 * 86_400_000;
        const since = new Date(Date.now() - back).toISOString();
        const { slots } = await (
          await client()
        ).net.traffic({ step: hours ? 'minutes' : 'hours', since }, { signal });
        const sums = sumTraffic(slots, hours ? startOfHour : startOfDay);
        const value = sums.map(({ from, ...carried }) => ({
          from: new Date(from).toISOString(),
          ...carried,
        }));
        const rows = sums.map(({ from, sent, received }) => [
          stretchName(from, hours),
          formatBytes(sent),
          formatBytes(received),
        ]);
        return { value, text: () => formatTable([by, 'sent', 'received'], rows, 'Nothing was carried yet.') };
      }),
    );
}

/** `2026-11-20`, or `2026-11-20 14:00`, in the time of this computer. */
function stretchName(from: number, hours: boolean): string {
  const at = new Date(from);
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return hours ? `${day} ${two(at.getHours())}:00` : day;
}

export function addSettingsCommands(program: Command, run: Run): void {
  const settings = program.command('settings').description('how this node behaves');
  settings
    .command('get')
    .description('one setting, or all')
    .argument('[key]')
    .action((key) =>
      run(async ({ client, signal }) => {
        const calls = (await client()).settings;
        if (key === undefined) {
          const value = await calls.all({}, { signal });
          const rows = Object.entries(value).map(([name, one]) => [name, JSON.stringify(one)] as const);
          return { value, text: rows.length === 0 ? 'There are none.' : formatFields(rows) };
        }
        const value = await calls.get({ key }, { signal });
        return { value, text: JSON.stringify(value.value) };
      }),
    );
  settings
    .command('set')
    .description('changes one')
    .argument('<key>')
    .argument('<value>', 'JSON, or plain text')
    .action((key, value) =>
      run(async ({ client, signal }) => {
        const answer = await (
          await client()
        ).settings.set({ key, value: parseSettingValue(value) }, { signal });
        return { value: answer, text: `${answer.key} = ${JSON.stringify(answer.value)}` };
      }),
    );
}
