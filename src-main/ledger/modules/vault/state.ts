import { AppError } from '../../../../src-shared/errors.ts';
import { maxTime } from '../../codec/index.ts';
import { amount, listOf, oneOf, positiveAmount, record, refined, text, whole } from '../../codec/shape.ts';
import type { ValueOf } from '../../codec/shape.ts';
import { allParts, day } from '../../codec/token-spec.ts';
import { addressShape, symbolShape } from '../../codec/tx.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, numberKey, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Amount } from '../../types.ts';
import { feeShape } from '../pool/state.ts';

/*
 * A vault takes one token and lends it to the pools of services. What its moves may do is declared when it is made and can't
 * be changed: whoever deposits knows the worst that anybody who calls `rebalance` can do.
 */

export const maxStrategies = 8;
const parts = whole(allParts);

const strategyShape = refined(
  record({
    /** The pool of the vault's token with this one. */
    other: symbolShape,
    feeBp: feeShape,
    /** Of the vault's worth, in ten-thousandths. What all pools together leave stays idle. */
    targetBp: parts,
    minBp: parts,
    maxBp: parts,
  }),
  ({ minBp, targetBp, maxBp }) =>
    minBp <= targetBp && targetBp <= maxBp ? null : 'its target is not between its least and its most',
);
export type Strategy = ValueOf<typeof strategyShape>;

export const strategiesShape = refined(listOf(strategyShape, maxStrategies, 1), (all) => {
  if (new Set(all.map(({ other }) => other)).size !== all.length) return 'a token stands there twice';
  if (all.reduce((sum, { targetBp }) => sum + targetBp, 0) > allParts)
    return 'its targets are more than 10,000';
  return null;
});

export const boundsShape = record({
  /** `target`: the parts declared; `usage`: by what was traded in each pool in the last day, between least and most. */
  follow: oneOf('target', 'usage'),
  /** In the vault's token: less is not worth a move. */
  minMove: positiveAmount,
  /** ms between moves. */
  cooldownMs: whole(365 * day, 1000),
  /** Of the vault's worth that may move in a period, ten-thousandths, and the period's length in ms. */
  maxMoveBp: whole(allParts, 1),
  periodMs: whole(365 * day, 60_000),
  /** Of what moves, that may be lost by it; and how far a pool's price may be from its average. */
  maxLossBp: whole(1000, 1),
  /** What the caller gets: ten-thousandths of what moved, but not more than the cap. */
  tipBp: whole(100),
  tipCap: amount,
});
export type Bounds = ValueOf<typeof boundsShape>;

const vaultShape = record({
  owner: addressShape,
  name: text(64, 1),
  asset: symbolShape,
  strategies: strategiesShape,
  bounds: boundsShape,
  shares: amount,
  createdAt: whole(maxTime),
  /** When it last moved; 0: never. */
  movedAt: whole(maxTime),
  periodFrom: whole(maxTime),
  /** In this period. */
  periodMoved: amount,
  moves: whole(),
});
export type VaultRow = ValueOf<typeof vaultShape>;
/** By number. */
export const vaults = table('G', 'vaults', vaultShape);

/** @throws AppError `vault_unknown` */
export function vaultAt(state: StateView, number: number): VaultRow {
  const found = state.get(vaults, numberKey(number));
  if (found) return found;
  throw new AppError('vault_unknown', `There is no vault ${number}.`);
}

/** By account, then vault. */
export const vaultShares = table('H', 'vault shares', record({ shares: positiveAmount }));
export const vaultShareKey = (address: Address, vault: number): Key => bytesKey(address) + numberKey(vault);

/** 0: what is idle; n: the strategy of that place, from 1. */
export const placeShape = whole(maxStrategies);

const moveShape = record({
  time: whole(maxTime),
  by: addressShape,
  from: placeShape,
  to: placeShape,
  moved: amount,
  lost: amount,
  tip: amount,
  /** How far from its targets the vault was, and is, in its token. */
  before: amount,
  after: amount,
});
export type VaultMove = ValueOf<typeof moveShape>;
/** The last ones, to show them; by vault and number modulo so many. */
export const keptMoves = 32;
export const vaultMoves = table('I', 'moves of vaults', moveShape);
export const vaultMoveKey = (vault: number, number: number): Key =>
  numberKey(vault) + numberKey(number % keptMoves);

/** Shares that nobody owns and that every vault has from its beginning: so a first depositor can't make a share dear. */
export const virtualShares = 1000n;
/** Worth of the virtual shares at the beginning. */
export const virtualWorth: Amount = 1n;
