import { AppError } from '../../../src-shared/errors.ts';
import { verifySignature } from '../../identity/index.ts';
import type { Commit, ValidatorSet } from '../types.ts';
import { commitSignBytes } from './blocks.ts';
import { hexOf } from './hash.ts';

export const totalPower = (set: ValidatorSet): bigint => set.reduce((sum, { power }) => sum + power, 0n);

/** True when `power` is more than two thirds of `total`. */
export const isQuorum = (power: bigint, total: bigint): boolean => 3n * power > 2n * total;

/**
 * The power of the members of `set` that signed a commit. Signers that are no members are passed over: a light client
 * counts so the trusted power in a later set's commit.
 * @throws AppError `bad_signature` when a member's signature does not hold
 */
export function signedPower(chainId: string, set: ValidatorSet, commit: Commit): bigint {
  const members = new Map(set.map((one) => [hexOf(one.id), one]));
  const bytes = commitSignBytes(chainId, commit);
  let power = 0n;
  for (const { validator, sig } of commit.signatures) {
    const member = members.get(hexOf(validator));
    if (!member) continue;
    if (!verifySignature(member.key, bytes, sig)) {
      throw new AppError(
        'bad_signature',
        `A signature under the certificate of block ${commit.height} is wrong.`,
      );
    }
    power += member.power;
  }
  return power;
}

/**
 * Checks the certificate of a block against the set that decided its height: only members sign, in the set's order, and
 * those who do hold more than two thirds of the power.
 * @throws AppError `bad_signature`, `commit_invalid`
 */
export function verifyCommit(chainId: string, set: ValidatorSet, commit: Commit): void {
  const places = new Map(set.map(({ id }, place) => [hexOf(id), place]));
  let last = -1;
  for (const { validator } of commit.signatures) {
    const place = places.get(hexOf(validator)) ?? -1;
    if (place <= last) {
      throw new AppError(
        'commit_invalid',
        `The certificate of block ${commit.height} does not name validators of that height in their order.`,
      );
    }
    last = place;
  }
  if (!isQuorum(signedPower(chainId, set, commit), totalPower(set))) {
    throw new AppError(
      'commit_invalid',
      `The certificate of block ${commit.height} has not two thirds of the voting power.`,
    );
  }
}
