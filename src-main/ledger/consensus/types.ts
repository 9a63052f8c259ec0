import type { Commit, Hash, Proposal, ValidatorId, ValidatorSet, Vote, VoteType } from '../types.ts';
import type { ValidatorIndex } from './validator-index.ts';
import type { VoteSet } from './vote-set.ts';

/*
 * Tendermint as a pure function, after Buchman, Kwon, Milosevic: "The latest gossip on BFT consensus" (arXiv:1807.04938). Line
 * numbers in comments are those of its Algorithm 1. There is no clock, no key, no network and no block body in here: the driver
 * checks signatures before a message comes in, and does what the effects say.
 */

/** ms throughout. A timeout of round r is `base + r * growth`. */
export interface ConsensusParams {
  readonly propose: number;
  readonly proposeGrowth: number;
  readonly prevote: number;
  readonly prevoteGrowth: number;
  readonly precommit: number;
  readonly precommitGrowth: number;
  /** From the beginning of one height to the beginning of the next, at least. */
  readonly blockInterval: number;
  /** With nothing to include, a block is made after this long all the same. */
  readonly emptyBlockInterval: number;
  /** So many empty blocks in a row come at `blockInterval`; then they get rarer, up to `emptyBlockInterval`. 0: never quicker than that. */
  readonly eagerBlocks: number;
  /** How far a new block's time may be from the clock of the validator that looks at it. */
  readonly maxDrift: number;
}

/**
 * `wait`: the height before is committed, late precommits for it are collected; `idle`: the interval is over, but there is
 * nothing to include; then as in the paper; `decided`: waiting for the driver to commit.
 */
export type Step = 'wait' | 'idle' | 'propose' | 'prevote' | 'precommit' | 'decided';

export type TimeoutKind = 'wait' | 'idle' | 'propose' | 'prevote' | 'precommit';

/** The beginning of a height: after a start, and after each commit. */
export interface HeightStart {
  readonly height: number;
  readonly validators: ValidatorSet;
  /** Members that history shows absent (see `proposer.ts`): they propose only in later rounds. */
  readonly absent: readonly ValidatorId[];
  /** Of the block before, ms. */
  readonly lastTime: number;
  /** The set and certificate of the block before; null at height 1. */
  readonly last: { readonly validators: ValidatorSet; readonly commit: Commit } | null;
  /** ms since the height before began; shortens the wait. */
  readonly elapsed: number;
  /** ms after this height began at which a block is made although there is nothing to put into it. Without it: as the parameters say. */
  readonly emptyAfter?: number;
  /** After a crash: what the sign-state says this validator did in this height. Null otherwise. */
  readonly resume: Resume | null;
}

/** Where a validator goes on that had signed something in this height. It holds even when the write-ahead log is lost. */
export interface Resume {
  readonly round: number;
  /** The last block it precommitted: it is locked on that. */
  readonly lock: { readonly round: number; readonly blockId: Hash } | null;
}

export type ConsensusEvent =
  | { readonly type: 'height'; readonly start: HeightStart }
  /** A proposal whose signature is good. `receivedAt` is the validator's own time then. */
  | { readonly type: 'proposal'; readonly proposal: Proposal; readonly receivedAt: number }
  /** The answer to `validate`. */
  | { readonly type: 'validated'; readonly blockId: Hash; readonly valid: boolean; readonly time: number }
  /** The answer to `make`. */
  | {
      readonly type: 'made';
      readonly height: number;
      readonly round: number;
      readonly blockId: Hash;
      readonly time: number;
    }
  /** A vote whose signature is good; also the own ones, once signed. */
  | { readonly type: 'vote'; readonly vote: Vote }
  | {
      readonly type: 'timeout';
      readonly kind: TimeoutKind;
      readonly height: number;
      readonly round: number;
    }
  /** There is something to put into a block. */
  | { readonly type: 'txsAvailable' };

export type ConsensusEffect =
  /** Make a block for this round (`made` comes back, then it is proposed). */
  | { readonly type: 'make'; readonly height: number; readonly round: number }
  /** Sign and send a proposal of a block that is known here. */
  | {
      readonly type: 'propose';
      readonly height: number;
      readonly round: number;
      readonly validRound: number;
      readonly blockId: Hash;
    }
  /** Get the block, if its body is not here yet, and execute it. */
  | { readonly type: 'validate'; readonly height: number; readonly blockId: Hash }
  /** Sign, durably, and send a vote; it comes back as an event. */
  | {
      readonly type: 'vote';
      readonly vote: VoteType;
      readonly height: number;
      readonly round: number;
      readonly blockId: Hash | null;
    }
  | {
      readonly type: 'schedule';
      readonly kind: TimeoutKind;
      readonly height: number;
      readonly round: number;
      readonly ms: number;
    }
  /** Final. */
  | { readonly type: 'commit'; readonly commit: Commit }
  | { readonly type: 'evidence'; readonly a: Vote; readonly b: Vote }
  /** A quorum decided for a block that does not execute here: this node's state or program differs from the others'. */
  | { readonly type: 'halt'; readonly blockId: Hash };

/** Only the simulator's negative controls use others than `tendermint`. */
export interface ConsensusRules {
  readonly quorum: (power: bigint, total: bigint) => boolean;
  /** Whether a precommitted block binds later prevotes (lines 22-33). */
  readonly lock: boolean;
}

/** A block as the reducer knows it. */
export interface KnownBlock {
  readonly id: Hash;
  readonly status: 'asked' | 'valid' | 'invalid';
  readonly time: number;
}

/** What came in for one round. */
export interface RoundState {
  readonly proposal: Proposal | null;
  readonly receivedAt: number;
  readonly prevotes: VoteSet;
  readonly precommits: VoteSet;
  /** Timeouts of this round that run already. */
  readonly prevoteTimer: boolean;
  readonly precommitTimer: boolean;
}

/** A value: the reducer gives a new one for every event. */
export interface ConsensusState {
  readonly own: ValidatorId | null;
  readonly params: ConsensusParams;
  readonly rules: ConsensusRules;
  readonly start: HeightStart;
  readonly index: ValidatorIndex;
  readonly height: number;
  readonly round: number;
  readonly step: Step;
  readonly lockedRound: number;
  readonly lockedId: Hash | null;
  readonly validRound: number;
  readonly validId: Hash | null;
  /** By round: all up to the one after the current, without those dropped as too old to matter. */
  readonly rounds: ReadonlyMap<number, RoundState>;
  readonly blocks: ReadonlyMap<string, KnownBlock>;
  /** Highest round in which each member voted, by its place; -1: none seen. */
  readonly highest: readonly number[];
  readonly decided: Commit | null;
  /** Precommits for the block before, with those that came late. */
  readonly last: { readonly index: ValidatorIndex; readonly commit: Commit; readonly votes: VoteSet } | null;
  readonly txs: boolean;
  /** Messages of the next height, by kind and sender. */
  readonly ahead: ReadonlyMap<string, ConsensusEvent>;
  /** Members whose evidence was told in this height. */
  readonly accused: ReadonlySet<string>;
}
