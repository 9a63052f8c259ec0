import path from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError } from '@commander-js/extra-typings';
import { formatBytes, formatFields, formatTable, formatTime } from '../format.ts';
import { parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';
import { upper } from './wallet.ts';

const parseContract = (text: string): number => {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be the number of a contract.');
};

/** `storage ...`: fuel, contracts, and copies kept for pay. */
export function addStorageCommands(program: Command, run: Run): void {
  const storage = program.command('storage').description('storage that is paid for');
  storage
    .command('fuel')
    .description('burns base coins for the right to store')
    .argument('<amount>', 'of the base coin')
    .option(...passwordFile)
    .action((amount, options) =>
      run(async ({ client, signal }) => {
        const input = { ...(await paying(options)), amount };
        return acceptedAnswer(await (await client()).storage.fuel(input, { signal }));
      }),
    );
  storage
    .command('status')
    .description('fuel, its price, the period, and what this account keeps')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).storage.status({}, { signal });
        const text = formatFields([
          ['fuel', `${value.fuel.toFixed(3)} GiB hours`],
          ['price', `${value.price} ${value.symbol} for a GiB and hour`],
          ['period', `${value.period}, until ${formatTime(value.ends)}`],
          ['copies kept', value.host?.copies ?? 0],
        ]);
        return { value, text };
      }),
    );
  storage
    .command('contracts')
    .description('what is to be kept, and by whom')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).storage.contracts({}, { signal });
        const rows = value.map((one) => [
          one.contract,
          formatBytes(one.bytes),
          `${one.hosts.length} of ${one.copies}`,
          one.pay,
          formatTime(one.until),
          one.kept ? `paid ${one.kept.paid}, ${one.kept.missed} missed` : '-',
        ]);
        const head = ['contract', 'size', 'copies', 'pay an hour', 'until', 'yours'];
        return { value, text: () => formatTable(head, rows, 'There are none.') };
      }),
    );
  storage
    .command('earnings')
    .description('what keeping copies and passing on streams brought, and what of emission waits')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).storage.earnings({}, { signal });
        const rows = value.map((one) => [one.symbol, one.paid, one.relays, one.waiting, one.relaysWaiting]);
        const head = ['token', 'for copies', 'for relaying', 'emission for copies', 'emission for relaying'];
        return { value, text: () => formatTable(head, rows, 'Nothing yet.') };
      }),
    );
  storage
    .command('proofs')
    .description('proofs this computer gave, hour by hour; `tx show HASH --proof` shows that one stands')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).storage.proofs({}, { signal });
        const rows = value.map((one) => [
          formatTime(one.time),
          String(one.copies),
          formatBytes(one.bytes),
          one.pay,
          one.hash,
        ]);
        return {
          value,
          text: () => formatTable(['hour', 'copies', 'size', 'pay', 'transaction'], rows, 'None yet.'),
        };
      }),
    );
  storage
    .command('open')
    .description('asks for copies of a file; hosts get its bytes from you, as from anybody')
    .argument('<file>', 'encrypted, if nobody is to read it')
    .requiredOption('--hours <n>', 'for so long', parseCount)
    .requiredOption('--price <amount>', 'base coins for a GiB, copy and hour')
    .option('--copies <n>', 'on so many hosts, 16 at most', parseCount, 3)
    .option('--collateral <amount>', 'what each host puts down', '0')
    .option(...passwordFile)
    .action((file, { hours, price, copies, collateral, ...options }) =>
      run(async ({ client, signal }) => {
        const node = await client();
        const measured = await node.storage.measure({ file: path.resolve(file) }, { signal });
        const terms = { ...(await paying(options)), ...measured, copies, periods: hours, price, collateral };
        return acceptedAnswer(await node.storage.open(terms, { signal }));
      }),
    );
  storage
    .command('keep')
    .description('takes a copy of a contract and proves it from now on, each hour by itself')
    .argument('<contract>', 'its number', parseContract)
    .argument('<file>', 'with its bytes')
    .option(...passwordFile)
    .action((contract, file, options) =>
      run(async ({ client, signal }) => {
        const input = { ...(await paying(options)), contract, file: path.resolve(file) };
        return acceptedAnswer(await (await client()).storage.keep(input, { signal }));
      }),
    );
  storage
    .command('close')
    .description('ends a contract whose time is over: the rest goes back')
    .argument('<contract>', 'its number', parseContract)
    .action((contract) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).storage.close({ contract }, { signal })),
      ),
    );
  storage
    .command('collect')
    .description('pays your part of a token’s emission for hosts')
    .argument('<symbol>', 'of the token', upper)
    .action((symbol) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).storage.collect({ symbol }, { signal })),
      ),
    );
  storage
    .command('vote')
    .description('as a validator: what a GiB and hour of fuel should cost')
    .argument('<price>', 'base coins')
    .action((price) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).storage.vote({ price }, { signal })),
      ),
    );
  storage
    .command('report')
    .description('points at a host that proves nothing any more, for a tenth of what it put down')
    .argument('<user>')
    .action((user) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).storage.report({ user }, { signal })),
      ),
    );
}
