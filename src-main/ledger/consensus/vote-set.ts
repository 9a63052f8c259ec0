import type { Commit, Hash, Vote } from '../types.ts';
import { hasHonest, keyOf } from './validator-index.ts';
import type { ValidatorIndex } from './validator-index.ts';

/** The votes of one type in one round. A value: adding gives a new one. */
export interface VoteSet {
  /** The first vote of each validator, by its place in the set. */
  readonly first: readonly (Vote | undefined)[];
  /** Further votes of those that voted for more than one block. */
  readonly more: readonly Vote[];
  /** Power of all that voted, each once. */
  readonly voted: bigint;
  /** Power by block; `nil` for none. */
  readonly power: ReadonlyMap<string, bigint>;
}

export const nil = 'nil';
export const blockKey = (blockId: Hash | null): string => (blockId === null ? nil : keyOf(blockId));

export const emptyVotes: VoteSet = { first: [], more: [], voted: 0n, power: new Map() };

export interface Added {
  readonly set: VoteSet;
  readonly added: boolean;
  /** The first vote of the same validator for something else: both together are evidence. */
  readonly conflict: Vote | null;
}

/**
 * Adds a vote of a member. A second vote of a validator counts for its block, too: others may have built their quorum on it. So that
 * nobody can fill the memory with votes, it is kept only when it is the second, or when an honest member voted for that block.
 */
export function addVote(votes: VoteSet, index: ValidatorIndex, place: number, vote: Vote): Added {
  const key = blockKey(vote.blockId);
  const before = votes.first[place];
  const { power } = index.at(place);
  const tally = (): ReadonlyMap<string, bigint> =>
    new Map(votes.power).set(key, (votes.power.get(key) ?? 0n) + power);
  if (before === undefined) {
    const first = votes.first.slice();
    first[place] = vote;
    return {
      set: { first, more: votes.more, voted: votes.voted + power, power: tally() },
      added: true,
      conflict: null,
    };
  }
  if (blockKey(before.blockId) === key) return { set: votes, added: false, conflict: null };
  const own = keyOf(vote.validator);
  const others = votes.more.filter((other) => keyOf(other.validator) === own);
  if (others.some((other) => blockKey(other.blockId) === key))
    return { set: votes, added: false, conflict: before };
  if (others.length > 0 && !hasHonest(votes.power.get(key) ?? 0n, index.total))
    return { set: votes, added: false, conflict: before };
  return {
    set: { ...votes, more: [...votes.more, vote], power: tally() },
    added: true,
    conflict: before,
  };
}

/** The block (or nil) that a quorum voted for; undefined when there is none. */
export function majorityOf(
  votes: VoteSet,
  total: bigint,
  quorum: (power: bigint, total: bigint) => boolean,
): string | undefined {
  for (const [key, power] of votes.power) if (quorum(power, total)) return key;
  return undefined;
}

/** All votes, first and further ones. */
export function* allVotes(votes: VoteSet): Generator<Vote> {
  for (const vote of votes.first) if (vote) yield vote;
  yield* votes.more;
}

/** The certificate for a block out of precommits, in the order of the set. */
export function commitFrom(
  votes: VoteSet,
  index: ValidatorIndex,
  height: number,
  round: number,
  blockId: Hash,
): Commit {
  const key = keyOf(blockId);
  const sigs = new Map<number, Vote>();
  for (const vote of allVotes(votes)) {
    if (blockKey(vote.blockId) === key) sigs.set(index.indexOf(vote.validator), vote);
  }
  return {
    height,
    round,
    blockId,
    signatures: [...sigs].sort(([a], [b]) => a - b).map(([, { validator, sig }]) => ({ validator, sig })),
  };
}

/** The precommits inside a certificate. */
export function votesOf(commit: Commit, index: ValidatorIndex): VoteSet {
  let votes = emptyVotes;
  for (const { validator, sig } of commit.signatures) {
    const place = index.indexOf(validator);
    if (place < 0) continue;
    votes = addVote(votes, index, place, {
      type: 'precommit',
      height: commit.height,
      round: commit.round,
      blockId: commit.blockId,
      validator,
      sig,
    }).set;
  }
  return votes;
}
