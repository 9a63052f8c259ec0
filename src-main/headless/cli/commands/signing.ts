import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import type { SigningRequest, WalletAct } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatFields, formatTable, formatTime } from '../format.ts';
import { parseJson } from '../json-file.ts';
import { parseCount, parseSeconds } from '../parse.ts';
import type { Run } from '../program.ts';
import type { AppClient } from '../session.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';

/** Option of commands whose transaction may be one of an account that several people sign for. */
export const accountOption = [
  '--account <user>',
  'of this account, which several people sign for: asks them for their signatures',
] as const;
/** Option of commands whose fee somebody else may pay. */
export const sponsorOption = ['--sponsor <user>', 'asks this person to pay the fee'] as const;

interface Jointly {
  readonly account?: string | undefined;
  readonly sponsor?: string | undefined;
}

/** Does an act at once, or, where others sign too, asks them. @param alone does it without them */
export async function handIn(
  api: AppClient,
  act: WalletAct,
  { account, sponsor }: Jointly,
  alone: () => Promise<{ hash: string }>,
  signal: AbortSignal,
) {
  if (account === undefined && sponsor === undefined) return acceptedAnswer(await alone());
  const { password, ...input } = act.input;
  const drafted = {
    act: { ...act, input } as WalletAct,
    account: account ?? null,
    sponsor: sponsor ?? null,
    ...(password !== undefined && { password }),
  };
  return requestAnswer(await api.signing.propose(drafted, { signal }));
}

const stateWords: Readonly<Record<SigningRequest['state'], string>> = {
  open: 'waits for signatures',
  complete: 'everybody signed; hand it in with `request send`',
  sent: 'sent, waits for a block',
  done: 'done',
  failed: 'failed',
  refused: 'refused here',
  withdrawn: 'withdrawn',
  expired: 'too late: it was not handed in in time',
  overtaken: 'overtaken by another transaction of the account; ask again',
};

const whatOf = (one: SigningRequest): string =>
  one.kind === 'account'
    ? `${one.threshold} of ${one.signers.length} people sign for ${one.account} from then on`
    : one.messages
        .map((part) =>
          [part.type, part.amount, part.symbol, part.to && `to ${part.to}`].filter(Boolean).join(' '),
        )
        .join(', ');

function requestAnswer(value: SigningRequest) {
  const mark = (one: SigningRequest['signers'][number]): string =>
    `${one.userId}${one.own ? ' (you)' : ''}: ${one.signed ? 'signed' : one.refused ? 'refused' : 'not yet'}`;
  const text = formatFields([
    ['request', value.id],
    ['state', value.code === '' ? stateWords[value.state] : `failed: ${value.message}`],
    ...(value.behind === 0
      ? []
      : [['waits for', `${value.behind} earlier transactions of the account`] as const]),
    ['what', whatOf(value)],
    ['account', value.account],
    [
      'signatures',
      `${value.signers.filter(({ signed }) => signed).length} of ${value.threshold} that it takes`,
    ],
    ...value.signers.map((one): [string, string] => ['', mark(one)]),
    ...(value.sponsor ? [['sponsor', mark(value.sponsor)] as const] : []),
    ...(value.feeMax === null ? [] : [['fee', `at most ${value.feeMax} ${value.feeAsset}`] as const]),
    ...(value.hash === null ? [] : [['transaction', value.hash] as const]),
  ]);
  return { value, text };
}

/** A request as text: itself, or the content of a file. */
async function requestText(source: string): Promise<string> {
  if (source.startsWith('extrachain:')) return source;
  try {
    return await readFile(source, 'utf8');
  } catch (cause) {
    throw new AppError('invalid_argument', `Can't read ${source}: ${(cause as Error).message}.`, { cause });
  }
}

/** `multisig ...`: accounts that several people sign for. `request ...`: their signatures. `sponsor ...`: fees paid for others. */
export function addSigningCommands(program: Command, run: Run): void {
  addMultisigCommands(program, run);
  addRequestCommands(program, run);
  addSponsorCommands(program, run);
}

function addMultisigCommands(program: Command, run: Run): void {
  const multisig = program.command('multisig').description('accounts that several people sign for together');
  multisig
    .command('create')
    .description('asks people to sign for the account in use from now on; you sign too, unless --without-me')
    .argument('<users...>', 'the others who sign')
    .requiredOption('--threshold <n>', 'so many of all of them sign each transaction', parseCount)
    .option('--without-me', 'the others alone')
    .action((users, { threshold, withoutMe }) =>
      run(async ({ client, signal }) => {
        const api = await client();
        const own = withoutMe ? [] : [(await api.wallet.address({}, { signal })).userId];
        const signers = [...own, ...users];
        return requestAnswer(await api.signing.share({ threshold, signers }, { signal }));
      }),
    );
  multisig
    .command('list')
    .description('those that you sign for')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).signing.accounts({}, { signal });
        const rows = value.map((one) => [
          one.account,
          `${one.threshold} of ${one.signers.length}`,
          one.signers.join(' '),
        ]);
        return { value, text: () => formatTable(['account', 'sign', 'signers'], rows, 'There are none.') };
      }),
    );
}

function addRequestCommands(program: Command, run: Run): void {
  const request = program.command('request').description('what waits for the signatures of several people');
  request
    .command('list')
    .description('yours and those of others, the newest first')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).signing.list({}, { signal });
        const rows = value.map((one) => [
          one.id.slice(0, 12),
          formatTime(one.made),
          one.yours ? 'waits for you' : one.state,
          `${one.signers.filter(({ signed }) => signed).length} of ${one.kind === 'account' ? one.signers.length : one.threshold}`,
          whatOf(one),
        ]);
        const heads = ['request', 'time', 'state', 'signed', 'what'];
        return { value, text: () => formatTable(heads, rows, 'There is none.') };
      }),
    );
  request
    .command('propose')
    .description('asks for signatures for any act of the wallet: a JSON file {act, input} (see docs/cli.md)')
    .argument('<file>')
    .option(...accountOption)
    .option(...sponsorOption)
    .option(...passwordFile)
    .action((file, { account, sponsor, ...options }) =>
      run(async ({ client, signal }) => {
        const act = parseJson<WalletAct>(await requestText(file), file);
        const { password } = await paying(options);
        const drafted = { act, account: account ?? null, sponsor: sponsor ?? null };
        return requestAnswer(
          await (await client()).signing.propose({ ...drafted, ...(password && { password }) }, { signal }),
        );
      }),
    );
  request
    .command('show')
    .description('what it would do and who signed')
    .argument('<id>', 'its first digits are enough')
    .option('--out <file>', 'writes it into a file for somebody who is not reached')
    .action((id, { out }) =>
      run(async ({ client, signal }) => {
        const api = await client();
        const value = await api.signing.show({ id }, { signal });
        if (out !== undefined) await writeFile(path.resolve(out), `${value.text}\n`);
        const { text } = requestAnswer(value);
        return {
          value,
          async text() {
            if (!value.yours) return text;
            const effect = await api.signing.effect({ id }, { signal });
            const changes = effect.changes.map((one) => `${one.before} -> ${one.after} ${one.symbol}`);
            return `${text}\nWhat happens: ${effect.message || changes.join(', ') || 'no balance changes'}`;
          },
        };
      }),
    );
  for (const [name, about] of [
    ['sign', 'signs it; the last signature hands it in'],
    ['send', 'hands in what everybody signed'],
  ] as const) {
    request
      .command(name)
      .description(about)
      .argument('<id>', 'its first digits are enough')
      .option(...passwordFile)
      .action((id, options) =>
        run(async ({ client, signal }) => {
          const input = { id, ...(await paying(options)) };
          return requestAnswer(await (await client()).signing[name](input, { signal }));
        }),
      );
  }
  request
    .command('refuse')
    .description('says no; your own is taken back')
    .argument('<id>', 'its first digits are enough')
    .action((id) =>
      run(async ({ client, signal }) =>
        requestAnswer(await (await client()).signing.refuse({ id }, { signal })),
      ),
    );
  request
    .command('take')
    .description('takes a request that came in a file or as text, with the signatures in it')
    .argument('<file or text>')
    .action((source) =>
      run(async ({ client, signal }) => {
        const text = await requestText(source);
        return requestAnswer(await (await client()).signing.take({ text }, { signal }));
      }),
    );
  request
    .command('wait')
    .description('returns when it was handed in or can not be any more; fails when it came to nothing')
    .argument('<id>', 'its first digits are enough')
    .option('--timeout <seconds>', 'gives up after so long', parseSeconds)
    .action((id, { timeout }) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).signing.wait({ id, timeout: timeout ?? null }, { signal });
        const good = value.state === 'sent' || value.state === 'done';
        return { ...requestAnswer(value), failed: !good };
      }),
    );
  request
    .command('forget')
    .description('takes it off the list of this computer')
    .argument('<id>', 'its first digits are enough')
    .action((id) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).signing.forget({ id }, { signal });
        return { value, text: 'It is not on the list any more.' };
      }),
    );
}

function addSponsorCommands(program: Command, run: Run): void {
  const sponsor = program.command('sponsor').description('fees that you pay for others');
  sponsor
    .command('allow')
    .description("pays somebody's fees without asking, as long as the limit lasts")
    .argument('<user>')
    .requiredOption('--limit <amount>', 'of the base coin, all fees together')
    .option(...passwordFile)
    .action((user, { limit, ...options }) =>
      run(async ({ client, signal }) => {
        const { password } = await paying(options);
        const input = { user, limit, ...(password && { password }) };
        const value = await (await client()).signing.sponsor(input, { signal });
        return { value, text: `Fees of ${user} are paid, ${limit} altogether.` };
      }),
    );
  sponsor
    .command('list')
    .description('whose fees are paid, and what is left of the limit')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).signing.sponsored({}, { signal });
        const rows = value.map((one) => [one.user, `${one.left} ${one.symbol}`]);
        return { value, text: () => formatTable(['user', 'left'], rows, 'Nobody.') };
      }),
    );
  sponsor
    .command('end')
    .description('asks again before each fee of this person')
    .argument('<user>')
    .action((user) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).signing.endSponsor({ user }, { signal });
        return { value, text: `Fees of ${user} are not paid any more.` };
      }),
    );
}
