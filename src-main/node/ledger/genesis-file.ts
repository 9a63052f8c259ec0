import { z } from 'zod';
import { parseAmount } from '../../../src-shared/amount.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { hashOfUserId } from '../../identity/index.ts';
import { decodeGenesis, defaultGenesis, encodeGenesis } from '../../ledger/index.ts';
import type { Founding, Genesis } from '../../ledger/index.ts';
import { tokenSpecOf } from './token-spec.ts';
import { mining, staking } from '../../../src-shared/contract/ledger.ts';

const symbol = z.string().regex(/^[A-Z0-9]{2,12}$/);
const amount = z.string().max(64);
const user = z.string().max(128);

/** A genesis file: what it does not say is as in the default genesis. Amounts are in whole tokens, as everywhere. */
const fileSchema = z.strictObject({
  params: z.record(z.string(), z.union([z.int(), z.string()])).default({}),
  /** The first is the base coin; without `owner` the founder's. */
  tokens: z
    .array(
      z.strictObject({
        symbol,
        name: z.string().min(1).max(64),
        decimals: z.int().min(0).max(18),
        max: amount,
        owner: user.optional(),
        mint: z.boolean().default(false),
        burn: z.boolean().default(true),
        freeze: z.boolean().default(false),
        mining: mining.nullable().default(null),
        staking: staking.nullable().default(null),
      }),
    )
    .min(1)
    .max(1000)
    .optional(),
  balances: z
    .array(z.strictObject({ user: user.optional(), symbol, amount }))
    .max(100_000)
    .optional(),
  /** Of the founder's validator, in base coins. */
  bond: amount.optional(),
});

/** Amounts among the parameters, in the base coin's units. */
const amountParams = new Set(['minSelfBond', 'rentPerDay']);

/**
 * Makes a genesis of a file's text (JSON; null: the default one).
 * @throws AppError `invalid_argument` naming what is wrong
 */
export function readGenesis(text: string | null, founding: Founding): Genesis {
  const standard = defaultGenesis(founding);
  if (text === null) return standard;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid_argument', 'The genesis file is not JSON.', { cause });
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const at = issue?.path.join('.') ?? '';
    throw new AppError(
      'invalid_argument',
      `The genesis file is wrong at ${at || 'its top'}: ${issue?.message}.`,
    );
  }
  const file = parsed.data;
  const tokens =
    file.tokens?.map((token) => ({
      owner: token.owner === undefined ? founding.founder : hashOfUserId(token.owner),
      spec: tokenSpecOf({ ...token, treasury: founding.founder }),
    })) ?? standard.tokens;
  const decimalsOf = (name: string): number => {
    const found = tokens.find(({ spec }) => spec.symbol === name);
    if (!found)
      throw new AppError('invalid_argument', `The genesis file gives balances of ${name}, which it has not.`);
    return found.spec.decimals;
  };
  const base = tokens[0]!.spec;
  const params: Record<string, unknown> = { ...standard.params };
  for (const [name, value] of Object.entries(file.params)) {
    if (!Object.hasOwn(standard.params, name)) {
      throw new AppError('invalid_argument', `The genesis file has an unknown parameter ${name}.`);
    }
    params[name] = amountParams.has(name) ? parseAmount(String(value), base.decimals) : value;
  }
  // Whoever says how often empty blocks come means all of them.
  if (Object.hasOwn(file.params, 'emptyBlockMs') && !Object.hasOwn(file.params, 'eagerBlocks'))
    params['eagerBlocks'] = 0;
  const balances =
    file.balances?.map((one) => ({
      address: one.user === undefined ? founding.founder : hashOfUserId(one.user),
      symbol: one.symbol,
      amount: parseAmount(one.amount, decimalsOf(one.symbol)),
    })) ?? (file.tokens ? [] : standard.balances);
  const validators = standard.validators.map((one) => ({
    ...one,
    bond: file.bond === undefined ? one.bond : parseAmount(file.bond, base.decimals),
  }));
  // Through its codec, whose rules are those of every node.
  try {
    return decodeGenesis(
      encodeGenesis({
        ...standard,
        params: params as unknown as Genesis['params'],
        tokens,
        balances,
        validators,
      }),
    );
  } catch (cause) {
    throw new AppError('invalid_argument', `This genesis can't be: ${(cause as Error).message}`, { cause });
  }
}
