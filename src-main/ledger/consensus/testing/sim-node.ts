import { createHash } from 'node:crypto';
import type { Commit, Hash, Proposal, ValidatorId, ValidatorSet, Vote } from '../../types.ts';
import { haveOf, missingFor } from '../have-want.ts';
import type { Have } from '../have-want.ts';
import { absenceWindow, absentMembers } from '../proposer.ts';
import { beginConsensus, reduce } from '../reducer.ts';
import { afterSigning, decideSigning, emptySignState } from '../sign-guard.ts';
import type { SignKind, SignState } from '../sign-guard.ts';
import type {
  ConsensusEffect,
  ConsensusEvent,
  ConsensusParams,
  ConsensusRules,
  ConsensusState,
  HeightStart,
} from '../types.ts';
import { indexValidators, keyOf } from '../validator-index.ts';
import type { Seeded } from './seeded.ts';
import type { VirtualTime } from './virtual-time.ts';

/** A block without transactions: what consensus decides about is its id. */
export interface SimBlock {
  readonly id: Hash;
  readonly height: number;
  readonly prev: string;
  readonly time: number;
  readonly good: boolean;
  /** Members of the set after next. */
  readonly lastCommit: Commit | null;
}

export type SimMessage =
  | { readonly t: 'proposal'; readonly proposal: Proposal; readonly block: SimBlock | null }
  | { readonly t: 'vote'; readonly vote: Vote }
  | { readonly t: 'block'; readonly block: SimBlock }
  | { readonly t: 'have'; readonly have: Have }
  | { readonly t: 'decided'; readonly block: SimBlock; readonly commit: Commit };

export interface SimWorld {
  readonly time: VirtualTime;
  readonly random: Seeded;
  readonly params: ConsensusParams;
  readonly rules: ConsensusRules;
  /** The set that decides a height: it changes with time. */
  validatorsAt(height: number): ValidatorSet;
  send(from: number, to: number, message: SimMessage): void;
  broadcast(from: number, message: SimMessage): void;
  decided(node: number, block: SimBlock): void;
  evidence(node: number, accused: ValidatorId): void;
  /** Called at each point where a crash could hit; throws `Crash`. */
  point(node: number): void;
  readonly size: number;
}

export class Crash extends Error {}

interface WalRecord {
  readonly event: ConsensusEvent;
  readonly block: SimBlock | null;
}

const hashOf = (text: string): Hash => new Uint8Array(createHash('sha256').update(text).digest());

/** What a Byzantine validator does with what the honest program would send. */
export interface Misbehaviour {
  /** Two blocks in one round, one for each half. */
  readonly equivocates: boolean;
  /** Votes for every block it hears of, in every round. */
  readonly doubleVotes: boolean;
  readonly proposesInvalid: boolean;
  /** Proposes a new block although an earlier one had a quorum of prevotes. */
  readonly forgets: boolean;
  /** Precommits the block of the first round to one validator and nil to the rest, so that it alone decides; -1: does not. */
  readonly favours: number;
  readonly silent: boolean;
}

/** One validator: the reducer with everything around it, whose durable parts live through a crash. */
export interface SimNode {
  readonly id: ValidatorId;
  readonly place: number;
  up(): boolean;
  height(): number;
  state(): ConsensusState;
  start(): void;
  crash(truncateTo: number): void;
  receive(from: number, message: SimMessage): void;
  /** The periodic exchange of what each has. */
  tell(to: number): void;
}

export function createSimNode(
  world: SimWorld,
  place: number,
  id: ValidatorId,
  skew: number,
  bad: Misbehaviour | null,
): SimNode {
  // Durable.
  const chain: { block: SimBlock; commit: Commit }[] = [];
  let signs: SignState = emptySignState;
  let wal: WalRecord[] = [];
  let synced = 0;
  // Lost in a crash.
  let running = false;
  let life = 0;
  let state: ConsensusState;
  let bodies = new Map<string, SimBlock>();
  let heightBegan = 0;
  let nonce = 0;

  const localTime = (): number => Math.round(world.time.now() + skew);
  const tip = (): string => (chain.length === 0 ? 'genesis' : keyOf(chain[chain.length - 1]!.block.id));
  const lastTime = (): number => chain[chain.length - 1]?.block.time ?? -1e9;

  function heightStart(): HeightStart {
    const height = chain.length + 1;
    const last = chain[chain.length - 1];
    const history = chain.slice(-absenceWindow).flatMap(({ block }) =>
      block.lastCommit
        ? [
            {
              validators: world.validatorsAt(block.height - 1),
              signers: block.lastCommit.signatures.map(({ validator }) => validator),
            },
          ]
        : [],
    );
    const validators = world.validatorsAt(height);
    return {
      height,
      validators,
      absent: absentMembers(validators, history),
      lastTime: lastTime(),
      last: last ? { validators: world.validatorsAt(height - 1), commit: last.commit } : null,
      elapsed: world.time.now() - heightBegan,
      resume: signs.height === height && !running ? { round: signs.round, lock: signs.lock } : null,
    };
  }

  function feed(event: ConsensusEvent, block: SimBlock | null = null): void {
    world.point(place);
    wal.push({ event, block });
    const step = reduce(state, event);
    state = step.state;
    for (const effect of step.effects) perform(effect);
  }

  function sign(
    kind: SignKind,
    round: number,
    blockId: Hash | null,
    validRound: number,
  ): { blockId: Hash | null; validRound: number } | null {
    const request = { kind, height: state.height, round, blockId, validRound };
    const decision = decideSigning(signs, request);
    if (decision.type === 'refuse') return null;
    if (decision.type === 'resend') return decision.record;
    world.point(place);
    synced = wal.length;
    world.point(place);
    signs = afterSigning(signs, request, new Uint8Array(64));
    world.point(place);
    return request;
  }

  function perform(effect: ConsensusEffect): void {
    switch (effect.type) {
      case 'schedule': {
        const born = life;
        const { kind, height, round } = effect;
        world.time.after(effect.ms, () => {
          if (running && life === born) guarded(() => feed({ type: 'timeout', kind, height, round }));
        });
        return;
      }
      case 'vote': {
        if (effect.height !== state.height) return;
        const signed = sign(effect.vote, effect.round, effect.blockId, -1);
        if (signed === null) return;
        const vote: Vote = {
          type: effect.vote,
          height: effect.height,
          round: effect.round,
          blockId: signed.blockId,
          validator: id,
          sig: new Uint8Array(0),
        };
        const { favours = -1 } = bad ?? {};
        if (favours >= 0 && vote.type === 'precommit' && vote.round === 0) {
          for (let to = 0; to < world.size; to++) {
            const told = to === favours ? vote : { ...vote, blockId: null };
            world.send(place, to, { t: 'vote', vote: told });
          }
        } else if (favours >= 0 && vote.round > 0) {
          // Its own blocks get its votes in `proposeAnother`; the others' proposals shall fail.
          world.broadcast(place, { t: 'vote', vote: { ...vote, blockId: null } });
        } else if (!bad?.silent) world.broadcast(place, { t: 'vote', vote });
        feed({ type: 'vote', vote });
        return;
      }
      case 'make': {
        const block = makeBlock('');
        bodies.set(keyOf(block.id), block);
        feed(
          { type: 'made', height: effect.height, round: effect.round, blockId: block.id, time: block.time },
          block,
        );
        return;
      }
      case 'propose': {
        if (effect.height !== state.height) return;
        if (bad?.forgets && effect.validRound >= 0) return proposeAnother(effect.round);
        const signed = sign('proposal', effect.round, effect.blockId, effect.validRound);
        if (signed === null) return;
        const proposal: Proposal = {
          height: effect.height,
          round: effect.round,
          validRound: signed.validRound,
          blockId: signed.blockId!,
          proposer: id,
          sig: new Uint8Array(0),
        };
        const block = bodies.get(keyOf(proposal.blockId)) ?? null;
        if (bad?.equivocates && proposal.validRound < 0) equivocate(proposal);
        else if (!bad?.silent) world.broadcast(place, { t: 'proposal', proposal, block });
        feed({ type: 'proposal', proposal, receivedAt: localTime() }, block);
        return;
      }
      case 'validate':
        if (effect.height === state.height) validate(effect.blockId);
        return;
      case 'commit':
        return commit(effect.commit);
      case 'evidence':
        return world.evidence(place, effect.a.validator);
      case 'halt':
        throw new Error(`node ${place} halted at ${state.height}`);
    }
  }

  function makeBlock(salt: string): SimBlock {
    const time = Math.max(localTime(), lastTime() + 1);
    const height = state.height;
    const good = !bad?.proposesInvalid;
    const lastCommit = chain[chain.length - 1]?.commit ?? null;
    const text = `${tip()} ${height} ${time} ${place} ${life} ${nonce++} ${good} ${salt}`;
    return { id: hashOf(text), height, prev: tip(), time, good, lastCommit };
  }

  function proposeAnother(round: number): void {
    const block = makeBlock('another');
    bodies.set(keyOf(block.id), block);
    const proposal: Proposal = {
      height: state.height,
      round,
      validRound: -1,
      blockId: block.id,
      proposer: id,
      sig: new Uint8Array(0),
    };
    world.broadcast(place, { t: 'proposal', proposal, block });
    voteFor(block.id, round);
  }

  /** Each half hears of another block; a double voter then votes for both. */
  function equivocate(proposal: Proposal): void {
    const first = bodies.get(keyOf(proposal.blockId))!;
    const second = makeBlock('other');
    bodies.set(keyOf(second.id), second);
    for (let to = 0; to < world.size; to++) {
      const block = to % 2 === 0 ? first : second;
      world.send(place, to, { t: 'proposal', proposal: { ...proposal, blockId: block.id }, block });
    }
    if (bad?.doubleVotes) for (const block of [first, second]) voteFor(block.id, proposal.round);
  }

  function voteFor(blockId: Hash, round: number): void {
    for (const type of ['prevote', 'precommit'] as const) {
      world.broadcast(place, {
        t: 'vote',
        vote: { type, height: state.height, round, blockId, validator: id, sig: new Uint8Array(0) },
      });
    }
  }

  function validate(blockId: Hash): void {
    const block = bodies.get(keyOf(blockId));
    if (!block || block.height !== state.height) return;
    const valid = block.good && block.prev === tip() && block.time > lastTime();
    feed({ type: 'validated', blockId, valid, time: block.time }, block);
  }

  function gotBody(block: SimBlock): void {
    if (block.height !== state.height || bodies.size > 200) return;
    bodies.set(keyOf(block.id), block);
    if (state.blocks.get(keyOf(block.id))?.status === 'asked') validate(block.id);
  }

  function commit(certificate: Commit): void {
    const block = bodies.get(keyOf(certificate.blockId))!;
    world.point(place);
    // One transaction: block, certificate and height.
    chain.push({ block, commit: certificate });
    world.decided(place, block);
    world.point(place);
    next();
  }

  function next(): void {
    wal = [];
    synced = 0;
    bodies = new Map();
    const start = heightStart();
    heightBegan = world.time.now();
    feed({ type: 'height', start });
    feed({ type: 'txsAvailable' });
  }

  /** A certificate from somebody ahead: checked, and the block taken as it is. */
  function catchUp(block: SimBlock, certificate: Commit): void {
    if (block.height !== state.height || keyOf(block.id) !== keyOf(certificate.blockId)) return;
    const index = indexValidators(world.validatorsAt(block.height));
    const power = certificate.signatures.reduce((sum, { validator }) => {
      const at = index.indexOf(validator);
      return at < 0 ? sum : sum + index.at(at).power;
    }, 0n);
    if (!world.rules.quorum(power, index.total)) return;
    if (block.prev !== tip())
      throw new Error(`node ${place} got a block of another chain at ${block.height}`);
    bodies.set(keyOf(block.id), block);
    commit(certificate);
  }

  function guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
  }

  function start(): void {
    life += 1;
    bodies = new Map(wal.flatMap(({ block }) => (block ? [[keyOf(block.id), block]] : [])));
    const records = wal;
    const begun = beginConsensus(id, heightStart(), world.params, world.rules);
    running = true;
    state = begun.state;
    const effects = [...begun.effects];
    // The log replayed: what was to be done is done again, and the guard sees to it that nothing new is said about an old step.
    wal = [];
    for (const record of records) {
      if (record.event.type === 'height') continue;
      wal.push(record);
      const step = reduce(state, record.event);
      state = step.state;
      effects.push(...step.effects);
    }
    synced = Math.min(synced, wal.length);
    heightBegan = world.time.now();
    guarded(() => {
      for (const effect of effects) if (running) perform(effect);
      feed({ type: 'txsAvailable' });
    });
  }

  return {
    id,
    place,
    up: () => running,
    height: () => chain.length,
    state: () => state,
    start,
    crash(keep) {
      running = false;
      wal = wal.slice(0, Math.max(synced, Math.min(keep, wal.length)));
    },
    receive(from, message) {
      if (!running) return;
      guarded(() => {
        switch (message.t) {
          case 'proposal': {
            const { proposal, block } = message;
            const known = block && keyOf(block.id) === keyOf(proposal.blockId) ? block : null;
            if (known && proposal.height === state.height) bodies.set(keyOf(known.id), known);
            feed({ type: 'proposal', proposal, receivedAt: localTime() }, known);
            if (known) gotBody(known);
            if (bad?.doubleVotes && proposal.height === state.height)
              voteFor(proposal.blockId, proposal.round);
            return;
          }
          case 'vote':
            feed({ type: 'vote', vote: message.vote });
            if (
              bad?.doubleVotes &&
              message.vote.blockId &&
              message.vote.height === state.height &&
              world.random.chance(0.1)
            )
              voteFor(message.vote.blockId, message.vote.round);
            return;
          case 'block':
            return gotBody(message.block);
          case 'decided':
            return catchUp(message.block, message.commit);
          case 'have': {
            const { have } = message;
            if (have.height < state.height) {
              const old = chain[have.height - 1];
              if (old) world.send(place, from, { t: 'decided', block: old.block, commit: old.commit });
              return;
            }
            if (bad && (bad.silent || bad.favours >= 0)) return;
            const missing = missingFor(state, have);
            for (const proposal of missing.proposals)
              world.send(place, from, { t: 'proposal', proposal, block: null });
            for (const vote of missing.votes) world.send(place, from, { t: 'vote', vote });
            for (const blockId of missing.blocks)
              world.send(place, from, { t: 'block', block: bodies.get(keyOf(blockId))! });
            return;
          }
        }
      });
    },
    tell(to) {
      if (running) world.send(place, to, { t: 'have', have: haveOf(state) });
    },
  };
}
