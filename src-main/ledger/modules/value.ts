import { AppError } from '../../../src-shared/errors.ts';
import { maxAmount } from '../codec/limits.ts';
import { amount, flag, nullable, positiveAmount, record, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { tokenSpecShape } from '../codec/token-spec.ts';
import { addressShape } from '../codec/tx.ts';
import type { StateView } from '../state/overlay.ts';
import { bytesKey, numbers, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, Amount, TokenSymbol } from '../types.ts';
import type { SettleContext, TxContext } from './context.ts';

/*
 * Where value lies, and the one function that moves it. Accounts and pots (what modules hold for others) have balances in one
 * table, so the sum over it is the supply of a token at any time.
 */

/** A holder's beginning of a key in the table of balances. */
export type Holder = Key & { readonly holder?: never };
export const account = (address: Address): Holder => `\0${bytesKey(address)}`;
/** Pots have names, not addresses: nobody can send to one. */
export const pot = (name: PotName): Holder => `\x01${name}\0`;

export type PotName =
  | 'bonded'
  | 'unbonding'
  /** Of stakers and validators, until they claim. */
  | 'rewards'
  /** Of the block being made. */
  | 'fees'
  | `feeFund/${TokenSymbol}`
  /** Emission for those whose work is measured by other modules. */
  | 'mining/hosts'
  | 'mining/relays'
  | 'mining/liquidity'
  /** Reserves of all pools. */
  | 'pools'
  /** Emission that holders of pool shares have earned and not been paid. */
  | 'liquidity'
  /** What a vault holds outside of pools. */
  | `vault/${number}`
  /** Of funds for those who pass on streams. */
  | 'relays'
  /** Deposits of validators that take part in the beacon. */
  | 'beacon'
  /** Of storage contracts: what clients paid in advance, and what hosts put down. */
  | 'escrow'
  | 'collateral'
  /** Emission for hosts, shared out by period and not collected. */
  | 'work'
  /** Likewise for relays. */
  | 'relay work';

/** Zero balances are not stored. */
export const balances = numbers('b', 'balances', amount);

const tokenShape = record({
  spec: tokenSpecShape,
  owner: addressShape,
  /** Place in the order of creation; the base coin has 0. */
  number: whole(),
  /** Of the block, ms since the epoch; its mining begins then. */
  createdAt: whole(),
  /** How much of the token one smallest unit of base coin in fees costs: `num / den`. Null: fees can't be paid in it. */
  feeRate: nullable(record({ num: positiveAmount, den: positiveAmount })),
});
export type Token = ValueOf<typeof tokenShape>;
export const tokens = table('t', 'tokens', tokenShape);

/** Supply is minted less burned. */
export const supplies = table('s', 'supplies', record({ minted: amount, burned: amount }));

/** Accounts whose holding of a token is frozen. Without force once the token has no power to freeze. */
export const frozen = table('f', 'frozen holdings', flag);
export const frozenKey = (symbol: TokenSymbol, address: Address): Key => `${symbol}\0${bytesKey(address)}`;

/** @throws AppError `token_unknown` */
export function tokenOf(state: StateView, symbol: TokenSymbol): Token {
  const token = state.get(tokens, symbol);
  if (token) return token;
  throw new AppError('token_unknown', `There is no token ${symbol}.`);
}

export const balanceOf = (state: StateView, holder: Holder, symbol: TokenSymbol): Amount =>
  state.get(balances, holder + symbol) ?? 0n;

export function supplyOf(state: StateView, symbol: TokenSymbol): Amount {
  const { minted, burned } = state.get(supplies, symbol) ?? { minted: 0n, burned: 0n };
  return minted - burned;
}

/** How much more may be minted: under the cap, and counted over all time in one amount. Never below 0. */
export function roomOf(state: StateView, token: Token): Amount {
  const { minted, burned } = state.get(supplies, token.spec.symbol) ?? { minted: 0n, burned: 0n };
  const underCap = token.spec.max - (minted - burned);
  const countable = maxAmount - minted;
  return underCap < countable ? underCap : countable;
}

/**
 * Moves value: the only code that changes a balance or a supply.
 * @param from null: newly minted
 * @param to null: burned
 * @throws AppError `underfunded`, `token_frozen`, `token_unknown`, `max_exceeded`, and what the sender's allowance throws
 */
export function move(
  ctx: Pick<SettleContext, 'state'> | TxContext,
  from: Holder | null,
  to: Holder | null,
  symbol: TokenSymbol,
  value: Amount,
): void {
  const { state } = ctx;
  const token = tokenOf(state, symbol);
  if (value === 0n) return;
  if (from === null || to === null) {
    const { minted, burned } = state.get(supplies, symbol) ?? { minted: 0n, burned: 0n };
    const supply = minted - burned + (from === null ? value : -value);
    // What was ever minted is one amount too, however much of it was burned.
    if (supply > token.spec.max || (from === null && minted + value > maxAmount)) {
      throw new AppError('max_exceeded', `There can't be more than the cap of ${symbol} allows.`);
    }
    state.set(supplies, symbol, {
      minted: from === null ? minted + value : minted,
      burned: to === null ? burned + value : burned,
    });
  }
  if (from !== null) {
    if ('sender' in ctx && ctx.allowance && from === account(ctx.sender)) ctx.allowance(symbol, value);
    if (
      token.spec.flags.freeze &&
      from.startsWith('\0') &&
      state.get(frozen, `${symbol}\0${from.slice(1)}`)
    ) {
      throw new AppError('token_frozen', `This account's ${symbol} is frozen by the token's owner.`);
    }
    const before = balanceOf(state, from, symbol);
    if (before < value) throw new AppError('underfunded', `The account has not enough ${symbol}.`);
    state.set(balances, from + symbol, before === value ? null : before - value);
  }
  if (to !== null) state.set(balances, to + symbol, balanceOf(state, to, symbol) + value);
}
