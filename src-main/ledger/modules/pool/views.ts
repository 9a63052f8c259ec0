import { AppError } from '../../../../src-shared/errors.ts';
import { createOverlay } from '../../state/overlay.ts';
import type { StateView } from '../../state/overlay.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Amount, TokenSymbol } from '../../types.ts';
import { account } from '../value.ts';
import { baseSymbol } from '../views.ts';
import { partOf, wholeFee } from './maths.ts';
import { maxHops } from './pool.ts';
import { earnedByPosition, favouredPools, poolOfPosition, rewardsOf, settleLiquidity } from './rewards.ts';
import {
  advanced,
  averagePrices,
  poolIdOf,
  poolKeyOf,
  positionKey,
  positions,
  priceBits,
  tradedInDay,
  tradingPools,
} from './state.ts';
import type { PoolId, PoolRow } from './state.ts';
import { amountsFor, amountsOf } from './trade.ts';
import type { Hop, Reading } from './trade.ts';

/** What people ask of pools. Reading only. */

/** An account's part in a pool. */
export interface PositionView {
  readonly shares: Amount;
  readonly a: Amount;
  readonly b: Amount;
  /** Of emission, up to now. */
  readonly earnedA: Amount;
  readonly earnedB: Amount;
}

export interface PoolView extends PoolId {
  readonly row: PoolRow;
  readonly traded: { readonly a: Amount; readonly b: Amount };
  /** Of `a` in `b`, with `priceBits` binary places; null: younger than the window. */
  readonly average: bigint | null;
  readonly position: PositionView | null;
}

/** As if the pool's emission were settled now; nothing of it stays. */
function rewardsNow({ state, time }: Reading, key: Key, row: PoolRow): ReturnType<typeof rewardsOf> {
  const { a, b } = poolIdOf(key);
  if (![a, b].some((symbol) => state.get(favouredPools, symbol) === key)) return rewardsOf(state, key);
  return settleLiquidity({ state: createOverlay(state), time, base: baseSymbol(state) }, key, row);
}

function poolView({ state, time }: Reading, key: Key, row: PoolRow, of: Address | null): PoolView {
  const now = advanced(row, time);
  const position = of && state.get(positions, positionKey(account(of), key));
  const earned = position && earnedByPosition(rewardsNow({ state, time }, key, row), position);
  return {
    ...poolIdOf(key),
    row: now,
    traded: tradedInDay(now, time),
    average: averagePrices(state, key, now, time)?.a ?? null,
    position: position && {
      shares: position.shares,
      a: partOf(position.shares, now.reserveA, now.shares),
      b: partOf(position.shares, now.reserveB, now.shares),
      earnedA: earned?.a ?? 0n,
      earnedB: earned?.b ?? 0n,
    },
  };
}

/** All pools, in the order of their tokens and fees. */
export const poolsView = (reading: Reading, of: Address | null): readonly PoolView[] =>
  [...reading.state.rows(tradingPools)].map(([key, row]) => poolView(reading, key, row, of));

/** The pools that an account has a part in, whatever others there are. */
export const ownPools = (reading: Reading, of: Address): readonly PoolView[] =>
  [...reading.state.rows(positions, account(of))].flatMap(([at]) => {
    const key = poolOfPosition(at);
    const row = reading.state.get(tradingPools, key);
    return row ? [poolView(reading, key, row, of)] : [];
  });

/** A number with binary places, as far as a double can show it. */
export function priceNumber(price: bigint): number {
  const bits = price.toString(2).length;
  const drop = bits > 60 ? bits - 60 : 0;
  return Number(price >> BigInt(drop)) * 2 ** (drop - Number(priceBits));
}

/** What a trade would come to. */
export interface QuoteView {
  readonly hops: readonly Hop[];
  readonly in: Amount;
  readonly out: Amount;
  /** By which part the price moves against the trade, fees not counted; and the part that fees take. */
  readonly impact: number;
  readonly fee: number;
}

/** Ways looked at for one quote. */
const maxWays = 2000;

/** Ways between two tokens, those through fewer pools first; at most so many. */
function waysBetween(state: StateView, from: TokenSymbol, to: TokenSymbol): readonly (readonly Hop[])[] {
  const next = new Map<TokenSymbol, Hop[]>();
  const add = (at: TokenSymbol, hop: Hop): void => {
    const known = next.get(at);
    if (known) known.push(hop);
    else next.set(at, [hop]);
  };
  for (const [key] of state.rows(tradingPools)) {
    const { a, b, feeBp } = poolIdOf(key);
    add(a, { to: b, feeBp });
    add(b, { to: a, feeBp });
  }
  const found: Hop[][] = [];
  let begun: { readonly at: TokenSymbol; readonly hops: Hop[] }[] = [{ at: from, hops: [] }];
  for (let length = 1; length <= maxHops && found.length < maxWays; length++) {
    const longer: typeof begun = [];
    for (const { at, hops } of begun) {
      for (const hop of next.get(at) ?? []) {
        if (hop.to === from || hops.some((one) => one.to === hop.to)) continue;
        if (hop.to === to) found.push([...hops, hop]);
        else if (longer.length < maxWays) longer.push({ at: hop.to, hops: [...hops, hop] });
      }
    }
    begun = longer;
  }
  return found.slice(0, maxWays);
}

function quoteOf(
  reading: Reading,
  from: TokenSymbol,
  hops: readonly Hop[],
  amount: Amount,
  exact: 'in' | 'out',
): QuoteView {
  const { pools, amounts } =
    exact === 'in' ? amountsOf(reading, from, hops, amount) : amountsFor(reading, from, hops, amount);
  // What would come out at the price of the reserves, without fees, as a fraction.
  let num = amounts[0] as Amount;
  let den = 1n;
  let kept = 1;
  for (const { key, pool, into, fee } of pools) {
    const outIsA = poolIdOf(key).a === into;
    num *= (outIsA ? pool.reserveA : pool.reserveB) * (wholeFee - BigInt(fee));
    den *= (outIsA ? pool.reserveB : pool.reserveA) * wholeFee;
    kept *= 1 - fee / Number(wholeFee);
  }
  const out = amounts.at(-1) as Amount;
  const scale = 10n ** 12n;
  const part = num === 0n ? 0 : Number((out * den * scale) / num) / Number(scale);
  return { hops, in: amounts[0] as Amount, out, impact: Math.max(0, 1 - part), fee: 1 - kept };
}

/**
 * The way that gives most, or takes least.
 * @throws AppError `pool_unknown` when no way leads there; else what the last way looked at refuses with
 */
export function bestQuote(
  reading: Reading,
  from: TokenSymbol,
  to: TokenSymbol,
  amount: Amount,
  exact: 'in' | 'out',
): QuoteView {
  let best: QuoteView | null = null;
  let refused: unknown = new AppError('pool_unknown', `No pools lead from ${from} to ${to}.`);
  for (const hops of waysBetween(reading.state, from, to)) {
    try {
      const one = quoteOf(reading, from, hops, amount, exact);
      if (!best || (exact === 'in' ? one.out > best.out : one.in < best.in)) best = one;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      refused = error;
    }
  }
  if (best) return best;
  throw refused;
}

/** One pool by its tokens, in any order, and fee; null when there is none. */
export function findPool(
  reading: Reading,
  id: { readonly a: TokenSymbol; readonly b: TokenSymbol; readonly feeBp: number },
  of: Address | null,
): PoolView | null {
  const key = poolKeyOf(id.a, id.b, id.feeBp);
  const row = reading.state.get(tradingPools, key);
  return row && poolView(reading, key, row, of);
}
