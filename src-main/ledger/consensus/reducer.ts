import type { Hash, ValidatorId, Vote } from '../types.ts';
import { proposerOf } from './proposer.ts';
import type {
  ConsensusEffect,
  ConsensusEvent,
  ConsensusParams,
  ConsensusRules,
  ConsensusState,
  HeightStart,
  KnownBlock,
  RoundState,
} from './types.ts';
import { equalIds, hasHonest, indexValidators, isQuorum, keyOf } from './validator-index.ts';
import { addVote, blockKey, commitFrom, emptyVotes, majorityOf, nil, votesOf } from './vote-set.ts';

/** The protocol as published. */
export const tendermint: ConsensusRules = { quorum: isQuorum, lock: true };

export const defaultParams: ConsensusParams = {
  propose: 1000,
  proposeGrowth: 500,
  prevote: 500,
  prevoteGrowth: 250,
  precommit: 500,
  precommitGrowth: 250,
  blockInterval: 1000,
  emptyBlockInterval: 15_000,
  eagerBlocks: 0,
  maxDrift: 10_000,
};

export interface Step {
  readonly state: ConsensusState;
  readonly effects: readonly ConsensusEffect[];
}

/** Rounds of one height that are kept: after so many failed ones a block comes from the others whole. */
const keptRounds = 32;
/** Longest timeout, ms: rounds that grow without bound would make the return after a long outage slow. */
const longestTimeout = 10_000;
const emptyRound: RoundState = {
  proposal: null,
  receivedAt: 0,
  prevotes: emptyVotes,
  precommits: emptyVotes,
  prevoteTimer: false,
  precommitTimer: false,
};

type Draft = { -readonly [K in keyof ConsensusState]: ConsensusState[K] };

/**
 * Begins at a height.
 * @param own the id this node votes with; null or not in the set: it follows the round without voting
 */
export function beginConsensus(
  own: ValidatorId | null,
  start: HeightStart,
  params: ConsensusParams = defaultParams,
  rules: ConsensusRules = tendermint,
): Step {
  const effects: ConsensusEffect[] = [];
  const draft: Draft = { ...freshHeight(own, start, params, rules), txs: false };
  enterHeight(draft, effects);
  return { state: draft, effects };
}

/** One event: the state after it and what is to be done. Pure; the given state is not changed. */
export function reduce(state: ConsensusState, event: ConsensusEvent): Step {
  const effects: ConsensusEffect[] = [];
  const draft: Draft = { ...state };
  take(draft, event, effects);
  return { state: draft, effects };
}

/** The proposer of a round at this height. */
export const proposerAt = (state: ConsensusState, round: number): ValidatorId =>
  proposerOf(state.index.set, state.start.absent, state.height, round).id;

function freshHeight(
  own: ValidatorId | null,
  start: HeightStart,
  params: ConsensusParams,
  rules: ConsensusRules,
): ConsensusState {
  const index = indexValidators(start.validators);
  const lastIndex = start.last ? indexValidators(start.last.validators) : null;
  return {
    own,
    params,
    rules,
    start,
    index,
    height: start.height,
    round: 0,
    step: 'wait',
    lockedRound: -1,
    lockedId: null,
    validRound: -1,
    validId: null,
    rounds: new Map(),
    blocks: new Map(),
    highest: start.validators.map(() => -1),
    decided: null,
    last:
      start.last && lastIndex
        ? { index: lastIndex, commit: start.last.commit, votes: votesOf(start.last.commit, lastIndex) }
        : null,
    txs: false,
    ahead: new Map(),
    accused: new Set(),
  };
}

function take(d: Draft, event: ConsensusEvent, effects: ConsensusEffect[]): void {
  switch (event.type) {
    case 'height':
      return newHeight(d, event.start, effects);
    case 'txsAvailable':
      d.txs = true;
      if (d.step === 'idle') startRound(d, 0, effects);
      break;
    case 'timeout':
      timeout(d, event.kind, event.height, event.round, effects);
      break;
    case 'proposal':
      if (!takeProposal(d, event, effects)) return;
      break;
    case 'vote':
      if (!takeVote(d, event.vote, effects)) return;
      break;
    case 'validated':
      d.blocks = new Map(d.blocks).set(keyOf(event.blockId), {
        id: event.blockId,
        status: event.valid ? 'valid' : 'invalid',
        time: event.time,
      });
      break;
    case 'made':
      if (event.height !== d.height || event.round !== d.round || d.step !== 'propose') return;
      d.blocks = new Map(d.blocks).set(keyOf(event.blockId), {
        id: event.blockId,
        status: 'valid',
        time: event.time,
      });
      effects.push({
        type: 'propose',
        height: d.height,
        round: d.round,
        validRound: -1,
        blockId: event.blockId,
      });
      break;
  }
  advance(d, effects);
}

function newHeight(d: Draft, start: HeightStart, effects: ConsensusEffect[]): void {
  const { ahead } = d;
  Object.assign(d, freshHeight(d.own, start, d.params, d.rules));
  enterHeight(d, effects);
  for (const event of ahead.values()) {
    const height =
      event.type === 'proposal' ? event.proposal.height : event.type === 'vote' ? event.vote.height : -1;
    if (height === d.height) take(d, event, effects);
  }
}

function enterHeight(d: Draft, effects: ConsensusEffect[]): void {
  const { resume } = d.start;
  if (!resume) {
    const ms = Math.max(0, d.params.blockInterval - d.start.elapsed);
    effects.push({ type: 'schedule', kind: 'wait', height: d.height, round: 0, ms });
    return;
  }
  if (resume.lock) {
    d.lockedRound = d.validRound = resume.lock.round;
    d.lockedId = d.validId = resume.lock.blockId;
    ask(d, resume.lock.blockId, effects);
  }
  startRound(d, resume.round, effects);
  advance(d, effects);
}

const roundOf = (d: ConsensusState, round: number): RoundState => d.rounds.get(round) ?? emptyRound;

function setRound(d: Draft, round: number, change: Partial<RoundState>): void {
  const rounds = new Map(d.rounds).set(round, { ...roundOf(d, round), ...change });
  if (rounds.size > keptRounds) {
    const old = [...rounds.keys()]
      .filter((other) => other < d.round && other !== d.lockedRound && other !== d.validRound)
      .sort((a, b) => a - b)[0];
    if (old !== undefined) rounds.delete(old);
  }
  d.rounds = rounds;
}

/** Asks the driver for a block, once. */
function ask(d: Draft, blockId: Hash, effects: ConsensusEffect[]): void {
  if (d.blocks.has(keyOf(blockId))) return;
  d.blocks = new Map(d.blocks).set(keyOf(blockId), { id: blockId, status: 'asked', time: 0 });
  effects.push({ type: 'validate', height: d.height, blockId });
}

const isWaiting = (d: ConsensusState): boolean => d.step === 'wait' || d.step === 'idle';
const isOwn = (d: ConsensusState, id: ValidatorId): boolean => d.own !== null && equalIds(d.own, id);

/** Lines 11-21. */
function startRound(d: Draft, round: number, effects: ConsensusEffect[]): void {
  d.round = round;
  d.step = 'propose';
  const { proposal } = roundOf(d, round);
  if (proposal) ask(d, proposal.blockId, effects);
  else if (isOwn(d, proposerAt(d, round))) {
    if (d.validId) {
      effects.push({
        type: 'propose',
        height: d.height,
        round,
        validRound: d.validRound,
        blockId: d.validId,
      });
    } else effects.push({ type: 'make', height: d.height, round });
  }
  schedule(d, 'propose', effects);
}

function schedule(d: Draft, kind: 'propose' | 'prevote' | 'precommit', effects: ConsensusEffect[]): void {
  const ms = Math.min(
    Math.max(longestTimeout, d.params[kind]),
    d.params[kind] + d.round * d.params[`${kind}Growth`],
  );
  effects.push({ type: 'schedule', kind, height: d.height, round: d.round, ms });
}

/** Messages of the next height come before this one is committed here: a few are kept. */
function keepAhead(d: Draft, key: string, event: ConsensusEvent): void {
  if (d.ahead.has(key) || d.ahead.size >= 8 * (d.index.set.length + 4)) return;
  d.ahead = new Map(d.ahead).set(key, event);
}

function takeProposal(
  d: Draft,
  event: ConsensusEvent & { type: 'proposal' },
  effects: ConsensusEffect[],
): boolean {
  const { proposal } = event;
  if (proposal.height === d.height + 1 && proposal.round <= 1) {
    keepAhead(d, `proposal ${proposal.round} ${keyOf(proposal.proposer)}`, event);
    return false;
  }
  if (proposal.height !== d.height || d.decided) return false;
  const limit = isWaiting(d) ? 0 : d.round + 1;
  if (proposal.round > limit || proposal.validRound >= proposal.round || proposal.validRound < -1)
    return false;
  if (!equalIds(proposal.proposer, proposerAt(d, proposal.round))) return false;
  if (roundOf(d, proposal.round).proposal) return false;
  setRound(d, proposal.round, { proposal, receivedAt: event.receivedAt });
  // The body is worth fetching even for a round that is over: a quorum for it may still come.
  ask(d, proposal.blockId, effects);
  if (isWaiting(d)) startRound(d, 0, effects);
  return true;
}

function takeVote(d: Draft, vote: Vote, effects: ConsensusEffect[]): boolean {
  if (vote.height === d.height - 1) return takeLate(d, vote);
  if (vote.height === d.height + 1 && vote.round <= 1) {
    keepAhead(d, `${vote.type} ${vote.round} ${keyOf(vote.validator)}`, { type: 'vote', vote });
    return false;
  }
  if (vote.height !== d.height || d.decided) return false;
  const place = d.index.indexOf(vote.validator);
  if (place < 0 || vote.round < 0) return false;
  if (vote.round > d.highest[place]!) {
    const highest = d.highest.slice();
    highest[place] = vote.round;
    d.highest = highest;
  }
  // Of rounds further ahead only the number counts: the votes themselves come again once this node is there.
  if (vote.round > d.round + 1) return true;
  if (vote.round < d.round - keptRounds) return false;
  const kind = vote.type === 'prevote' ? 'prevotes' : 'precommits';
  const { set, added, conflict } = addVote(roundOf(d, vote.round)[kind], d.index, place, vote);
  if (conflict && !d.accused.has(keyOf(vote.validator))) {
    d.accused = new Set(d.accused).add(keyOf(vote.validator));
    effects.push({ type: 'evidence', a: conflict, b: vote });
  }
  if (!added) return false;
  setRound(d, vote.round, { [kind]: set });
  return true;
}

/** A precommit for the block before makes its certificate fuller; nothing else depends on it. */
function takeLate(d: Draft, vote: Vote): false {
  const { last } = d;
  if (!last || vote.type !== 'precommit' || vote.round !== last.commit.round) return false;
  if (!equalIds(vote.blockId, last.commit.blockId)) return false;
  const place = last.index.indexOf(vote.validator);
  if (place < 0) return false;
  const { set, added } = addVote(last.votes, last.index, place, vote);
  if (added) d.last = { ...last, votes: set };
  return false;
}

function timeout(d: Draft, kind: string, height: number, round: number, effects: ConsensusEffect[]): void {
  if (height !== d.height || d.decided) return;
  if (kind === 'wait' && d.step === 'wait') {
    if (d.txs) return startRound(d, 0, effects);
    d.step = 'idle';
    const ms = Math.max(0, (d.start.emptyAfter ?? d.params.emptyBlockInterval) - d.params.blockInterval);
    effects.push({ type: 'schedule', kind: 'idle', height, round: 0, ms });
  } else if (kind === 'idle' && d.step === 'idle') startRound(d, 0, effects);
  else if (round !== d.round || isWaiting(d)) return;
  else if (kind === 'propose' && d.step === 'propose') castPrevote(d, null, effects);
  else if (kind === 'prevote' && d.step === 'prevote') castPrecommit(d, null, effects);
  else if (kind === 'precommit') startRound(d, round + 1, effects);
}

function castPrevote(d: Draft, blockId: Hash | null, effects: ConsensusEffect[]): void {
  d.step = 'prevote';
  cast(d, 'prevote', blockId, effects);
}

function castPrecommit(d: Draft, blockId: Hash | null, effects: ConsensusEffect[]): void {
  d.step = 'precommit';
  cast(d, 'precommit', blockId, effects);
}

function cast(
  d: Draft,
  vote: 'prevote' | 'precommit',
  blockId: Hash | null,
  effects: ConsensusEffect[],
): void {
  if (d.own === null || d.index.indexOf(d.own) < 0) return;
  effects.push({ type: 'vote', vote, height: d.height, round: d.round, blockId });
}

/** Applies the rules until none fires. */
function advance(d: Draft, effects: ConsensusEffect[]): void {
  for (let fired = true; fired && !d.decided;) {
    fired =
      decide(d, effects) ||
      skipAhead(d, effects) ||
      (!isWaiting(d) &&
        (prevoteOnProposal(d, effects) ||
          startPrevoteTimer(d, effects) ||
          precommitOnPolka(d, effects) ||
          startPrecommitTimer(d, effects)));
  }
}

/** Lines 49-54: a quorum of precommits in any round. */
function decide(d: Draft, effects: ConsensusEffect[]): boolean {
  for (const [round, { precommits }] of d.rounds) {
    const key = majorityOf(precommits, d.index.total, d.rules.quorum);
    if (key === undefined || key === nil) continue;
    const block = wanted(d, key, precommits.first.concat(precommits.more), effects);
    if (block.status === 'invalid') {
      d.step = 'decided';
      effects.push({ type: 'halt', blockId: block.id });
      d.decided = commitFrom(precommits, d.index, d.height, round, block.id);
      return true;
    }
    if (block.status !== 'valid') continue;
    d.step = 'decided';
    d.decided = commitFrom(precommits, d.index, d.height, round, block.id);
    effects.push({ type: 'commit', commit: d.decided });
    return true;
  }
  return false;
}

/** The block many voted for; asks for it when it is unknown. */
function wanted(
  d: Draft,
  key: string,
  votes: readonly (Vote | undefined)[],
  effects: ConsensusEffect[],
): KnownBlock {
  const known = d.blocks.get(key);
  if (known) return known;
  const vote = votes.find((one) => one?.blockId && blockKey(one.blockId) === key) as Vote;
  ask(d, vote.blockId as Hash, effects);
  return d.blocks.get(key) as KnownBlock;
}

/** Lines 55-56: an honest member is in a later round, and this node goes there. */
function skipAhead(d: Draft, effects: ConsensusEffect[]): boolean {
  const current = isWaiting(d) ? -1 : d.round;
  const later = d.highest
    .map((round, place) => ({ round, place }))
    .filter(({ round }) => round > current)
    .sort((a, b) => b.round - a.round);
  let power = 0n;
  for (const { round, place } of later) {
    power += d.index.at(place).power;
    if (!hasHonest(power, d.index.total)) continue;
    startRound(d, round, effects);
    return true;
  }
  return false;
}

/** Lines 22-33: the vote on what was proposed. */
function prevoteOnProposal(d: Draft, effects: ConsensusEffect[]): boolean {
  if (d.step !== 'propose') return false;
  const { proposal, receivedAt } = roundOf(d, d.round);
  if (!proposal) return false;
  const block = d.blocks.get(keyOf(proposal.blockId));
  if (!block || block.status === 'asked') return false;
  const { validRound } = proposal;
  const free = !d.rules.lock || d.lockedRound === -1 || equalIds(d.lockedId, proposal.blockId);
  if (validRound < 0) {
    const good = block.status === 'valid' && free && isTimely(d, block.time, receivedAt, proposal.proposer);
    castPrevote(d, good ? proposal.blockId : null, effects);
    return true;
  }
  // The time of a block that had a quorum before was judged then.
  const polka = majorityOf(roundOf(d, validRound).prevotes, d.index.total, d.rules.quorum);
  if (polka !== keyOf(proposal.blockId)) return false;
  const good = block.status === 'valid' && (free || d.lockedRound <= validRound);
  castPrevote(d, good ? proposal.blockId : null, effects);
  return true;
}

/**
 * Proposer-based time: later than the block before, and near this validator's clock when the proposal came. An own block is not
 * judged, so that a validator alone goes on after its clock was set back; nor is one that had to step just past the block before.
 */
function isTimely(d: Draft, time: number, receivedAt: number, proposer: ValidatorId): boolean {
  if (time <= d.start.lastTime) return false;
  if (isOwn(d, proposer)) return true;
  const { maxDrift } = d.params;
  const slack = maxDrift * (1 + d.round);
  return time <= receivedAt + maxDrift && (time >= receivedAt - slack || time === d.start.lastTime + 1);
}

/** Lines 34-35. */
function startPrevoteTimer(d: Draft, effects: ConsensusEffect[]): boolean {
  const round = roundOf(d, d.round);
  if (d.step !== 'prevote' || round.prevoteTimer) return false;
  if (!d.rules.quorum(round.prevotes.voted, d.index.total)) return false;
  setRound(d, d.round, { prevoteTimer: true });
  schedule(d, 'prevote', effects);
  return true;
}

/** Lines 36-46: a quorum of prevotes binds this validator to the block. */
function precommitOnPolka(d: Draft, effects: ConsensusEffect[]): boolean {
  if (d.step === 'propose') return polkaWhileProposing(d, effects);
  const { prevotes } = roundOf(d, d.round);
  const key = majorityOf(prevotes, d.index.total, d.rules.quorum);
  if (key === undefined) return false;
  if (key === nil) {
    if (d.step !== 'prevote') return false;
    castPrecommit(d, null, effects);
    return true;
  }
  if (d.validRound >= d.round) return false;
  const block = wanted(d, key, prevotes.first.concat(prevotes.more), effects);
  if (block.status !== 'valid') return false;
  d.validRound = d.round;
  d.validId = block.id;
  if (d.step === 'prevote') {
    d.lockedRound = d.round;
    d.lockedId = block.id;
    castPrecommit(d, block.id, effects);
  }
  return true;
}

/** The body may still be on its way here when the others have voted: it is asked for, for the precommit after the timeout. */
function polkaWhileProposing(d: Draft, effects: ConsensusEffect[]): false {
  const { prevotes } = roundOf(d, d.round);
  const key = majorityOf(prevotes, d.index.total, d.rules.quorum);
  if (key !== undefined && key !== nil) wanted(d, key, prevotes.first.concat(prevotes.more), effects);
  return false;
}

/** Lines 47-48. */
function startPrecommitTimer(d: Draft, effects: ConsensusEffect[]): boolean {
  const round = roundOf(d, d.round);
  if (round.precommitTimer || !d.rules.quorum(round.precommits.voted, d.index.total)) return false;
  setRound(d, d.round, { precommitTimer: true });
  schedule(d, 'precommit', effects);
  return true;
}
