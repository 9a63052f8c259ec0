import type { StateView } from '../../state/overlay.ts';
import { bytesKey, keyNumber, numberKey } from '../../state/table.ts';
import type { Address, Amount } from '../../types.ts';
import { upcomingNumber } from '../counters.ts';
import {
  beaconCommits,
  contracts,
  fuelPriceOf,
  fuels,
  hosts,
  payOf,
  periodOf,
  slotKey,
  slots,
} from './state.ts';
import type { ContractRow, HostRow, SlotRow } from './state.ts';
import { paidPeriods } from './storage.ts';

/** What people ask of paid storage. Reading only. */

export interface ContractView extends ContractRow {
  readonly number: number;
  /** What one copy costs in a period. */
  readonly pay: Amount;
  /** Of the account that asks: its copy, with what it was paid for it; null: it keeps none. */
  readonly slot: (SlotRow & { readonly paid: Amount }) | null;
}

export function contractsView(state: StateView, of: Address | null): readonly ContractView[] {
  const host = of && state.get(hosts, bytesKey(of));
  return [...state.rows(contracts)].map(([key, contract]) => {
    const number = keyNumber(key, 0);
    const slot = of && state.get(slots, slotKey(of, number));
    const pay = payOf(contract);
    const paid = slot && host ? BigInt(paidPeriods(slot, contract, host.settled)) * pay : 0n;
    return { ...contract, number, pay, slot: slot && { ...slot, paid } };
  });
}

/** Whether anything is stored for pay. */
export function hasContracts(state: StateView): boolean {
  for (const _ of state.rows(contracts)) return true;
  return false;
}

/** One contract, with the copy of `host`; null: there is none of that number (any more). */
export function contractView(state: StateView, number: number, host: Address): ContractView | null {
  const contract = state.get(contracts, numberKey(number));
  if (!contract) return null;
  const slot = state.get(slots, slotKey(host, number));
  const row = state.get(hosts, bytesKey(host));
  const pay = payOf(contract);
  const paid = slot && row ? BigInt(paidPeriods(slot, contract, row.settled)) * pay : 0n;
  return { ...contract, number, pay, slot: slot && { ...slot, paid } };
}

/** The number that the next contract gets. */
export const upcomingContract = (state: StateView): number => upcomingNumber(state, 'contracts');

export interface StorageView {
  /** Bytes times periods that can still be stored. */
  readonly quota: bigint;
  /** Of fuel, base units for a GiB and period. */
  readonly price: Amount;
  readonly period: number;
  readonly host: HostRow | null;
}

export const storageView = (state: StateView, time: number, of: Address | null): StorageView => ({
  quota: (of && state.get(fuels, bytesKey(of))?.quota) ?? 0n,
  price: fuelPriceOf(state),
  period: periodOf(time),
  host: of && state.get(hosts, bytesKey(of)),
});

/** What an operator has put down for the beacon and not revealed. */
export const beaconCommitOf = (state: StateView, operator: Address) =>
  state.get(beaconCommits, bytesKey(operator));
