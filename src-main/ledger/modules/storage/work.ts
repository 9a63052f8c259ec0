import { AppError } from '../../../../src-shared/errors.ts';
import { amount, record, unsigned, whole } from '../../codec/shape.ts';
import { symbolShape } from '../../codec/tx.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, keyNumber, numberKey, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Amount, TokenSymbol } from '../../types.ts';
import { kind } from '../context.ts';
import type { BlockContext, Module } from '../context.ts';
import { settleTokenPool } from '../staking-pools.ts';
import { account, balanceOf, move, pot, tokenOf } from '../value.ts';
import { periodOf } from './state.ts';

/*
 * A token's emission for hosts goes to those who proved that they keep something, by bytes and period. What came since it was last shared
 * out is spread evenly over the periods that have ended since and in which somebody proved anything.
 */

/** Periods whose shares can be collected. */
const keptPeriods = 32;

/** Bytes proven in a period: by host and period; and of all, by period. */
const proven = table('Y', 'bytes proven by hosts', record({ bytes: unsigned(16) }));
const totals = table('Z', 'bytes proven in periods', record({ bytes: unsigned(16) }));
/** What a token gives for a period, and what of it is not collected; by token and period. */
const shares = table('0', 'emission for hosts', record({ amount, left: amount }));
/** The last period a token was shared out for. */
const sharedOut = table('1', 'emission shared out', whole());
/** The last period a host collected a token for. */
const collected = table('2', 'emission collected', whole());

const shareKey = (symbol: TokenSymbol, period: number): Key => `${symbol}\0${numberKey(period)}`;

/** Notes that a host proved so many bytes; old notes of it go. */
export function noteWork(ctx: BlockContext, host: Address, period: number, bytes: bigint): void {
  const { state } = ctx;
  const key = bytesKey(host);
  for (const [at] of [...state.rows(proven, key)]) {
    if (keyNumber(at, 32) < period - keptPeriods - 4) state.set(proven, at, null);
  }
  if (bytes === 0n) return;
  state.set(proven, key + numberKey(period), { bytes });
  const total = state.get(totals, numberKey(period))?.bytes ?? 0n;
  state.set(totals, numberKey(period), { bytes: total + bytes });
}

/** Shares out what came for hosts until the last period whose proofs are all in. @returns that period */
function shareOut(ctx: BlockContext, symbol: TokenSymbol): number {
  const { state } = ctx;
  const last = periodOf(ctx.time) - 2;
  const before = state.get(sharedOut, symbol) ?? last - 1;
  if (last <= before) return last;
  settleTokenPool(ctx, symbol);
  // What nobody collected in time is there for the next ones.
  for (const [at, row] of [...state.rows(shares, `${symbol}\0`)]) {
    if (keyNumber(at, symbol.length + 1) > last - keptPeriods) break;
    move(ctx, pot('work'), pot('mining/hosts'), symbol, row.left);
    state.set(shares, at, null);
  }
  const ended: number[] = [];
  for (let one = Math.max(before + 1, last - keptPeriods + 1); one <= last; one++) {
    if (state.get(totals, numberKey(one))) ended.push(one);
  }
  for (const [at] of [...state.rows(totals)]) {
    if (keyNumber(at, 0) > last - 2 * keptPeriods) break;
    state.set(totals, at, null);
  }
  state.set(sharedOut, symbol, last);
  if (ended.length === 0) return last;
  const each = balanceOf(state, pot('mining/hosts'), symbol) / BigInt(ended.length);
  if (each === 0n) return last;
  move(ctx, pot('mining/hosts'), pot('work'), symbol, each * BigInt(ended.length));
  for (const one of ended) state.set(shares, shareKey(symbol, one), { amount: each, left: each });
  return last;
}

/** What a host could collect of a token that was shared out and not collected. */
function owedTo(
  state: StateView,
  host: Address,
  symbol: TokenSymbol,
): readonly { readonly period: number; readonly value: Amount }[] {
  const key = bytesKey(host);
  const from = state.get(collected, key + symbol) ?? -1;
  return [...state.rows(proven, key)].flatMap(([at, { bytes }]) => {
    const period = keyNumber(at, 32);
    const share = state.get(shares, shareKey(symbol, period));
    const total = state.get(totals, numberKey(period));
    if (period <= from || !share || !total) return [];
    return [{ period, value: (share.amount * bytes) / total.bytes }];
  });
}

/** What a host may collect now, as far as it is shared out. */
export const collectable = (state: StateView, host: Address, symbol: TokenSymbol): Amount =>
  owedTo(state, host, symbol).reduce((sum, { value }) => sum + value, 0n);

export const workModule = {
  name: 'work',
  messages: {
    /** Pays a host its part of a token's emission for hosts. */
    'storage.collect': kind({
      shape: record({ symbol: symbolShape }),
      weight: 3000,
      delegable: true,
      run(ctx, { symbol }) {
        const { state } = ctx;
        if (tokenOf(state, symbol).spec.mining.split.hosts === 0) {
          throw new AppError('not_allowed', `Nothing of ${symbol} is emitted for hosts.`);
        }
        const last = shareOut(ctx, symbol);
        for (const { period, value } of owedTo(state, ctx.sender, symbol)) {
          const at = shareKey(symbol, period);
          const row = state.get(shares, at);
          if (!row) continue;
          state.set(shares, at, { ...row, left: row.left - value });
          move(ctx, pot('work'), account(ctx.sender), symbol, value);
        }
        state.set(collected, bytesKey(ctx.sender) + symbol, last);
      },
    }),
  },
  invariants: {
    'the pot of work holds what is not collected'(state) {
      const sums = new Map<TokenSymbol, Amount>();
      for (const [at, { left }] of state.rows(shares)) {
        const symbol = at.slice(0, at.indexOf('\0'));
        sums.set(symbol, (sums.get(symbol) ?? 0n) + left);
      }
      for (const [symbol, sum] of sums) {
        const held = balanceOf(state, pot('work'), symbol);
        if (held !== sum) return `${symbol}: held ${held}, left ${sum}`;
      }
      return null;
    },
  },
} satisfies Module;
