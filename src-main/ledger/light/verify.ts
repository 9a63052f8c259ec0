import { AppError, isAppError } from '../../../src-shared/errors.ts';
import {
  blockId,
  sameBytes,
  signedPower,
  totalPower,
  validatorSetHash,
  verifyCommit,
  verifyInHistory,
} from '../codec/index.ts';
import type { Hash, HistoryProof, SignedHeader, ValidatorSet } from '../types.ts';

/** A header with its certificate and the set that signed it. */
export interface LightBlock {
  readonly signed: SignedHeader;
  readonly validators: ValidatorSet;
}

/** What a light client starts from: a verified block, or genesis (height 0, whose set decides heights 1 and 2). */
export interface Trusted {
  readonly height: number;
  readonly blockId: Hash;
  /** ms since the epoch. */
  readonly time: number;
  readonly validators: ValidatorSet;
  /** Null for genesis, whose set also decides the next height. */
  readonly nextValidatorsHash: Hash | null;
}

export interface LightRules {
  readonly chainId: string;
  /** How long a verified header is trusted, ms: at most half the unbonding time, so that who signs a false one can still be punished. */
  readonly trustingPeriod: number;
  readonly now: number;
  /** How far a header's time may lie ahead of this clock, ms. */
  readonly maxDrift: number;
}

export const trustedFrom = ({ signed, validators }: LightBlock): Trusted => ({
  height: signed.header.height,
  blockId: signed.commit.blockId,
  time: signed.header.time,
  validators,
  nextValidatorsHash: signed.header.nextValidatorsHash,
});

/**
 * One step of verification (Braithwaite et al., "A Tendermint Light Client", arXiv:2010.07031): the next height by the set that the
 * trusted header names for it; a later one when members with more than a third of the trusted power signed it (one of them is honest)
 * and its own set with more than two thirds.
 * @returns false when too few of the trusted set signed: a header between the two is needed
 * @throws AppError `trust_expired`, `header_invalid`, `commit_invalid`, `bad_signature`
 */
export function verifyStep(trusted: Trusted, target: LightBlock, rules: LightRules): boolean {
  const { header, commit } = target.signed;
  if (trusted.time + rules.trustingPeriod <= rules.now) {
    throw new AppError(
      'trust_expired',
      'This computer was away from the network too long to check it by itself. Take a checkpoint from somebody you trust.',
    );
  }
  if (header.chainId !== rules.chainId) throw invalid('it is of another chain');
  if (header.height <= trusted.height) throw invalid('it is not later than the trusted one');
  if (header.time <= trusted.time) throw invalid('its time is not later than that of the trusted one');
  if (header.time > rules.now + rules.maxDrift) throw invalid('its time lies in the future');
  if (commit.height !== header.height || !sameBytes(commit.blockId, blockId(header))) {
    throw invalid('its certificate is for another block');
  }
  if (!sameBytes(validatorSetHash(target.validators), header.validatorsHash)) {
    throw invalid('the validators given with it are not its own');
  }
  if (header.height === trusted.height + 1) {
    const expected = trusted.nextValidatorsHash ?? validatorSetHash(trusted.validators);
    if (!sameBytes(header.validatorsHash, expected))
      throw invalid('its validators are not those named before');
    if (!sameBytes(header.prev, trusted.blockId)) throw invalid('it does not follow the trusted one');
  } else if (!isTrustedByThird(trusted, target, rules.chainId)) return false;
  verifyCommit(rules.chainId, target.validators, commit);
  return true;
}

function isTrustedByThird(trusted: Trusted, target: LightBlock, chainId: string): boolean {
  return 3n * signedPower(chainId, trusted.validators, target.signed.commit) > totalPower(trusted.validators);
}

/** Headers asked for on the way to one; more means somebody leads on. */
const maxSteps = 64;

/**
 * Verifies a header by skipping, halving the distance where too much of the set has changed.
 * @param fetch a light block of that height from the peer in question
 * @returns all blocks verified on the way, the target last
 * @throws AppError of `verifyStep`, and of `fetch`
 */
export async function verifyTo(
  from: Trusted,
  target: LightBlock,
  fetch: (height: number) => Promise<LightBlock>,
  rules: LightRules,
): Promise<readonly LightBlock[]> {
  const verified: LightBlock[] = [];
  let trusted = from;
  const pending = [target];
  for (let steps = 0; pending.length > 0; steps++) {
    if (steps > maxSteps) throw invalid('it takes too many steps to get there');
    const next = pending[pending.length - 1] as LightBlock;
    const { height } = next.signed.header;
    if (verifyStep(trusted, next, rules)) {
      pending.pop();
      verified.push(next);
      trusted = trustedFrom(next);
      continue;
    }
    const middle = Math.floor((trusted.height + height) / 2);
    const between = await fetch(middle);
    if (between.signed.header.height !== middle) throw invalid('it is of another height than asked for');
    pending.push(between);
  }
  return verified;
}

/**
 * An old header by the mountain range in a verified later one: no signatures, one path.
 * @throws AppError `header_invalid`
 */
export function verifyOld(head: SignedHeader, old: SignedHeader, proof: HistoryProof): void {
  const fits =
    proof.height === old.header.height &&
    proof.size === head.header.height - 1 &&
    sameBytes(old.commit.blockId, blockId(old.header)) &&
    verifyInHistory(head.header.historyRoot, old.commit.blockId, proof);
  if (!fits) throw invalid('the history of the chain does not have it');
}

/** True when a block that differs from the verified one of its height is validly signed all the same: two thirds of its set lied. */
export function isAttack(
  trusted: Trusted,
  verified: LightBlock,
  other: LightBlock,
  rules: LightRules,
): boolean {
  if (other.signed.header.height !== verified.signed.header.height) return false;
  if (sameBytes(other.signed.commit.blockId, verified.signed.commit.blockId)) return false;
  try {
    return verifyStep(trusted, other, rules);
  } catch (error) {
    if (isAppError(error)) return false;
    throw error;
  }
}

const invalid = (why: string): AppError =>
  new AppError('header_invalid', `A header of a block does not hold: ${why}.`);
