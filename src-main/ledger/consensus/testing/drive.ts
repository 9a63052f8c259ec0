import { createHash } from 'node:crypto';
import type { Hash, Proposal, Validator, ValidatorId, Vote, VoteType } from '../../types.ts';
import { beginConsensus, proposerAt, reduce } from '../reducer.ts';
import type { ConsensusEffect, ConsensusEvent, ConsensusState, HeightStart } from '../types.ts';
import { keyOf } from '../validator-index.ts';

/* Drives the reducer event by event, in tests: four validators of equal power at height 1. */

export const hashOf = (text: string): Hash => new Uint8Array(createHash('sha256').update(text).digest());
export const ids = [0, 1, 2, 3].map((i) => hashOf(`validator ${i}`));
export const set: Validator[] = ids.map((id) => ({ id, key: id, power: 10n }));
export const blockA = hashOf('block a');
export const blockB = hashOf('block b');

export function start(
  validators: readonly Validator[] = set,
  change: Partial<HeightStart> = {},
): HeightStart {
  return {
    height: 1,
    validators,
    absent: [],
    lastTime: 0,
    last: null,
    elapsed: 10_000,
    resume: null,
    ...change,
  };
}

/** One validator, driven event by event. */
export function run(own: ValidatorId, from: HeightStart = start()) {
  const begun = beginConsensus(own, from);
  let state: ConsensusState = begun.state;
  const effects: ConsensusEffect[] = [...begun.effects];
  return {
    state: () => state,
    feed(...events: ConsensusEvent[]): readonly ConsensusEffect[] {
      const now: ConsensusEffect[] = [];
      for (const event of events) {
        const step = reduce(state, event);
        state = step.state;
        now.push(...step.effects);
      }
      effects.push(...now);
      return now;
    },
    effects,
  };
}

export const vote = (
  validator: number,
  type: VoteType,
  round: number,
  blockId: Hash | null,
  height = 1,
): ConsensusEvent => ({
  type: 'vote',
  vote: { type, height, round, blockId, validator: ids[validator]!, sig: new Uint8Array(64) } satisfies Vote,
});
export const proposalOf = (
  state: ConsensusState,
  round: number,
  blockId: Hash,
  validRound = -1,
  receivedAt = 1000,
): ConsensusEvent => ({
  type: 'proposal',
  receivedAt,
  proposal: {
    height: 1,
    round,
    validRound,
    blockId,
    proposer: proposerAt(state, round),
    sig: new Uint8Array(64),
  } satisfies Proposal,
});
export const valid = (blockId: Hash, time = 1000): ConsensusEvent => ({
  type: 'validated',
  blockId,
  valid: true,
  time,
});
export const timeout = (
  kind: 'wait' | 'idle' | 'propose' | 'prevote' | 'precommit',
  round = 0,
): ConsensusEvent => ({
  type: 'timeout',
  kind,
  height: 1,
  round,
});
export const votesIn = (effects: readonly ConsensusEffect[]) =>
  effects.flatMap((one) => (one.type === 'vote' ? [[one.vote, one.round, one.blockId]] : []));
/** A validator that does not propose in the first rounds. */
export const bystander = (): number => {
  const { state } = beginConsensus(null, start());
  const turns = [0, 1, 2].map((round) => keyOf(proposerAt(state, round)));
  return ids.findIndex((id) => !turns.includes(keyOf(id)));
};
