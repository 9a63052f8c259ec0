import { emittedUntil } from '../../../src-shared/emission.ts';
import type { StateView } from '../state/overlay.ts';
import { bytesKey, keyBytes } from '../state/table.ts';
import type { Address, Amount, TokenSymbol, ValidatorId } from '../types.ts';
import { sameBytes, validatorIdOf } from '../codec/index.ts';
import { accountOf, delegates } from './account.ts';
import { cards, headKey, heads } from './anchor.ts';
import { directory, directoryKey, directoryWords, wordKey, wordsOf } from './directory.ts';
import type { DirectoryEntry } from './directory.ts';
import { leaving } from './leaving.ts';
import { dueOf } from './mining.ts';
import { earnedOf, poolOf, rateDue, stakes, withReward, worthOf } from './staking-pools.ts';
import type { Pool } from './staking-pools.ts';
import { sets, validators } from './validators.ts';
import type { ValidatorRow } from './validators.ts';
import { account, balanceOf, balances, pot, roomOf, supplyOf, tokens } from './value.ts';
import type { Token } from './value.ts';
import { allParts } from '../codec/token-spec.ts';

/** What people ask of the state, in the words of the modules. Reading only; everything is as of `time`, the last block's. */

/** One stake with what it is worth. */
export interface StakeView {
  readonly symbol: TokenSymbol;
  /** The operator; null for tokens other than the base coin. */
  readonly validator: Address | null;
  readonly amount: Amount;
  /** Earned and not claimed. */
  readonly reward: Amount;
}

export interface LeavingView {
  readonly symbol: TokenSymbol;
  readonly validator: Address | null;
  readonly amount: Amount;
  /** ms since the epoch. */
  readonly end: number;
}

export interface HoldingView {
  readonly symbol: TokenSymbol;
  readonly amount: Amount;
  readonly staked: Amount;
  readonly unbonding: Amount;
  readonly reward: Amount;
}

export interface TokenView extends Token {
  readonly supply: Amount;
  /** Let out by the schedule but minted only when somebody comes along. */
  readonly due: Amount;
  readonly staked: Amount;
  /** Base coin in the fund that pays fees for it. */
  readonly feeFund: Amount;
}

export interface ValidatorView extends ValidatorRow {
  readonly operator: Address;
  readonly id: ValidatorId;
  readonly tokens: Amount;
  /** In the set that decides the next block; 0: not in it. */
  readonly power: bigint;
}

/** The tokens, the base coin first, then by age. */
export function tokensView(state: StateView, time: number): readonly TokenView[] {
  return [...state.rows(tokens)]
    .map(([, token]) => withNumbers(state, token, time))
    .sort((a, b) => a.number - b.number);
}

export function tokenView(state: StateView, symbol: TokenSymbol, time: number): TokenView | null {
  const token = state.get(tokens, symbol);
  return token && withNumbers(state, token, time);
}

function withNumbers(state: StateView, token: Token, time: number): TokenView {
  const { symbol } = token.spec;
  const base = token.number === 0 ? symbol : baseSymbol(state);
  const due = dueOf(state, token, time);
  const room = roomOf(state, token);
  return {
    ...token,
    supply: supplyOf(state, symbol),
    due: due < room ? due : room,
    staked: balanceOf(state, pot('bonded'), symbol),
    feeFund: balanceOf(state, pot(`feeFund/${symbol}`), base),
  };
}

export const baseSymbol = (state: StateView): TokenSymbol => {
  for (const [symbol, { number }] of state.rows(tokens)) if (number === 0) return symbol;
  return '';
};

/** The pool as it would be after settling what is due; nothing is minted. */
function poolNow(
  state: StateView,
  symbol: TokenSymbol,
  validator: Address | null,
  time: number,
): Pool | null {
  const pool = poolOf(state, symbol, validator);
  const token = state.get(tokens, symbol);
  if (!pool || !token) return pool;
  const room = roomOf(state, token);
  const rate = rateDue(pool, token.spec.staking?.rateBp ?? 0, time).reward;
  const due = validator === null ? dueOf(state, token, time) : 0n;
  const mined = ((due < room ? due : room) * BigInt(token.spec.mining.split.stakers)) / BigInt(allParts);
  const reward = rate + mined;
  return withReward(pool, reward < room ? reward : room) ?? pool;
}

export function stakesView(state: StateView, address: Address, time: number): readonly StakeView[] {
  const prefix = bytesKey(address);
  return [...state.rows(stakes, prefix)].map(([key, stake]) => {
    const end = key.indexOf('\0', 32);
    const symbol = key.slice(32, end);
    const operator = keyBytes(key.slice(end + 1));
    const validator = operator.every((byte) => byte === 0) ? null : operator;
    const pool = poolNow(state, symbol, validator, time);
    const commission =
      validator !== null && sameBytes(validator, address)
        ? (state.get(validators, prefix)?.commission ?? 0n)
        : 0n;
    return {
      symbol,
      validator,
      amount: pool ? worthOf(stake.shares, pool.tokens, pool.shares) : 0n,
      reward: (pool ? earnedOf(pool, stake) >> 64n : 0n) + commission,
    };
  });
}

export function leavingView(state: StateView, address: Address): readonly LeavingView[] {
  return [...state.rows(leaving, bytesKey(address))].map(([key, row]) => {
    const symbol = key.slice(32, key.indexOf('\0', 32));
    const pool = poolOf(state, symbol, row.validator);
    return {
      symbol,
      validator: row.validator,
      amount: pool ? worthOf(row.shares, pool.leavingTokens, pool.leavingShares) : 0n,
      end: row.end,
    };
  });
}

/** Everything an account has of every token, the base coin first. */
export function holdingsView(state: StateView, address: Address, time: number): readonly HoldingView[] {
  const found = new Map<TokenSymbol, { amount: Amount; staked: Amount; unbonding: Amount; reward: Amount }>();
  const at = (symbol: TokenSymbol) => {
    const known = found.get(symbol) ?? { amount: 0n, staked: 0n, unbonding: 0n, reward: 0n };
    found.set(symbol, known);
    return known;
  };
  at(baseSymbol(state));
  for (const [key, amount] of state.rows(balances, account(address))) at(key.slice(33)).amount = amount;
  for (const stake of stakesView(state, address, time)) {
    at(stake.symbol).staked += stake.amount;
    at(stake.symbol).reward += stake.reward;
  }
  for (const one of leavingView(state, address)) at(one.symbol).unbonding += one.amount;
  const order = (symbol: TokenSymbol): number => state.get(tokens, symbol)?.number ?? 0;
  return [...found]
    .map(([symbol, amounts]) => ({ symbol, ...amounts }))
    .sort((a, b) => order(a.symbol) - order(b.symbol));
}

/** All validators, the most powerful first. */
export function validatorsView(state: StateView): readonly ValidatorView[] {
  const base = baseSymbol(state);
  const powers = new Map((state.get(sets, 'next') ?? []).map(({ id, power }) => [bytesKey(id), power]));
  return [...state.rows(validators)]
    .map(([operator, row]): ValidatorView => {
      const id = validatorIdOf(row.key);
      const address = keyBytes(operator);
      return {
        ...row,
        operator: address,
        id,
        tokens: poolOf(state, base, address)?.tokens ?? 0n,
        power: powers.get(bytesKey(id)) ?? 0n,
      };
    })
    .sort((a, b) => (a.power === b.power ? 0 : a.power > b.power ? -1 : 1));
}

/** Nonce, root key if it was rotated, and delegated keys. */
export function accountView(state: StateView, address: Address) {
  const prefix = bytesKey(address);
  return {
    ...accountOf(state, address),
    keys: [...state.rows(delegates, prefix)].map(([key, row]) => ({ key: keyBytes(key.slice(32)), ...row })),
  };
}

export const headView = (state: StateView, writer: Uint8Array, incarnation: number) =>
  state.get(heads, headKey(writer, incarnation));
export const cardView = (state: StateView, address: Address) => state.get(cards, bytesKey(address));

export const directoryEntry = (
  state: StateView,
  kind: DirectoryEntry['kind'],
  id: string,
): DirectoryEntry | null => state.get(directory, directoryKey(kind, id));

/**
 * Entries in whose title or text every word of a query begins some word, in the order of their kinds and ids within the words found.
 * Capital letters beyond A to Z must be as they are there.
 * @param limit how many at the most; only entries with the longest word of the query are looked at
 */
export function searchDirectory(state: StateView, query: string, limit: number): readonly DirectoryEntry[] {
  const words = [...wordsOf(query)].sort((a, b) => b.length - a.length);
  const found = new Map<string, DirectoryEntry>();
  const [longest] = words;
  if (longest === undefined) {
    for (const [key, entry] of state.rows(directory)) {
      if (found.size >= limit) break;
      found.set(key, entry);
    }
    return [...found.values()];
  }
  for (const [at] of state.rows(directoryWords, wordKey(longest).slice(0, -1))) {
    if (found.size >= limit) break;
    const key = at.slice(at.indexOf('\0') + 1);
    const entry = found.has(key) ? null : state.get(directory, key);
    if (!entry) continue;
    const own = wordsOf(`${entry.title} ${entry.text}`);
    if (words.every((word) => own.some((one) => one.startsWith(word)))) found.set(key, entry);
  }
  return [...found.values()];
}

/** How much of a token its schedule will have let out at some later time; for drawings. */
export const emissionAt = (token: Token, time: number): Amount =>
  emittedUntil(token.spec.mining.schedule, token.spec.mining.periodMs, time - token.createdAt);
