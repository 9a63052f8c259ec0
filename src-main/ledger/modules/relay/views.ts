import type { StateView } from '../../state/overlay.ts';
import { keyNumber } from '../../state/table.ts';
import type { Address, Amount } from '../../types.ts';
import { funds, relayShares, shareKey } from './state.ts';
import type { FundRow } from './state.ts';

/** A fund as people see it. Reading only. */
export interface FundView extends FundRow {
  readonly number: number;
  /** What the account that asks was paid out of it. */
  readonly paid: Amount;
}

/** Funds that are not closed, in the order they were made. */
export function fundsView(state: StateView, of: Address | null): readonly FundView[] {
  return [...state.rows(funds)].map(([key, fund]) => {
    const number = keyNumber(key, 0);
    const paid = (of && state.get(relayShares, shareKey(number, of))?.total) ?? 0n;
    return { ...fund, number, paid };
  });
}
