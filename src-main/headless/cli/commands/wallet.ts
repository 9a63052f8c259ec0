import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { Stake, Token, Tx } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { formatFields, formatTable, formatTime } from '../format.ts';
import { readJson } from '../json-file.ts';
import { parseCount, parseSeconds } from '../parse.ts';
import { acceptedAnswer, passwordFile, paying } from './paying.ts';
import { accountOption, handIn, sponsorOption } from './signing.ts';
import type { Run } from '../program.ts';

export const upper = (text: string): string => text.toUpperCase();

function parseHash(text: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError('It must be 64 hex digits.');
  return text.toLowerCase();
}

/** `100:EXC`, one after another. */
function parseCap(text: string, before: { amount: string; symbol: string }[] | undefined) {
  const [, amount, symbol] = /^(\d+(?:\.\d+)?):([A-Za-z0-9]{2,12})$/.exec(text) ?? [];
  if (!amount || !symbol)
    throw new InvalidArgumentError('It must be an amount and a token, such as 100:EXC.');
  return [...(before ?? []), { amount, symbol: symbol.toUpperCase() }];
}

function parseDecimals(text: string): number {
  if (!/^\d{1,2}$/.test(text) || Number(text) > 18) throw new InvalidArgumentError('It must be 0 to 18.');
  return Number(text);
}

function txText(tx: Tx): string {
  const state = tx.ok === null ? 'waiting' : tx.ok ? 'done' : `failed: ${tx.code} (${tx.message})`;
  return formatFields([
    ['transaction', tx.hash],
    ['state', state],
    ['height', tx.height ?? '-'],
    ['time', formatTime(tx.time)],
    ['sender', tx.sender],
    ['fee', `${tx.fee} ${tx.feeAsset}`],
    ...tx.messages.map((one): [string, string] => [
      one.type,
      [one.amount, one.symbol, one.to === null ? '' : `to ${one.to}`, one.memo].filter(Boolean).join(' '),
    ]),
  ]);
}

function tokenText(token: Token): string {
  const rights = (['mint', 'burn', 'freeze'] as const).filter((one) => token[one]);
  return formatFields([
    ['symbol', token.symbol],
    ['name', token.name],
    ['supply', token.supply],
    ['max', token.max],
    ['decimals', token.decimals],
    ['creator', token.creator ?? '-'],
    ['creator may', rights.join(', ') || 'nothing more'],
    ['mining', token.mining.kind],
    ['mined', token.mined],
    ['fees in it', token.feeRate === null ? 'no' : `${token.feeRate} for a base coin, fund ${token.feeFund}`],
    ['staking', token.staking.enabled ? `on, ${token.staked} staked` : 'off'],
  ]);
}

/** `wallet ...`, `tx ...`: balances and what moves them. */
export function addWalletCommands(program: Command, run: Run): void {
  const wallet = program.command('wallet').description('tokens of the active network');
  wallet
    .command('address')
    .description('where others send to: your user id')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).wallet.address({}, { signal });
        return { value, text: value.userId };
      }),
    );
  wallet
    .command('balance')
    .description('of every token')
    .argument('[user]', 'somebody else')
    .action((user) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).wallet.balance({ user: user ?? null }, { signal });
        const rows = value.map((one) => [one.symbol, one.amount, one.staked, one.unbonding, one.rewards]);
        return {
          value,
          text: () =>
            formatTable(['token', 'amount', 'staked', 'unbonding', 'rewards'], rows, 'There is nothing.'),
        };
      }),
    );
  wallet
    .command('earned')
    .description('what pools and passing on streams brought, hour by hour, in the last 31 days')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).wallet.earned({}, { signal });
        const rows = value.flatMap(({ of, pool, symbol, hours }) =>
          hours.map(({ time, pay }) => [
            formatTime(time),
            pool ? `${pool.a}/${pool.b} ${pool.fee / 100} %` : '-',
            of,
            pay,
            symbol,
          ]),
        );
        return {
          value,
          text: () => formatTable(['hour', 'pool', 'for', 'amount', 'token'], rows, 'Nothing yet.'),
        };
      }),
    );
  wallet
    .command('keys')
    .description('computers that sign for the account without the recovery phrase, and those that ask to')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).wallet.keys({}, { signal });
        const rows = value.keys.map((one) => [
          one.name === '' ? (one.device ?? '-') : one.name,
          one.state,
          one.scopes.join(' '),
          one.caps.map(({ amount, symbol }) => `${amount} ${symbol}`).join(', ') || 'nothing',
          formatTime(one.expires),
          one.key,
        ]);
        const heads = ['computer', 'state', 'may do', 'may spend', 'until', 'key'];
        return { value, text: () => formatTable(heads, rows, 'There are none.') };
      }),
    );
  wallet
    .command('ask-key')
    .description('from a linked computer: asks to sign for the account')
    .option('--scope <scope...>', 'what it may do: bank.send, stake, anchor, token, ...')
    .option('--cap <amount...>', 'what it may spend, fees included, such as 100:EXC', parseCap)
    .option('--days <n>', 'how long', parseCount)
    .action(({ scope, cap, days }) =>
      run(async ({ client, signal }) => {
        const terms = { ...(scope && { scopes: scope }), ...(cap && { caps: cap }), ...(days && { days }) };
        const value = await (await client()).wallet.askKey(terms, { signal });
        return { value, text: 'Asked. Say yes with `wallet allow-key` on a computer that has the phrase.' };
      }),
    );
  wallet
    .command('allow-key')
    .description('lets a linked computer sign for the account, on the terms it asked for or on others')
    .argument('<computer>', 'its name or peer ID')
    .option('--scope <scope...>', 'what it may do: bank.send, stake, anchor, token, ...')
    .option('--cap <amount...>', 'what it may spend, fees included, such as 100:EXC', parseCap)
    .option('--days <n>', 'how long', parseCount)
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((device, { scope, cap, days, ...options }) =>
      run(async ({ client, signal }) => {
        const api = await client();
        const { keys } = await api.wallet.keys({}, { signal });
        const asked =
          keys.find((one) => one.state === 'asked' && (one.device === device || one.name === device)) ??
          keys.find((one) => one.device === device || one.name === device);
        if (!asked) throw new AppError('not_found', `${device} did not ask for a key.`);
        const { key, scopes, caps, expires } = asked;
        const terms =
          scope || cap || days
            ? { scopes: scope ?? scopes, caps: cap ?? caps, ...(days !== undefined && { days }) }
            : null;
        const shown = { scopes, caps, expires };
        const sent = await api.wallet.allowKey(
          { device: asked.device ?? device, key, shown, terms, ...(await paying(options)) },
          { signal },
        );
        const may = terms ?? shown;
        const spends = may.caps.map(({ amount, symbol }) => `${amount} ${symbol}`).join(', ') || 'nothing';
        const until =
          days === undefined && terms === null ? `until ${formatTime(expires)}` : `for ${days ?? 365} days`;
        return {
          value: sent,
          text: `Allowed the key ${key}: ${may.scopes.join(' ')}, to spend ${spends}, ${until}. Transaction ${sent.hash}.`,
        };
      }),
    );
  wallet
    .command('deny-key')
    .description('says no to a computer that asks to sign')
    .argument('<computer>', 'its name or peer ID')
    .action((device) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).wallet.denyKey({ device }, { signal });
        return { value, text: `${device} may not sign.` };
      }),
    );
  wallet
    .command('revoke-key')
    .description('takes the right to sign back')
    .argument('<computer>', 'its name or peer ID, or the key')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .action((key, options) =>
      run(async ({ client, signal }) => {
        const input = { key, ...(await paying(options)) };
        return acceptedAnswer(await (await client()).wallet.revokeKey(input, { signal }));
      }),
    );
  wallet
    .command('send')
    .description('sends tokens')
    .argument('<user>')
    .argument('<amount>', 'such as 12.5')
    .argument('<symbol>', 'of the token', upper)
    .option('--memo <text>', 'words for whoever gets it; everybody can read them')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...accountOption)
    .option(...sponsorOption)
    .option(...passwordFile)
    .action((to, amount, symbol, options) =>
      run(async ({ client, signal }) => {
        const api = await client();
        const input = { ...(await paying(options)), to, amount, symbol, memo: options.memo ?? '' };
        const alone = () => api.wallet.send(input, { signal });
        return handIn(api, { act: 'send', input }, options, alone, signal);
      }),
    );
  wallet
    .command('history')
    .description('your transactions, newest first')
    .argument('[user]', 'of somebody else')
    .action((user) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).wallet.history({ user: user ?? null }, { signal });
        const rows = value.map((tx) => [
          formatTime(tx.time),
          tx.ok === null ? 'waiting' : tx.ok ? 'done' : tx.code,
          tx.messages.map((one) => [one.type, one.amount, one.symbol].filter(Boolean).join(' ')).join(', '),
          tx.messages.map((one) => one.to ?? '').join(', '),
          tx.hash,
        ]);
        return {
          value,
          text: () => formatTable(['time', 'state', 'what', 'to', 'transaction'], rows, 'There is none.'),
        };
      }),
    );

  wallet
    .command('proof')
    .description('proves a balance to anybody: `extrachain verify` checks it without a node')
    .argument('<symbol>', 'of the token', upper)
    .argument('[user]', 'of somebody else')
    .requiredOption('--out <file>', 'where it goes')
    .action((symbol, user, { out }) =>
      run(async ({ client, signal }) => {
        const { proof } = await (await client()).wallet.proof({ user: user ?? null, symbol }, { signal });
        const file = path.resolve(out);
        await writeFile(file, Buffer.from(proof, 'base64url'));
        return { value: { file }, text: `The proof is in ${file}.` };
      }),
    );

  const tx = program.command('tx').description('single transactions');
  tx.command('show')
    .description('what it does and how it ended')
    .argument('<hash>', 'its hash', parseHash)
    .option('--proof', 'with a proof that anybody can check')
    .option('--out <file>', 'writes that proof into a file, for `extrachain verify`')
    .action((hash, { proof, out }) =>
      run(async ({ client, signal }) => {
        const wanted = proof === true || out !== undefined;
        const value = await (await client()).transactions.show({ hash, proof: wanted }, { signal });
        if (out !== undefined && value.proof !== null) {
          await writeFile(path.resolve(out), Buffer.from(value.proof, 'base64url'));
        }
        return { value, text: txText(value) };
      }),
    );
  tx.command('wait')
    .description('returns when it is final; fails when the transaction failed')
    .argument('<hash>', 'its hash', parseHash)
    .option('--timeout <seconds>', 'gives up after so long', parseSeconds)
    .action((hash, { timeout }) =>
      run(async ({ client, signal }) => {
        const value = await (
          await client()
        ).transactions.wait({ hash, timeout: timeout ?? null }, { signal });
        const text = value.ok
          ? `Done in block ${value.height}.`
          : `Failed in block ${value.height}: ${value.message}`;
        return { value, text, failed: !value.ok };
      }),
    );
}

/** `token ...`: making tokens and looking at them. */
export function addTokenCommands(program: Command, run: Run): void {
  const token = program.command('token').description('tokens of the active network');
  token
    .command('create')
    .description('makes a token')
    .argument('<symbol>', '2 to 12 letters and digits', upper)
    .requiredOption('--name <name>', 'its name')
    .requiredOption('--supply <amount>', 'what you get at once')
    .requiredOption('--max <amount>', 'never more than this')
    .option('--decimals <n>', 'digits after the point', parseDecimals, 6)
    .option('--mining <file>', 'JSON: {kind, perPeriod, ...} (see docs/cli.md)')
    .option('--staking <file>', 'JSON: {enabled, rewardRate, unbondingSeconds}')
    .option('--mint', 'you may make more of it later, up to the maximum')
    .option('--freeze', 'you may freeze balances of it')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...passwordFile)
    .action((symbol, options) =>
      run(async ({ client, signal }) => {
        const { name, supply, max, decimals, mint, freeze } = options;
        const input = {
          ...(await paying(options)),
          ...{ symbol, name, supply, max, decimals },
          mint: mint ?? false,
          freeze: freeze ?? false,
          mining: options.mining ? await readJson<Token['mining']>(options.mining) : null,
          staking: options.staking ? await readJson<Token['staking']>(options.staking) : null,
        };
        return acceptedAnswer(await (await client()).tokens.create(input, { signal }));
      }),
    );
  token
    .command('list')
    .description('all tokens, the base coin first')
    .action(() =>
      run(async ({ client, signal }) => {
        const value = await (await client()).tokens.list({}, { signal });
        const rows = value.map((one) => [one.symbol, one.name, one.supply, one.max, one.decimals]);
        return {
          value,
          text: () => formatTable(['symbol', 'name', 'supply', 'max', 'decimals'], rows, 'There are none.'),
        };
      }),
    );
  token
    .command('show')
    .description('one token')
    .argument('<symbol>', 'of the token', upper)
    .action((symbol) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).tokens.show({ symbol }, { signal });
        return { value, text: tokenText(value) };
      }),
    );
  token
    .command('mint')
    .description('makes more of it, where its creator may')
    .argument('<symbol>', 'of the token', upper)
    .argument('<amount>')
    .option('--to <user>', 'who gets it')
    .action((symbol, amount, { to }) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).tokens.mint({ symbol, amount, to: to ?? null }, { signal })),
      ),
    );
  token
    .command('burn')
    .description('destroys some of your own')
    .argument('<symbol>', 'of the token', upper)
    .argument('<amount>')
    .option(...passwordFile)
    .action((symbol, amount, options) =>
      run(async ({ client, signal }) => {
        const input = { ...(await paying(options)), symbol, amount };
        return acceptedAnswer(await (await client()).tokens.burn(input, { signal }));
      }),
    );
  for (const frozen of [true, false]) {
    token
      .command(frozen ? 'freeze' : 'unfreeze')
      .description(frozen ? "stops somebody's balance of it from moving" : 'lets it move again')
      .argument('<symbol>', 'of the token', upper)
      .argument('<user>')
      .action((symbol, user) =>
        run(async ({ client, signal }) =>
          acceptedAnswer(await (await client()).tokens.freeze({ symbol, user, frozen }, { signal })),
        ),
      );
  }
  token
    .command('renounce')
    .description('gives up a right of its creator for good')
    .argument('<symbol>', 'of the token', upper)
    .argument('<right>', 'mint, burn or freeze', (text) => {
      if (text === 'mint' || text === 'burn' || text === 'freeze') return text;
      throw new InvalidArgumentError('It must be mint, burn or freeze.');
    })
    .action((symbol, right) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).tokens.renounce({ symbol, right }, { signal })),
      ),
    );
  token
    .command('hand-over')
    .description('makes somebody else its creator, with all rights that are left')
    .argument('<symbol>', 'of the token', upper)
    .argument('<user>')
    .option(...passwordFile)
    .action((symbol, to, options) =>
      run(async ({ client, signal }) => {
        const input = { ...(await paying(options)), symbol, to };
        return acceptedAnswer(await (await client()).tokens.handOver(input, { signal }));
      }),
    );
  token
    .command('fee-rate')
    .description('lets fees be paid in it: tokens for one base coin, or `none`')
    .argument('<symbol>', 'of the token', upper)
    .argument('<rate>', 'such as 2.5, or none')
    .action((symbol, text) =>
      run(async ({ client, signal }) => {
        const rate = text === 'none' ? null : text;
        return acceptedAnswer(await (await client()).tokens.setFeeRate({ symbol, rate }, { signal }));
      }),
    );
  for (const act of ['fundFees', 'withdrawFees'] as const) {
    token
      .command(act === 'fundFees' ? 'fund-fees' : 'withdraw-fees')
      .description(
        act === 'fundFees'
          ? 'puts base coin into the fund that pays the validators for fees in it'
          : 'takes base coin out of that fund, for its creator',
      )
      .argument('<symbol>', 'of the token', upper)
      .argument('<amount>', 'of the base coin')
      .option(...passwordFile)
      .action((symbol, amount, options) =>
        run(async ({ client, signal }) => {
          const input = { ...(await paying(options)), symbol, amount };
          return acceptedAnswer(await (await client()).tokens[act](input, { signal }));
        }),
      );
  }
}

/** `stake ...` and `validator ...`. */
export function addStakeCommands(program: Command, run: Run): void {
  const stake = program.command('stake').description('tokens bonded for rewards');
  for (const act of ['bond', 'unbond'] as const) {
    stake
      .command(act)
      .description(
        act === 'bond' ? 'bonds tokens' : 'takes them back; they are free after the unbonding time',
      )
      .argument('<symbol>', 'of the token', upper)
      .argument('<amount>')
      .option(
        '--validator <validator>',
        'its id or the user who runs it; of the base coin, if not the only one',
      )
      .option('--fee-in <symbol>', 'pays the fee in this token')
      .option(...accountOption)
      .option(...sponsorOption)
      .option(...passwordFile)
      .action((symbol, amount, options) =>
        run(async ({ client, signal }) => {
          const api = await client();
          const input = { ...(await paying(options)), symbol, amount, validator: options.validator ?? null };
          return handIn(api, { act, input }, options, () => api.stakes[act](input, { signal }), signal);
        }),
      );
  }
  stake
    .command('redelegate')
    .description('moves bonded tokens to another validator, without the time of unbonding')
    .argument('<symbol>', 'of the base coin', upper)
    .argument('<amount>')
    .requiredOption('--from <validator>', 'its id or the user who runs it')
    .requiredOption('--to <validator>', 'its id or the user who runs it')
    .option('--fee-in <symbol>', 'pays the fee in this token')
    .option(...accountOption)
    .option(...sponsorOption)
    .option(...passwordFile)
    .action((symbol, amount, { from, to, ...options }) =>
      run(async ({ client, signal }) => {
        const api = await client();
        const input = { ...(await paying(options)), symbol, amount, from, to };
        const alone = () => api.stakes.redelegate(input, { signal });
        return handIn(api, { act: 'redelegate', input }, options, alone, signal);
      }),
    );
  stake
    .command('claim')
    .description('pays out what was earned')
    .argument('[symbol]', 'of the token; left out: of all', upper)
    .action((symbol) =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).stakes.claim({ symbol: symbol ?? null }, { signal })),
      ),
    );
  stake
    .command('status')
    .description('what is bonded, earned and on its way back')
    .argument('[user]', 'of somebody else')
    .action((user) =>
      run(async ({ client, signal }) => {
        const value = await (await client()).stakes.status({ user: user ?? null }, { signal });
        return {
          value,
          text: () =>
            formatTable(
              ['token', 'bonded', 'rewards', 'unbonding', 'validator'],
              value.map(stakeRow),
              'Nothing is bonded.',
            ),
        };
      }),
    );

  const validator = program.command('validator').description('deciding blocks with this computer');
  validator
    .command('create')
    .description('makes this computer a validator of the active network')
    .option('--self-bond <amount>', 'of the base coin', '10000')
    .option('--name <name>', 'shown to others')
    .option(...passwordFile)
    .action((options) =>
      run(async ({ client, signal }) => {
        const input = { ...(await paying(options)), selfBond: options.selfBond, name: options.name ?? '' };
        return acceptedAnswer(await (await client()).stakes.createValidator(input, { signal }));
      }),
    );
  validator
    .command('leave')
    .description('stops deciding blocks, without a penalty')
    .action(() =>
      run(async ({ client, signal }) =>
        acceptedAnswer(await (await client()).stakes.leaveValidator({}, { signal })),
      ),
    );
  validator
    .command('unjail')
    .description('comes back after a time of absence')
    .action(() =>
      run(async ({ client, signal }) => acceptedAnswer(await (await client()).stakes.unjail({}, { signal }))),
    );
}

function stakeRow(one: Stake) {
  const returning = one.unbonding.map((part) => `${part.amount} on ${formatTime(part.until)}`).join(', ');
  return [one.symbol, one.amount, one.rewards, returning || '-', one.validator ?? '-'];
}
