import type { StateView } from '../../state/overlay.ts';
import { bytesKey } from '../../state/table.ts';
import type { Address } from '../../types.ts';
import { names, ownNames } from './name.ts';
import { ownerOfService, services } from './service.ts';
import type { ServiceRow } from './service.ts';
import type { NameRow } from './name.ts';

/** What a name stands for; null when nobody has it or its rent is over. */
export function resolveName(state: StateView, name: string, time: number): NameRow | null {
  const row = state.get(names, name);
  return row && row.paidUntil >= time ? row : null;
}

/** A name with its rent over or not, for who may renew it. */
export const nameRow = (state: StateView, name: string): NameRow | null => state.get(names, name);

/** The name an account goes by. */
export function nameOfAccount(state: StateView, address: Address, time: number): string | null {
  const name = state.get(ownNames, bytesKey(address));
  return name !== null && resolveName(state, name, time) ? name : null;
}

/** All names of an account; reads every name. */
export function namesOfAccount(
  state: StateView,
  address: Address,
): readonly (NameRow & { readonly name: string })[] {
  const own = bytesKey(address);
  return [...state.rows(names)]
    .filter(([, row]) => bytesKey(row.owner) === own)
    .map(([name, row]) => ({ name, ...row }));
}

/** Services whose rent is paid; reads every service. */
export function servicesView(
  state: StateView,
  time: number,
): readonly { readonly owner: Address; readonly slug: string; readonly row: ServiceRow }[] {
  return [...state.rows(services)]
    .filter(([, { paidUntil }]) => paidUntil >= time)
    .map(([key, row]) => ({ ...ownerOfService(key), row }));
}
