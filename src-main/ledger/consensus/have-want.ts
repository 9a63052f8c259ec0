import type { Hash, Proposal, Vote } from '../types.ts';
import type { ConsensusState } from './types.ts';
import { equalIds, keyOf } from './validator-index.ts';
import { allVotes, blockKey } from './vote-set.ts';
import type { VoteSet } from './vote-set.ts';

/*
 * Gossip loses messages, and Tendermint's progress rests on every message of an honest validator arriving in the end. So peers tell
 * each other what they have, and send what the other lacks. Pure: the node and the simulator run the same code.
 */

/** Who voted for one block, by place in the validator set. */
export interface VoteBits {
  readonly blockId: Hash | null;
  readonly bits: Uint8Array;
}

export interface RoundHave {
  readonly round: number;
  readonly proposal: boolean;
  readonly prevotes: readonly VoteBits[];
  readonly precommits: readonly VoteBits[];
}

export interface Have {
  readonly height: number;
  readonly round: number;
  readonly rounds: readonly RoundHave[];
  /** Bodies that are here. */
  readonly blocks: readonly Hash[];
  /** Bodies that are needed here. */
  readonly wants: readonly Hash[];
}

export interface Missing {
  readonly proposals: readonly Proposal[];
  readonly votes: readonly Vote[];
  /** Ids of bodies to send. */
  readonly blocks: readonly Hash[];
}

const maxMissingVotes = 512;

function bitsOf(votes: VoteSet, state: ConsensusState): readonly VoteBits[] {
  const found = new Map<string, { blockId: Hash | null; bits: Uint8Array }>();
  for (const vote of allVotes(votes)) {
    const key = blockKey(vote.blockId);
    let entry = found.get(key);
    if (!entry) {
      entry = { blockId: vote.blockId, bits: new Uint8Array((state.index.set.length + 7) >> 3) };
      found.set(key, entry);
    }
    const place = state.index.indexOf(vote.validator);
    entry.bits[place >> 3]! |= 1 << (place & 7);
  }
  return [...found.values()];
}

/** What this node has of the current height. */
export function haveOf(state: ConsensusState): Have {
  const blocks = [...state.blocks.values()];
  return {
    height: state.height,
    round: state.step === 'wait' || state.step === 'idle' ? -1 : state.round,
    rounds: [...state.rounds].map(([round, { proposal, prevotes, precommits }]) => ({
      round,
      proposal: proposal !== null,
      prevotes: bitsOf(prevotes, state),
      precommits: bitsOf(precommits, state),
    })),
    blocks: blocks.filter(({ status }) => status !== 'asked').map(({ id }) => id),
    wants: blocks.filter(({ status }) => status === 'asked').map(({ id }) => id),
  };
}

/** What a peer at the same height lacks and this node has. Nothing for a peer at another height. */
export function missingFor(state: ConsensusState, have: Have): Missing {
  if (have.height !== state.height) return { proposals: [], votes: [], blocks: [] };
  const proposals: Proposal[] = [];
  const votes: Vote[] = [];
  // The latest rounds first: they get a peer on soonest.
  for (const [round, mine] of [...state.rounds].sort(([a], [b]) => b - a)) {
    const theirs = have.rounds.find((other) => other.round === round);
    if (mine.proposal && !theirs?.proposal && round <= Math.max(0, have.round + 1))
      proposals.push(mine.proposal);
    for (const kind of ['precommits', 'prevotes'] as const) {
      for (const vote of allVotes(mine[kind])) {
        if (votes.length >= maxMissingVotes) break;
        const known = theirs?.[kind].find((entry) => equalIds(entry.blockId, vote.blockId));
        const place = state.index.indexOf(vote.validator);
        if (known && known.bits[place >> 3]! & (1 << (place & 7))) continue;
        votes.push(vote);
      }
    }
  }
  const wanted = new Set(have.wants.map(keyOf));
  const blocks = [...state.blocks.values()]
    .filter(({ id, status }) => status === 'valid' && wanted.has(keyOf(id)))
    .map(({ id }) => id);
  return { proposals, votes, blocks };
}
