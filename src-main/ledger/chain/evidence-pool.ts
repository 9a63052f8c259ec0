import { isAppError } from '../../../src-shared/errors.ts';
import { verifySignature } from '../../identity/index.ts';
import { blockId, compareBytes, evidenceHash, maxEvidence, voteSignBytes, zeroHash } from '../codec/index.ts';
import { keyOf } from '../consensus/validator-index.ts';
import type { Application, Evidence, Vote } from '../types.ts';

/** Evidence that waits for a block. */
export interface EvidencePool {
  /** @returns false for what is known, too old or proves nothing */
  add(evidence: Evidence): boolean;
  /** For a block of that height: of what happened before it. */
  pending(height: number): readonly Evidence[];
  /** After a block: what it holds, and what it left without force, is done with. */
  included(list: readonly Evidence[]): void;
}

/** A validator that signs everything twice is punished for the first; the rest is dropped. */
const maxPending = 100;

/** Two votes as evidence, in the one order it is encoded in. */
export function duplicateVote(a: Vote, b: Vote): Evidence {
  const swap = compareBytes(a.blockId ?? zeroHash, b.blockId ?? zeroHash) > 0;
  return { type: 'duplicateVote', a: swap ? b : a, b: swap ? a : b };
}

/** True when two votes of one validator, type, height and round are for different blocks and both signatures hold. */
function provesDuplicate(application: Application, a: Vote, b: Vote): boolean {
  if (a.type !== b.type || a.height !== b.height || a.round !== b.round) return false;
  if (compareBytes(a.validator, b.validator) !== 0) return false;
  if (compareBytes(a.blockId ?? zeroHash, b.blockId ?? zeroHash) === 0) return false;
  const last = application.last().height;
  const { current, next } = application.validators();
  const set =
    a.height === last + 1 ? current : a.height === last + 2 ? next : application.validatorsAt(a.height);
  const member = set?.find(({ id }) => compareBytes(id, a.validator) === 0);
  if (!member) return false;
  return [a, b].every((vote) =>
    verifySignature(member.key, voteSignBytes(application.chainId, vote), vote.sig),
  );
}

/** What the evidence is of; where an old header stands in history is no part of it. */
const nameOf = (evidence: Evidence): string =>
  evidence.type === 'duplicateVote'
    ? keyOf(evidenceHash(evidence))
    : `attack ${keyOf(blockId(evidence.header))}`;

const heightOf = (evidence: Evidence): number =>
  evidence.type === 'duplicateVote' ? evidence.a.height : evidence.header.height;

export function createEvidencePool(application: Application): EvidencePool {
  const pending = new Map<string, Evidence>();
  const done = new Set<string>();

  /** Evidence that can be judged, as it would stand in the next block; null when it proves nothing. */
  function judged(evidence: Evidence): Evidence | null {
    try {
      return application.checkEvidence(evidence);
    } catch (error) {
      if (isAppError(error)) return null;
      throw error;
    }
  }

  return {
    add(evidence) {
      let name: string;
      try {
        name = nameOf(evidence);
      } catch (error) {
        if (isAppError(error)) return false;
        throw error;
      }
      if (pending.has(name) || done.has(name) || pending.size >= maxPending) return false;
      if (evidence.type === 'duplicateVote') {
        // Of the height that is being decided: the state machine judges it once that is final.
        if (!provesDuplicate(application, evidence.a, evidence.b)) return false;
        pending.set(name, evidence);
        return true;
      }
      const whole = judged(evidence);
      if (whole) pending.set(name, whole);
      return whole !== null;
    },
    pending: (height) => [...pending.values()].filter((one) => heightOf(one) < height).slice(0, maxEvidence),
    included(list) {
      for (const evidence of list) {
        const name = nameOf(evidence);
        pending.delete(name);
        if (done.size > 10_000) done.clear();
        done.add(name);
      }
      const { height } = application.last();
      for (const [name, evidence] of pending) {
        if (heightOf(evidence) > height || judged(evidence)) continue;
        // Punished by other evidence meanwhile, or too old: it must not ask for blocks any more.
        pending.delete(name);
        done.add(name);
      }
    },
  };
}
