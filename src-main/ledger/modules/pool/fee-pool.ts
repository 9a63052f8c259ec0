import { whole } from '../../codec/shape.ts';
import type { StateView } from '../../state/overlay.ts';
import { table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import type { BlockContext } from '../context.ts';
import { pairPrefix, poolIdOf, poolKeyOf, tradingPools } from './state.ts';
import type { PoolRow } from './state.ts';

/*
 * Through which of a token's pools its fees are paid: the one with most base coin. It is noted when liquidity comes or goes, so
 * that a fee asks for one row.
 */

/** The fee of that pool, by token. */
const feePools = table('F', 'pools of fees', whole(1000, 1));
/** So many pools of a pair are compared when liquidity leaves the noted one. */
const maxCompared = 32;

const baseIn = (key: Key, pool: PoolRow, base: TokenSymbol): Amount =>
  poolIdOf(key).a === base ? pool.reserveA : pool.reserveB;

/** The pool through which fees in that token are paid; null: it has none with the base coin. */
export const feePoolOf = (state: StateView, symbol: TokenSymbol): number | null =>
  state.get(feePools, symbol);

/** How much base coin lies in a token's pool with that fee. */
export function baseOfFeePool(
  { state, base }: Pick<BlockContext, 'state' | 'base'>,
  symbol: TokenSymbol,
  feeBp: number,
): Amount {
  const key = poolKeyOf(symbol, base, feeBp);
  const pool = state.get(tradingPools, key);
  return pool ? baseIn(key, pool, base) : 0n;
}

/** After liquidity of a pool changed. */
export function noteFeePool(ctx: BlockContext, key: Key): void {
  const { state, base } = ctx;
  const { a, b, feeBp } = poolIdOf(key);
  if (a !== base && b !== base) return;
  const symbol = a === base ? b : a;
  const noted = state.get(feePools, symbol);
  const depth = (fee: number): Amount => baseOfFeePool(ctx, symbol, fee);
  let best = noted ?? feeBp;
  if (noted !== feeBp) {
    if (noted === null || depth(feeBp) > depth(noted)) best = feeBp;
  } else {
    let compared = 0;
    for (const [at, pool] of state.rows(tradingPools, pairPrefix(a, b))) {
      if (baseIn(at, pool, base) > depth(best)) best = poolIdOf(at).feeBp;
      if (++compared >= maxCompared) break;
    }
  }
  if (best !== noted) state.set(feePools, symbol, best);
}
