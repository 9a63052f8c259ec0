import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { Name, Pool, Vault, VaultTerms } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatFields, formatTable, formatTime } from '../format.ts';
import { readJson } from '../json-file.ts';
import { parseCount } from '../parse.ts';
import type { Run } from '../program.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';
import { upper } from './wallet.ts';

/** Hundredths of a percent, `low` to `high`. */
const parseBp =
  (low: number, high: number) =>
  (text: string): number => {
    if (/^\d{1,5}$/.test(text) && Number(text) >= low && Number(text) <= high) return Number(text);
    throw new InvalidArgumentError(`It must be ${low} to ${high} hundredths of a percent.`);
  };
const parseFee = parseBp(1, 1000);
const parseSlippage = parseBp(0, 5000);
const parseShares = (text: string): string => {
  if (/^\d{1,39}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be a whole number of shares.');
};
const parseNumber = (text: string): number => {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be the number of a vault.');
};

const poolRow = (one: Pool): (string | number)[] => [
  `${one.a}/${one.b}`,
  `${one.fee / 100} %`,
  one.reserveA,
  one.reserveB,
  one.price.toPrecision(6),
  one.tradedA,
  one.position ? `${one.position.a} + ${one.position.b}` : '-',
];

/** `pool ...`: trading, and lending to those who trade. */
export function addPoolCommands(program: Command, run: Run): void {
  const pool = program.command('pool').description('pools of two tokens');
  const withPair = (name: string, description: string) =>
    pool
      .command(name)
      .description(description)
      .argument('<a>', 'symbol of a token', upper)
      .argument('<b>', 'symbol of the other', upper)
      .option('--fee-in <symbol>', 'pays the fee in this token')
      .option(...passwordFile);

  withPair('create', 'makes a pool with a first deposit')
    .requiredOption('--amount-a <amount>', 'of the first token')
    .requiredOption('--amount-b <amount>', 'of the second; the two set the price')
    .option('--fee <bp>', 'of each trade, hundredths of a percent', parseFee, 30)
    .action((a, b, options) =>
      run(async ({ client, signal }) => {
        const { fee, amountA, amountB } = options;
        return acceptedAnswer(
          await (
            await client()
          ).pools.create({ ...(await paying(options)), a, b, fee, amountA, amountB }, { signal }),
        );
      }),
    );
  pool
    .command('list')
    .description('all pools, with your part in them')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).pools.list({}, { signal });
        const head = ['pool', 'fee', 'first', 'second', 'price', 'traded in a day', 'yours'];
        return { value, text: () => formatTable(head, value.map(poolRow), 'There are no pools.') };
      }),
    );
  pool
    .command('quote')
    .description('what a swap would bring, on the best way through up to four pools')
    .argument('<a>', 'token that goes in', upper)
    .argument('<b>', 'token that comes out', upper)
    .argument('<amount>', 'that goes in')
    .option('--exact-out', 'the amount is what is to come out')
    .action((from, to, amount, { exactOut }) =>
      run(async ({ client, signal }) => {
        const exact = exactOut ? ('out' as const) : ('in' as const);
        const value = await (await client()).pools.quote({ from, to, amount, exact }, { signal });
        const text = formatFields([
          ['in', `${value.in} ${from}`],
          ['out', `${value.out} ${to}`],
          ['price impact', `${value.impact} %`],
          ['fees', `${value.fee} %`],
          ['way', [from, ...value.path.map((one) => one.to)].join(' > ')],
        ]);
        return { value, text };
      }),
    );
  pool
    .command('swap')
    .description('trades one token for another')
    .argument('<a>', 'token that goes in', upper)
    .argument('<b>', 'token that comes out', upper)
    .argument('<amount>', 'that goes in')
    .option('--min-out <amount>', 'the least that must come out')
    .option('--exact-out', 'the amount is what is to come out')
    .option('--max-in <amount>', 'with --exact-out: the most that may go in')
    .option('--slippage <bp>', 'instead of a limit: so much worse than quoted', parseSlippage)
    .option('--deadline <seconds>', 'after which it is not done', parseCount, 1200)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((from, to, amount, options) =>
      run(async ({ client, signal }) => {
        const { exactOut, slippage, deadline } = options;
        const limit = (exactOut ? options.maxIn : options.minOut) ?? null;
        if (limit === null && slippage === undefined) {
          const name = exactOut ? '--max-in' : '--min-out';
          throw new AppError('invalid_argument', `Say what is the least you accept: ${name} or --slippage.`);
        }
        const exact = exactOut ? ('out' as const) : ('in' as const);
        const terms = {
          from,
          to,
          amount,
          exact,
          limit,
          deadline,
          ...(slippage !== undefined && { slippage }),
        };
        return acceptedAnswer(
          await (await client()).pools.swap({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  withPair('deposit', 'lends both tokens to a pool, as much of each as fits its price')
    .requiredOption('--amount-a <amount>', 'of the first token, at most')
    .requiredOption('--amount-b <amount>', 'of the second, at most')
    .option('--fee <bp>', 'which pool', parseFee, 30)
    .option('--slippage <bp>', 'by how much the price may move', parseSlippage, 100)
    .action((a, b, options) =>
      run(async ({ client, signal }) => {
        const { fee, amountA, amountB, slippage } = options;
        const terms = { a, b, fee, amountA, amountB, slippage };
        return acceptedAnswer(
          await (await client()).pools.deposit({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  withPair('withdraw', 'takes your part out of a pool')
    .option('--shares <n>', 'so many of your shares; all by default', parseShares)
    .option('--fee <bp>', 'which pool', parseFee, 30)
    .option('--slippage <bp>', 'by how much the price may move', parseSlippage, 100)
    .action((a, b, options) =>
      run(async ({ client, signal }) => {
        const { fee, slippage } = options;
        const terms = { a, b, fee, slippage, shares: options.shares ?? null };
        return acceptedAnswer(
          await (await client()).pools.withdraw({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  withPair('claim', 'pays what your part earned by emission')
    .option('--fee <bp>', 'which pool', parseFee, 30)
    .action((a, b, options) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(
          await (
            await client()
          ).pools.claim({ ...(await paying(options)), a, b, fee: options.fee }, { signal }),
        ),
      ),
    );
  withPair('favour', 'names the pool that your token’s emission for liquidity goes to')
    .requiredOption('--token <symbol>', 'which token, one of the two', upper)
    .option('--fee <bp>', 'which pool', parseFee, 30)
    .action((a, b, options) =>
      run(async ({ client, signal }) => {
        const { fee, token: symbol } = options;
        return acceptedAnswer(
          await (await client()).pools.favour({ ...(await paying(options)), symbol, a, b, fee }, { signal }),
        );
      }),
    );
}

function vaultText(one: Vault): string {
  return formatFields([
    ['vault', one.vault],
    ['name', one.name],
    ['worth', `${one.worth} ${one.asset}`],
    ['idle', `${one.idle} ${one.asset}`],
    ...one.strategies.map((place): [string, string] => [
      `${one.asset}/${place.other}`,
      `${place.worth}, ${place.nowBp / 100} % of ${place.wantedBp / 100} % wanted`,
    ]),
    ['yours', one.position ? `${one.position.worth} ${one.asset} (${one.position.shares} shares)` : '-'],
    ...one.moves
      .slice(0, 5)
      .map((move): [string, string] => [
        formatTime(move.time),
        `${move.moved} from ${move.from ?? 'idle'} to ${move.to ?? 'idle'}, cost ${move.lost}`,
      ]),
  ]);
}

/** `vault ...`: movers of liquidity. */
export function addVaultCommands(program: Command, run: Run): void {
  const vault = program.command('vault').description('vaults that move liquidity between pools');
  vault
    .command('create')
    .description('makes one of a JSON file: {name, asset, strategies, minMove, ...} (see docs/cli.md)')
    .argument('<file>')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((file, options) =>
      run(async ({ client, signal }) => {
        const terms = await readJson<VaultTerms>(file);
        return acceptedAnswer(
          await (await client()).vaults.create({ ...(await paying(options)), terms }, { signal }),
        );
      }),
    );
  vault
    .command('list')
    .description('all vaults, with your part and their last moves')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).vaults.list({}, { signal });
        return { value, text: () => value.map(vaultText).join('\n\n') || 'There are no vaults.' };
      }),
    );
  vault
    .command('deposit')
    .description('puts tokens into it')
    .argument('<vault>', 'its number', parseNumber)
    .argument('<amount>', 'of its token')
    .option('--slippage <bp>', 'by how much it may bring less', parseSlippage, 100)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((number, amount, options) =>
      run(async ({ client, signal }) => {
        const terms = { vault: number, amount, slippage: options.slippage };
        return acceptedAnswer(
          await (await client()).vaults.deposit({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  vault
    .command('withdraw')
    .description('takes your part out, as its token')
    .argument('<vault>', 'its number', parseNumber)
    .option('--shares <n>', 'so many of your shares; all by default', parseShares)
    .option('--slippage <bp>', 'by how much it may bring less than it is worth', parseSlippage, 500)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((number, options) =>
      run(async ({ client, signal }) => {
        const terms = { vault: number, shares: options.shares ?? null, slippage: options.slippage };
        return acceptedAnswer(
          await (await client()).vaults.withdraw({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  vault
    .command('rebalance')
    .description(
      'moves its liquidity nearer to its targets, as its bounds allow; whoever calls it gets the tip',
    )
    .argument('<vault>', 'its number', parseNumber)
    .option('--from <place>', '0 for what is idle, n for its n-th pool', parseNumber)
    .option('--to <place>', 'the same', parseNumber)
    .option('--amount <amount>', 'of its token from what is idle, else pool shares')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((number, options) =>
      run(async ({ client, signal }) => {
        const { from, to, amount } = options;
        const given = [from, to, amount].filter((one) => one !== undefined).length;
        if (given !== 0 && given !== 3) {
          throw new AppError('invalid_argument', 'A move has --from, --to and --amount, or none of them.');
        }
        const move = given === 0 ? null : { from: from!, to: to!, amount: amount! };
        return acceptedAnswer(
          await (
            await client()
          ).vaults.rebalance({ ...(await paying(options)), vault: number, move }, { signal }),
        );
      }),
    );
  vault
    .command('targets')
    .description('its owner aims elsewhere, between least and most of each pool')
    .argument('<vault>', 'its number', parseNumber)
    .argument('<bp...>', 'hundredths of a percent for each of its pools')
    .action((number, targets) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(
          await (
            await client()
          ).vaults.setTargets({ vault: number, targets: targets.map(parseBp(0, 10_000)) }, { signal }),
        ),
      ),
    );
}

const nameText = (one: Name): string =>
  formatFields([
    ['name', one.name],
    ['kind', one.kind],
    ['stands for', one.target],
    ['owner', one.owner],
    ['paid until', formatTime(one.paidUntil)],
  ]);

function parseKind(text: string): Name['kind'] {
  if (text === 'person' || text === 'drive' || text === 'stream' || text === 'app') return text;
  throw new InvalidArgumentError('It must be person, drive, stream or app.');
}
const bare = (text: string): string => text.replace(/^@/, '');

/** `name ...`: names on the active network. */
export function addNameCommands(program: Command, run: Run): void {
  const name = program
    .command('name')
    .description('names on the network; @name stands for an id wherever one is asked for');
  name
    .command('claim')
    .description('takes a free name; returns after the block with its claim')
    .argument('<name>', '3 to 32 of a-z, 0-9 and inner hyphens', bare)
    .option('--kind <kind>', 'person, drive, stream or app', parseKind, 'person' as const)
    .option('--target <id>', 'of the drive, stream or app')
    .option('--days <n>', 'to pay for', parseCount, 365)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((text, options) =>
      run(async ({ client, signal }) => {
        const { kind, days } = options;
        const terms = { name: text, kind, days, target: options.target ?? '' };
        return acceptedAnswer(
          await (await client()).names.claim({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  name
    .command('renew')
    .description('pays for more days')
    .argument('<name>', 'yours or anybody’s', bare)
    .option('--days <n>', 'to pay for', parseCount, 365)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((text, options) =>
      run(async ({ client, signal }) => {
        const terms = { name: text, days: options.days };
        return acceptedAnswer(
          await (await client()).names.renew({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  name
    .command('transfer')
    .description('hands it to somebody else')
    .argument('<name>', 'yours', bare)
    .argument('<user>')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((text, to, options) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(
          await (await client()).names.transfer({ ...(await paying(options)), name: text, to }, { signal }),
        ),
      ),
    );
  name
    .command('point')
    .description('turns it to something else')
    .argument('<name>', 'yours', bare)
    .requiredOption('--kind <kind>', 'person, drive, stream or app', parseKind)
    .option('--target <id>', 'of the drive, stream or app')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((text, options) =>
      run(async ({ client, signal }) => {
        const terms = { name: text, kind: options.kind, target: options.target ?? '' };
        return acceptedAnswer(
          await (await client()).names.point({ ...(await paying(options)), ...terms }, { signal }),
        );
      }),
    );
  name
    .command('resolve')
    .description('what it stands for')
    .argument('<name>', 'with or without @', bare)
    .action((text) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).names.resolve({ name: text }, { signal });
        return { value, text: nameText(value) };
      }),
    );
  name
    .command('list')
    .description('your names')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).names.own({}, { signal });
        const rows = value.map((one) => [
          one.name,
          one.kind,
          one.target,
          one.holds ? formatTime(one.paidUntil) : 'over; renew it',
        ]);
        const head = ['name', 'kind', 'stands for', 'paid until'];
        return { value, text: () => formatTable(head, rows, 'You have no names.') };
      }),
    );
}
