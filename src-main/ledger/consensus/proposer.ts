import type { Validator, ValidatorId, ValidatorSet } from '../types.ts';
import { keyOf } from './validator-index.ts';

/** 2^64 divided by the golden ratio. */
const golden = 0x9e3779b97f4a7c15n;
const mask = (1n << 64n) - 1n;

/**
 * Who proposes in a round. Turns are the points `i / phi mod 1` of the line from 0 to 1, on which every validator has a part as
 * long as its share of the power: a sequence of low discrepancy (Weyl), so that over any stretch of turns each proposes about as
 * often as its stake says. Nothing is carried from block to block, and nobody can grind it.
 *
 * Members absent from the last certificates have no turn: a switched-off computer would cost a timeout every time. A quorum signed
 * those certificates, so somebody honest and awake always has one. After many failed rounds everybody has.
 */
export function proposerOf(
  set: ValidatorSet,
  absent: readonly ValidatorId[],
  height: number,
  round: number,
): Validator {
  const away = new Set(absent.map(keyOf));
  const present = set.filter(({ id }) => !away.has(keyOf(id)));
  const members = present.length === 0 || round >= 4 * set.length ? set : present;
  const total = members.reduce((sum, { power }) => sum + power, 0n);
  const turn = ((BigInt(height) + BigInt(round)) * golden) & mask;
  let point = (turn * total) >> 64n;
  for (const member of members) {
    if (point < member.power) return member;
    point -= member.power;
  }
  throw new RangeError('an empty validator set');
}

/** How many of the last certificates decide about absence. */
export const absenceWindow = 5;

/**
 * Members of `set` that signed none of the given certificates although they belonged to the set of each.
 * @param history the sets and signers of the heights in the window, as the blocks themselves record them
 */
export function absentMembers(
  set: ValidatorSet,
  history: readonly { readonly validators: ValidatorSet; readonly signers: readonly ValidatorId[] }[],
): readonly ValidatorId[] {
  if (history.length === 0) return [];
  const rounds = history.map(({ validators, signers }) => ({
    members: new Set(validators.map(({ id }) => keyOf(id))),
    signers: new Set(signers.map(keyOf)),
  }));
  return set
    .map(({ id }) => id)
    .filter((id) =>
      rounds.every(({ members, signers }) => members.has(keyOf(id)) && !signers.has(keyOf(id))),
    );
}
