import { allParts } from '../../codec/token-spec.ts';
import type { StateView } from '../../state/overlay.ts';
import { keyNumber, numberKey } from '../../state/table.ts';
import type { Address, Amount, TokenSymbol } from '../../types.ts';
import { planMove } from './plan.ts';
import {
  vaultMoveKey,
  vaultMoves,
  vaults,
  vaultShareKey,
  vaultShares,
  keptMoves,
  virtualShares,
} from './state.ts';
import type { VaultMove, VaultRow } from './state.ts';
import { fairWorth, idleOf, placesOf, targetsOf } from './worth.ts';
import type { Reading } from './worth.ts';

/** What people ask of vaults. Reading only. */

export interface VaultView extends VaultRow {
  readonly number: number;
  /** In its token, at average prices. */
  readonly worth: Amount;
  readonly idle: Amount;
  readonly places: readonly { readonly worth: Amount; readonly nowBp: number; readonly wantedBp: number }[];
  readonly position: { readonly shares: Amount; readonly worth: Amount } | null;
  /** Newest first. */
  readonly lastMoves: readonly VaultMove[];
  /** There is a move that its bounds allow now. */
  readonly due: boolean;
}

function vaultView(reading: Reading, number: number, vault: VaultRow, of: Address | null): VaultView {
  const { state, time } = reading;
  const places = placesOf(reading, number, vault);
  const idle = idleOf(state, number, vault);
  const worths = places.map((place) => fairWorth(place, place.average ?? place.spot));
  const worth = worths.reduce((sum, one) => sum + one, idle);
  const targets = targetsOf(vault, places, time);
  const shares = (of && state.get(vaultShares, vaultShareKey(of, number))?.shares) ?? 0n;
  const lastMoves: VaultMove[] = [];
  for (let i = vault.moves - 1; i >= 0 && i >= vault.moves - keptMoves; i--) {
    const move = state.get(vaultMoves, vaultMoveKey(number, i));
    if (move) lastMoves.push(move);
  }
  return {
    ...vault,
    number,
    worth,
    idle,
    places: worths.map((one, i) => ({
      worth: one,
      nowBp: worth === 0n ? 0 : Number((one * BigInt(allParts)) / worth),
      wantedBp: targets[i] as number,
    })),
    position: shares === 0n ? null : { shares, worth: (worth * shares) / (vault.shares + virtualShares) },
    lastMoves,
    due: planMove(reading, number) !== null,
  };
}

/** The token of a vault; null: there is no such vault. */
export const vaultAsset = (state: StateView, number: unknown): TokenSymbol | null =>
  typeof number === 'number' ? (state.get(vaults, numberKey(number))?.asset ?? null) : null;

export const vaultsView = (reading: Reading, of: Address | null): readonly VaultView[] =>
  [...reading.state.rows(vaults)].map(([key, vault]) => vaultView(reading, keyNumber(key, 0), vault, of));
