import { AppError } from '../../../src-shared/errors.ts';
import { amount, record, unsigned, whole } from '../codec/shape.ts';
import { allParts } from '../codec/token-spec.ts';
import { createOverlay } from '../state/overlay.ts';
import type { StateView } from '../state/overlay.ts';
import { bytesKey, keyNumber, numberKey, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, Amount, TokenSymbol } from '../types.ts';
import type { BlockContext, Invariant, SettleContext, TxContext } from './context.ts';
import { settleTokenPool } from './staking-pools.ts';
import { periodOf } from './storage/state.ts';
import { account, balanceOf, move, pot, tokenOf } from './value.ts';
import type { PotName } from './value.ts';

/*
 * A token's emission for those who did some work goes to them by period: what came since it was last shared out is given to the periods
 * that have ended since and in which somebody did any, and each period's part to those who worked in it, by how much.
 */

/** Periods whose shares can be collected. */
const keptPeriods = 32;

/** What tells one class of earners from another. */
export interface ShareTerms {
  readonly earners: 'hosts' | 'relays';
  /** First bytes of its five tables: work by account, work in all, shares, and how far a token and an account are. */
  readonly tags: readonly [string, string, string, string, string];
  /** Where it lies when it is shared out and not collected. */
  readonly shared: PotName;
  /** Periods after which all work of a period is known. */
  readonly lag: number;
  /** What each of some periods gets of what waits. All of them together at most that. */
  partsOf(waiting: Amount, periods: number): readonly Amount[];
  /** The part of a period's share that one account gets, in ten-thousandths. */
  readonly mostBp: number;
}

/** The state that somebody looks at. */
export interface Viewed {
  readonly state: StateView;
  /** Of the newest block, ms. */
  readonly time: number;
  /** Symbol of the base coin. */
  readonly base: TokenSymbol;
}

export interface EmissionShares {
  /** Notes that an account did so much work in a period, beside what is noted; old notes of it go. */
  note(ctx: BlockContext, who: Address, period: number, work: bigint): void;
  /** Shares out what is due and pays the sender what it has not collected. @throws AppError `not_allowed`, `token_unknown` */
  collect(ctx: TxContext, symbol: TokenSymbol): void;
  /** What an account would be paid if it collected now. */
  collectable(view: Viewed, who: Address, symbol: TokenSymbol): Amount;
  /** Tokens of which an account collected before, and something may wait from work that ended so many periods ago. */
  overdue(view: Pick<Viewed, 'state' | 'time'>, who: Address, after: number): readonly TokenSymbol[];
  readonly invariants: Readonly<Record<string, Invariant>>;
}

/** One class of earners; called once for each, as it claims its tables. */
export function emissionShares(terms: ShareTerms): EmissionShares {
  const { earners, tags, lag, mostBp } = terms;
  const work = table(tags[0], `work of ${earners}`, record({ work: unsigned(16) }));
  const totals = table(tags[1], `work of ${earners} in periods`, record({ work: unsigned(16) }));
  const shares = table(tags[2], `emission for ${earners}`, record({ amount, left: amount }));
  const sharedOut = table(tags[3], `emission for ${earners} shared out`, whole());
  const collected = table(tags[4], `emission for ${earners} collected`, whole());
  const waitingPot = pot(`mining/${earners}`);
  const sharedPot = pot(terms.shared);
  const shareKey = (symbol: TokenSymbol, period: number): Key => `${symbol}\0${numberKey(period)}`;

  /** Shares out what came until the last period whose work is all known. @returns that period */
  function shareOut(ctx: SettleContext, symbol: TokenSymbol): number {
    const { state } = ctx;
    const last = periodOf(ctx.time) - lag;
    // The first time: all that was done since there is the token.
    const born = periodOf(tokenOf(state, symbol).createdAt) - 1;
    const before = state.get(sharedOut, symbol) ?? Math.max(born, last - keptPeriods);
    if (last <= before) return last;
    settleTokenPool(ctx, symbol);
    // What nobody collected in time is there for the next ones.
    for (const [at, row] of [...state.rows(shares, `${symbol}\0`)]) {
      if (keyNumber(at, symbol.length + 1) > last - keptPeriods) break;
      move(ctx, sharedPot, waitingPot, symbol, row.left);
      state.set(shares, at, null);
    }
    const ended: number[] = [];
    for (let one = Math.max(before + 1, last - keptPeriods + 1); one <= last; one++) {
      if (state.get(totals, numberKey(one))) ended.push(one);
    }
    state.set(sharedOut, symbol, last);
    const parts = terms.partsOf(balanceOf(state, waitingPot, symbol), ended.length);
    for (const [i, one] of ended.entries()) {
      const part = parts[i] as Amount;
      if (part === 0n) continue;
      move(ctx, waitingPot, sharedPot, symbol, part);
      state.set(shares, shareKey(symbol, one), { amount: part, left: part });
    }
    return last;
  }

  /** What an account could collect of a token that was shared out and not collected. */
  function owedTo(
    state: StateView,
    who: Address,
    symbol: TokenSymbol,
  ): readonly { readonly period: number; readonly value: Amount }[] {
    const key = bytesKey(who);
    const from = state.get(collected, key + symbol) ?? -1;
    return [...state.rows(work, key)].flatMap(([at, { work: own }]) => {
      const period = keyNumber(at, 32);
      const share = state.get(shares, shareKey(symbol, period));
      const total = state.get(totals, numberKey(period));
      if (period <= from || !share || !total) return [];
      const most = (share.amount * BigInt(mostBp)) / BigInt(allParts);
      const value = (share.amount * own) / total.work;
      return [{ period, value: value < most ? value : most }];
    });
  }

  return {
    note(ctx, who, period, more) {
      const { state } = ctx;
      const key = bytesKey(who);
      for (const [at] of [...state.rows(work, key)]) {
        if (keyNumber(at, 32) >= period - keptPeriods - 4) break;
        state.set(work, at, null);
      }
      if (more === 0n) return;
      const at = key + numberKey(period);
      state.set(work, at, { work: (state.get(work, at)?.work ?? 0n) + more });
      const total = state.get(totals, numberKey(period))?.work ?? 0n;
      state.set(totals, numberKey(period), { work: total + more });
      if (total > 0n) return;
      // Once a period, however many tokens there are that nobody collects.
      for (const [old] of [...state.rows(totals)]) {
        if (keyNumber(old, 0) > period - 2 * keptPeriods) break;
        state.set(totals, old, null);
      }
    },

    collect(ctx, symbol) {
      const { state } = ctx;
      if (tokenOf(state, symbol).spec.mining.split[earners] === 0) {
        throw new AppError('not_allowed', `Nothing of ${symbol} is emitted for ${earners}.`);
      }
      const last = shareOut(ctx, symbol);
      for (const { period, value } of owedTo(state, ctx.sender, symbol)) {
        const at = shareKey(symbol, period);
        const row = state.get(shares, at);
        if (!row) continue;
        state.set(shares, at, { ...row, left: row.left - value });
        move(ctx, sharedPot, account(ctx.sender), symbol, value);
      }
      state.set(collected, bytesKey(ctx.sender) + symbol, last);
    },

    collectable({ state, time, base }, who, symbol) {
      if (tokenOf(state, symbol).spec.mining.split[earners] === 0) return 0n;
      if ([...state.rows(work, bytesKey(who))].length === 0) return 0n;
      // As a block would have it; nothing of it stays.
      const tried = createOverlay(state);
      shareOut({ state: tried, time, base }, symbol);
      return owedTo(tried, who, symbol).reduce((sum, { value }) => sum + value, 0n);
    },

    overdue({ state, time }, who, after) {
      const key = bytesKey(who);
      const last = periodOf(time) - lag;
      const periods = [...state.rows(work, key)].map(([at]) => keyNumber(at, 32));
      return [...state.rows(collected, key)]
        .filter(([, until]) => periods.some((one) => one > until && one <= last - after))
        .map(([at]) => at.slice(key.length));
    },

    invariants: {
      [`the pot of ${earners} holds what is not collected`](state) {
        const sums = new Map<TokenSymbol, Amount>();
        for (const [at, { amount: all, left }] of state.rows(shares)) {
          const symbol = at.slice(0, at.indexOf('\0'));
          if (left > all) return `${symbol}: more is left of a share than there was`;
          sums.set(symbol, (sums.get(symbol) ?? 0n) + left);
        }
        for (const [symbol, sum] of sums) {
          const held = balanceOf(state, sharedPot, symbol);
          if (held !== sum) return `${symbol}: held ${held}, left ${sum}`;
        }
        return null;
      },
      [`nobody did more of the work of ${earners} than there was`](state) {
        // Old notes of accounts that work on are taken away before the sums are.
        const sums = new Map<number, bigint>();
        for (const [at, one] of state.rows(work)) {
          const period = keyNumber(at, 32);
          sums.set(period, (sums.get(period) ?? 0n) + one.work);
        }
        for (const [at, total] of state.rows(totals)) {
          const period = keyNumber(at, 0);
          const sum = sums.get(period) ?? 0n;
          if (sum > total.work) return `period ${period}: ${sum} of ${total.work}`;
        }
        return null;
      },
    },
  };
}
