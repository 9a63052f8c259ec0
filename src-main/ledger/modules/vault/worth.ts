import { AppError } from '../../../../src-shared/errors.ts';
import { allParts } from '../../codec/token-spec.ts';
import type { StateView } from '../../state/overlay.ts';
import type { Key } from '../../state/table.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import { squareRoot } from '../pool/maths.ts';
import {
  advanced,
  averagePrices,
  poolAt,
  poolIdOf,
  poolKeyOf,
  positionKey,
  positions,
  priceBits,
  tradedInDay,
} from '../pool/state.ts';
import type { PoolRow } from '../pool/state.ts';
import { balanceOf, pot } from '../value.ts';
import type { Strategy, VaultRow } from './state.ts';

/*
 * What a vault is worth in its token. Two prices count for each pool: the one of its reserves now, which anybody can push for
 * the length of a block, and the average of the last minutes, which nobody can. Of the two, the one that is worse for whoever
 * wants something of the vault is taken.
 */

/** A vault's part in one pool, seen from its token. */
export interface Place {
  readonly strategy: Strategy;
  readonly key: Key;
  readonly pool: PoolRow;
  /** Reserves of the vault's token and of the other. */
  readonly own: Amount;
  readonly other: Amount;
  readonly shares: Amount;
  /** Of the other token, outside of the pool. */
  readonly loose: Amount;
  /** Of the other token in the vault's, with `priceBits` binary places; the average is null for a pool younger than its window. */
  readonly spot: bigint;
  readonly average: bigint | null;
}

export interface Reading {
  readonly state: StateView;
  readonly time: number;
}

export function placeOf(
  { state, time }: Reading,
  number: number,
  asset: TokenSymbol,
  strategy: Strategy,
): Place {
  const key = poolKeyOf(asset, strategy.other, strategy.feeBp);
  const pool = advanced(poolAt(state, key), time);
  const assetIsA = poolIdOf(key).a === asset;
  const [own, other] = assetIsA ? [pool.reserveA, pool.reserveB] : [pool.reserveB, pool.reserveA];
  const averages = averagePrices(state, key, pool, time);
  const holder = pot(`vault/${number}`);
  return {
    strategy,
    key,
    pool,
    own,
    other,
    shares: state.get(positions, positionKey(holder, key))?.shares ?? 0n,
    loose: balanceOf(state, holder, strategy.other),
    spot: (own << priceBits) / other,
    average: averages && (assetIsA ? averages.b : averages.a),
  };
}

export const placesOf = (reading: Reading, number: number, vault: VaultRow): readonly Place[] =>
  vault.strategies.map((one) => placeOf(reading, number, vault.asset, one));

export const idleOf = (state: StateView, number: number, vault: VaultRow): Amount =>
  balanceOf(state, pot(`vault/${number}`), vault.asset);

/** @throws AppError `price_unsettled` when the pool is too young to have an average, or its average is too small to be told from 0 */
export function averageOf({ average, strategy }: Place): bigint {
  if (average !== null && average > 0n) return average;
  throw new AppError('price_unsettled', `The pool with ${strategy.other} has no price to rely on yet.`);
}

/**
 * A part in a pool at a price, rounded down: what it would be if the reserves stood at that price. It depends on their product
 * alone, so trading back and forth does not change it except by the fee.
 */
export const fairWorth = ({ own, other, pool, shares, loose }: Place, price: bigint): Amount =>
  (2n * squareRoot((own * other * price) >> priceBits) * shares) / pool.shares +
  ((loose * price) >> priceBits);

/** What the part holds now, counted at a price; rounded down. */
export const heldWorth = ({ own, other, pool, shares, loose }: Place, price: bigint): Amount =>
  (own * shares) / pool.shares + ((((other * shares) / pool.shares + loose) * price) >> priceBits);

/** Is there anything of the vault in it? */
const used = ({ shares, loose }: Place): boolean => shares > 0n || loose > 0n;

/** For who comes in: at the higher of the two prices. @throws AppError `price_unsettled` */
export function worthForDeposit(idle: Amount, places: readonly Place[]): Amount {
  return places.filter(used).reduce((sum, place) => {
    const average = averageOf(place);
    return sum + fairWorth(place, place.spot > average ? place.spot : average);
  }, idle);
}

/** At the averages, which is what targets are measured by; a pool without one holds nothing of the vault yet. */
export const worthOfPlace = (place: Place): Amount => (used(place) ? fairWorth(place, averageOf(place)) : 0n);

/**
 * How much of the vault's worth each strategy should have, in ten-thousandths: as declared, or by what was traded in each pool
 * in the last day, kept between least and most; together never more than all.
 */
export function targetsOf(vault: VaultRow, places: readonly Place[], time: number): readonly number[] {
  const { strategies, bounds } = vault;
  const declared = strategies.map(({ targetBp }) => targetBp);
  if (bounds.follow === 'target') return declared;
  const traded = places.map(({ pool, key }) => {
    const { a, b } = tradedInDay(pool, time);
    return poolIdOf(key).a === vault.asset ? a : b;
  });
  const all = traded.reduce((sum, one) => sum + one, 0n);
  if (all === 0n) return declared;
  const wanted = strategies.map(({ minBp, maxBp }, i) =>
    Math.min(maxBp, Math.max(minBp, Number(((traded[i] as bigint) * BigInt(allParts)) / all))),
  );
  const least = strategies.reduce((sum, { minBp }) => sum + minBp, 0);
  const above = wanted.reduce((sum, one, i) => sum + one - (strategies[i] as Strategy).minBp, 0);
  const room = allParts - least;
  if (above <= room) return wanted;
  return wanted.map((one, i) => {
    const { minBp } = strategies[i] as Strategy;
    return minBp + Math.floor(((one - minBp) * room) / above);
  });
}

/** How far a vault is from its targets: the sum of all differences, in its token, idle money not counted. */
export function distanceOf(worths: readonly Amount[], total: Amount, targets: readonly number[]): Amount {
  return worths.reduce((sum, worth, i) => {
    const wanted = (total * BigInt(targets[i] as number)) / BigInt(allParts);
    return sum + (worth > wanted ? worth - wanted : wanted - worth);
  }, 0n);
}
