import type { StateView } from '../../state/overlay.ts';
import { bytesKey, keyNumber, numberKey } from '../../state/table.ts';
import type { Address, Amount } from '../../types.ts';
import { funds, fundsByStream, relayShares, shareKey } from './state.ts';
import type { FundRow } from './state.ts';

/** A fund as people see it. Reading only. */
export interface FundView extends FundRow {
  readonly number: number;
  /** What the account that asks was paid out of it. */
  readonly paid: Amount;
}

function viewOf(state: StateView, number: number, fund: FundRow, of: Address | null): FundView {
  const paid = (of && state.get(relayShares, shareKey(number, of))?.total) ?? 0n;
  return { ...fund, number, paid };
}

/** Funds that are not closed, in the order they were made. */
export const fundsView = (state: StateView, of: Address | null): readonly FundView[] =>
  [...state.rows(funds)].map(([key, fund]) => viewOf(state, keyNumber(key, 0), fund, of));

/** One of them; null: there is none of that number (any more). */
export function fundView(state: StateView, number: number, of: Address | null): FundView | null {
  const fund = state.get(funds, numberKey(number));
  return fund && viewOf(state, number, fund, of);
}

/** Those of one stream, whoever else has funds. */
export const fundsOfStream = (
  state: StateView,
  stream: Uint8Array,
  of: Address | null,
): readonly FundView[] =>
  [...state.rows(fundsByStream, bytesKey(stream))].flatMap(
    ([key]) => fundView(state, keyNumber(key, 32), of) ?? [],
  );
