import { whole } from '../codec/shape.ts';
import type { StateView, StateWriter } from '../state/overlay.ts';
import { table } from '../state/table.ts';

const counters = table('n', 'counters', whole());

type Name = 'tokens' | 'departures' | 'moves' | 'vaults' | 'contracts' | 'relayFunds';

/** What `nextNumber` would give. */
export const upcomingNumber = (state: StateView, name: Name): number => state.get(counters, name) ?? 0;

/** 0, 1, 2 and so on for each name. */
export function nextNumber(state: StateWriter, name: Name): number {
  const next = upcomingNumber(state, name);
  state.set(counters, name, next + 1);
  return next;
}
