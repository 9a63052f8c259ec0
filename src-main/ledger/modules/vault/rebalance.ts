import { AppError } from '../../../../src-shared/errors.ts';
import { allParts } from '../../codec/token-spec.ts';
import { numberKey } from '../../state/table.ts';
import type { Amount } from '../../types.ts';
import type { BlockContext, TxContext } from '../context.ts';
import { outFor, squareRoot, wholeFee } from '../pool/maths.ts';
import { addLiquidity, removeLiquidity, tradeIn } from '../pool/trade.ts';
import { poolIdOf } from '../pool/state.ts';
import { account, balanceOf, move, pot } from '../value.ts';
import { vaultAt, vaultMoveKey, vaultMoves, vaults } from './state.ts';
import type { VaultRow } from './state.ts';
import {
  averageOf,
  distanceOf,
  fairWorth,
  heldWorth,
  idleOf,
  placeOf,
  placesOf,
  targetsOf,
  worthOfPlace,
} from './worth.ts';
import type { Place } from './worth.ts';

/*
 * Moving a vault's liquidity. Anybody may ask for a move; it stands only if every bound of the vault holds after it.
 *
 * Why nobody can profit by pushing prices around a move. In one move the vault trades with a pool at most half as great a part of
 * its reserve as the pool's fee is (0.15 % where the fee is 0.3 %). Who pushes the price by a small part e before and takes it back
 * after pays the fee twice, 2 * fee * (e/2) * reserve, and gains at most e times what the vault trades: less than half of that. A
 * greater push is refused, because price and average may differ by `maxLossBp` only; a lasting one, that moves the average, has to
 * be held against everybody who trades for the length of the window.
 */

const whole = BigInt(allParts);
const bp = (value: Amount, parts: number): Amount => (value * BigInt(parts)) / whole;

/** What a vault may trade with a pool in one move, of either token. */
export const tradeLimit = (reserve: Amount, feeBp: number): Amount =>
  (reserve * BigInt(feeBp)) / (2n * wholeFee);

/** @throws AppError `move_too_large` */
function checkTrade(value: Amount, reserve: Amount, place: Place): void {
  const limit = tradeLimit(reserve, place.strategy.feeBp);
  if (value <= limit) return;
  throw new AppError(
    'move_too_large',
    `The move would trade more with the pool of ${place.strategy.other} than is safe at once.`,
    { details: { trade: value.toString(), limit: limit.toString() } },
  );
}

/** @throws AppError `price_unsettled` */
function checkPrice(place: Place, maxLossBp: number): void {
  const average = averageOf(place);
  const apart = place.spot > average ? place.spot - average : average - place.spot;
  if (apart <= bp(average, maxLossBp)) return;
  throw new AppError(
    'price_unsettled',
    `The price in the pool of ${place.strategy.other} is too far from its average of the last minutes.`,
    { details: { apartBp: Number((apart * whole) / average), allowedBp: maxLossBp } },
  );
}

/**
 * How much of `value` to trade for the other token so that the rest and what comes out fit the pool's price after it: the root of
 * the quadratic that one-sided deposits lead to.
 */
function partToTrade(value: Amount, reserve: Amount, feeBp: number): Amount {
  const kept = wholeFee - BigInt(feeBp);
  const both = wholeFee + kept;
  const root = squareRoot(reserve * reserve * both * both + 4n * kept * wholeFee * value * reserve);
  return (root - reserve * both) / (2n * kept);
}

/** Takes shares out of a pool and turns all of it into the vault's token. */
function leave(ctx: BlockContext, number: number, vault: VaultRow, place: Place, shares: Amount): void {
  const holder = pot(`vault/${number}`);
  const { other, feeBp } = place.strategy;
  const taken = removeLiquidity(ctx, holder, place.key, shares);
  const sold = poolIdOf(place.key).a === vault.asset ? taken.b : taken.a;
  const now = placeOf(ctx, number, vault.asset, place.strategy);
  if (outFor(sold, now.other, now.own, feeBp) === 0n) return;
  checkTrade(sold, now.other, place);
  tradeIn(ctx, holder, holder, { from: other, amount: sold, hops: [{ to: vault.asset, feeBp }], minOut: 0n });
}

/** Puts so much of the vault's token into a pool, half of it as the other token; what is loose of that is used first. */
function enter(ctx: BlockContext, number: number, vault: VaultRow, place: Place, value: Amount): void {
  const holder = pot(`vault/${number}`);
  const { other, feeBp } = place.strategy;
  const now = placeOf(ctx, number, vault.asset, place.strategy);
  const covered = (now.loose * now.own) / now.other;
  const alone = value > covered ? value - covered : 0n;
  const traded = partToTrade(alone, now.own, feeBp);
  if (traded > 0n && outFor(traded, now.own, now.other, feeBp) > 0n) {
    checkTrade(traded, now.own, place);
    tradeIn(ctx, holder, holder, {
      from: vault.asset,
      amount: traded,
      hops: [{ to: other, feeBp }],
      minOut: 0n,
    });
  }
  const loose = balanceOf(ctx.state, holder, other);
  const rest = value - traded;
  const assetIsA = poolIdOf(place.key).a === vault.asset;
  if (assetIsA) addLiquidity(ctx, holder, place.key, rest, loose);
  else addLiquidity(ctx, holder, place.key, loose, rest);
}

/** What a vault is worth by one price of each pool, as far as it was fixed before the move. */
const heldAll = (idle: Amount, places: readonly Place[], prices: readonly bigint[]): Amount =>
  places.reduce((sum, place, i) => sum + heldWorth(place, prices[i] as bigint), idle);

/** One step: 0 is what is idle, n the n-th strategy. */
export interface Step {
  readonly from: number;
  readonly to: number;
  /** Of the vault's token when it comes from what is idle, else pool shares. */
  readonly amount: Amount;
}

/** What came of a move. */
export interface Moved {
  readonly moved: Amount;
  readonly lost: Amount;
  readonly tip: Amount;
  readonly before: Amount;
  readonly after: Amount;
}

/**
 * Moves liquidity of a vault.
 * @throws AppError `vault_unknown`, `invalid_argument`, `cooldown`, `move_too_small`, `move_too_large`, `period_exhausted`,
 * `price_unsettled`, `loss_exceeded`, `allocation_exceeded`, `not_nearer`, and as the pool's functions
 */
export function rebalance(ctx: TxContext, number: number, step: Step): Moved {
  const { state, time } = ctx;
  const vault = vaultAt(state, number);
  const { bounds } = vault;
  if (step.from === step.to || Math.max(step.from, step.to) > vault.strategies.length) {
    throw new AppError('invalid_argument', 'The vault has no such two places.');
  }
  if (vault.movedAt > 0 && time < vault.movedAt + bounds.cooldownMs) {
    throw new AppError('cooldown', 'The vault moved a short while ago and has to rest.', {
      details: { until: vault.movedAt + bounds.cooldownMs },
    });
  }
  const places = placesOf(ctx, number, vault);
  const idle = idleOf(state, number, vault);
  const source = step.from === 0 ? null : (places[step.from - 1] as Place);
  const target = step.to === 0 ? null : (places[step.to - 1] as Place);
  for (const place of [source, target]) if (place) checkPrice(place, bounds.maxLossBp);
  if (source && step.amount > source.shares) {
    throw new AppError('shares_exceeded', 'That is more shares than the vault has in this pool.', {
      details: { wanted: step.amount.toString(), owned: source.shares.toString() },
    });
  }

  const worths = places.map(worthOfPlace);
  const total = worths.reduce((sum, one) => sum + one, idle);
  const moved = source
    ? fairWorth({ ...source, shares: step.amount, loose: 0n }, averageOf(source))
    : step.amount;
  checkSize(vault, time, moved, total);
  const targets = targetsOf(vault, places, time);
  const before = distanceOf(worths, total, targets);
  const prices = [places.map(({ spot }) => spot), places.map(({ average, spot }) => average ?? spot)];
  const had = prices.map((one) => heldAll(idle, places, one));

  if (source) leave(ctx, number, vault, source, step.amount);
  const gained = idleOf(state, number, vault) - idle;
  if (target) enter(ctx, number, vault, target, source ? gained : step.amount);

  const placesNow = placesOf(ctx, number, vault);
  const idleNow = idleOf(state, number, vault);
  const lost = prices
    .map((one, i) => (had[i] as Amount) - heldAll(idleNow, placesNow, one))
    .reduce((worst, one) => (one > worst ? one : worst), 0n);
  if (lost > bp(moved, bounds.maxLossBp)) {
    throw new AppError('loss_exceeded', 'The move would lose more than the vault allows.', {
      details: { lost: lost.toString(), allowed: bp(moved, bounds.maxLossBp).toString() },
    });
  }
  // Measured at the averages from before, as the move itself must not shift what it is measured by.
  const worthsNow = placesNow.map((place, i) =>
    place.shares > 0n || place.loose > 0n ? fairWorth(place, (prices[1] as bigint[])[i] as bigint) : 0n,
  );
  const totalNow = worthsNow.reduce((sum, one) => sum + one, idleNow);
  checkParts(vault, step, worthsNow, totalNow);
  const after = distanceOf(worthsNow, totalNow, targets);
  if (after >= before) {
    throw new AppError('not_nearer', 'The move would not bring the vault nearer to its targets.', {
      details: { before: before.toString(), after: after.toString() },
    });
  }

  const wanted = bp(moved, bounds.tipBp);
  const capped = wanted < bounds.tipCap ? wanted : bounds.tipCap;
  const tip = capped < idleNow ? capped : idleNow;
  move(ctx, pot(`vault/${number}`), account(ctx.sender), vault.asset, tip);
  const inPeriod = time < vault.periodFrom + bounds.periodMs;
  state.set(vaults, numberKey(number), {
    ...vault,
    movedAt: time,
    periodFrom: inPeriod ? vault.periodFrom : time,
    periodMoved: (inPeriod ? vault.periodMoved : 0n) + moved,
    moves: vault.moves + 1,
  });
  const result = { moved, lost, tip, before, after };
  const { from, to } = step;
  state.set(vaultMoves, vaultMoveKey(number, vault.moves), { time, by: ctx.sender, from, to, ...result });
  return result;
}

/** @throws AppError `move_too_small`, `period_exhausted` */
function checkSize(vault: VaultRow, time: number, moved: Amount, total: Amount): void {
  const { minMove, maxMoveBp, periodMs } = vault.bounds;
  if (moved < minMove) {
    throw new AppError('move_too_small', 'So little is not worth a move of this vault.', {
      details: { moved: moved.toString(), minimum: minMove.toString() },
    });
  }
  const already = time < vault.periodFrom + periodMs ? vault.periodMoved : 0n;
  if (already + moved > bp(total, maxMoveBp)) {
    throw new AppError('period_exhausted', 'The vault may not move so much in one period.', {
      details: {
        already: already.toString(),
        moved: moved.toString(),
        limit: bp(total, maxMoveBp).toString(),
      },
    });
  }
}

/** @throws AppError `allocation_exceeded` */
function checkParts(vault: VaultRow, step: Step, worths: readonly Amount[], total: Amount): void {
  const refuse = (place: number, limit: Amount): never => {
    throw new AppError(
      'allocation_exceeded',
      'The move would leave a pool with more or less than the vault allows.',
      {
        details: { place, worth: (worths[place - 1] as Amount).toString(), limit: limit.toString() },
      },
    );
  };
  if (step.to > 0) {
    const limit = bp(total, (vault.strategies[step.to - 1] as { maxBp: number }).maxBp);
    if ((worths[step.to - 1] as Amount) > limit) refuse(step.to, limit);
  }
  if (step.from > 0) {
    const limit = bp(total, (vault.strategies[step.from - 1] as { minBp: number }).minBp);
    if ((worths[step.from - 1] as Amount) < limit) refuse(step.from, limit);
  }
}
