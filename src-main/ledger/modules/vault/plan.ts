import { allParts } from '../../codec/token-spec.ts';
import type { Amount } from '../../types.ts';
import { tradeLimit } from './rebalance.ts';
import type { Step } from './rebalance.ts';
import { vaultAt } from './state.ts';
import { fairWorth, idleOf, placesOf, targetsOf } from './worth.ts';
import type { Place, Reading } from './worth.ts';

/** Of what a bound allows, so much is used: prices move a little until the move's turn comes. */
const margin = (value: Amount): Amount => (value * 9n) / 10n;
const least = (...values: readonly Amount[]): Amount =>
  values.reduce((smallest, one) => (one < smallest ? one : smallest));

/**
 * The move a vault would have next: from the pool that has most too much to the one that lacks most, idle money counted as one of
 * them, as much as its bounds let. Pure reading; whether it stands is found by running it.
 * @returns null while there is nothing to do, or nothing that may be done yet
 * @throws AppError `vault_unknown`
 */
export function planMove(reading: Reading, number: number): Step | null {
  const { state, time } = reading;
  const vault = vaultAt(state, number);
  const { bounds } = vault;
  if (vault.movedAt > 0 && time < vault.movedAt + bounds.cooldownMs) return null;
  const places = placesOf(reading, number, vault);
  const idle = idleOf(state, number, vault);
  const worthAt = (place: Place): Amount => (place.average === null ? 0n : fairWorth(place, place.average));
  const worths = places.map(worthAt);
  const total = worths.reduce((sum, one) => sum + one, idle);
  const targets = targetsOf(vault, places, time);
  const share = (parts: number): Amount => (total * BigInt(parts)) / BigInt(allParts);
  const idleTarget = share(allParts - targets.reduce((sum, one) => sum + one, 0));
  const over = [idle - idleTarget, ...worths.map((worth, i) => worth - share(targets[i] as number))];

  const settled = ({ average, spot }: Place): boolean => {
    if (average === null) return false;
    const apart = spot > average ? spot - average : average - spot;
    return apart <= margin((average * BigInt(bounds.maxLossBp)) / BigInt(allParts));
  };
  const usable = (place: number): boolean => place === 0 || settled(places[place - 1] as Place);
  const order = over.map((_, place) => place).filter(usable);
  const to = order
    .filter((place) => place > 0)
    .reduce((best, one) => (over[one]! < over[best]! ? one : best), 0);
  const from = order.reduce((best, one) => (over[one]! > over[best]! ? one : best), order[0] ?? 0);
  if (from === to || over[from]! <= 0n || (to === 0 && from === 0)) return null;
  const target = to === 0 || over[to]! >= 0n ? null : (places[to - 1] as Place);
  const source = from === 0 ? null : (places[from - 1] as Place);
  if (!target && !source) return null;

  const inPeriod = time < vault.periodFrom + bounds.periodMs;
  const periodLeft = share(bounds.maxMoveBp) - (inPeriod ? vault.periodMoved : 0n);
  // Half of what moves is traded with each pool.
  const traded = (place: Place): Amount => margin(2n * tradeLimit(place.own, place.strategy.feeBp));
  const value = least(
    over[from]!,
    periodLeft,
    ...(target ? [-over[to]!, traded(target)] : []),
    ...(source ? [traded(source)] : [idle]),
  );
  if (value < bounds.minMove) return null;
  if (!source) return { from, to: target ? to : 0, amount: value };
  const alone = worthAt({ ...source, loose: 0n });
  const shares = alone === 0n ? 0n : (value * source.shares) / alone;
  return shares === 0n ? null : { from, to: target ? to : 0, amount: shares };
}
