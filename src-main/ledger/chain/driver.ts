import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import { absenceWindow, absentMembers, beginConsensus, proposerAt, reduce } from '../consensus/index.ts';
import type {
  ConsensusEffect,
  ConsensusEvent,
  ConsensusParams,
  ConsensusState,
  HeightStart,
} from '../consensus/index.ts';
import type { InputLog } from '../consensus/input-log.ts';
import type { ConsensusSigner } from '../consensus/sign-state.ts';
import type { SignKind } from '../consensus/sign-guard.ts';
import { keyOf } from '../consensus/validator-index.ts';
import { commitFrom } from '../consensus/vote-set.ts';
import { blockId as blockIdOf, sameBytes } from '../codec/index.ts';
import type {
  Application,
  Block,
  BlockSource,
  Commit,
  Evidence,
  ExecutedBlock,
  Hash,
  Proposal,
  Slices,
  ValidatorId,
  ValidatorSet,
  Vote,
} from '../types.ts';
import { checkLink } from './block-checks.ts';

/** Runs the reducer for real: its effects become signatures, timers, executed blocks. Everything happens in the order of the events. */
export interface Driver {
  /** Begins at the height after the last committed block, with what the log remembers of it. */
  begin(): void;
  running(): boolean;
  /** Only while running. */
  state(): ConsensusState;
  /** A vote whose signature was checked. */
  vote(vote: Vote): void;
  /** A proposal whose signature was checked. */
  proposal(proposal: Proposal): void;
  /** A body that fits its header. */
  body(block: Block): void;
  bodyOf(blockId: Hash): Block | null;
  /** The execution of a block of this height, if it went well. */
  executed(blockId: Hash): ExecutedBlock | null;
  /** A block with its certificate from others, both checked. @throws AppError `chain_halted` when it does not execute here */
  applyFinal(block: Block, commit: Commit): void;
  /** While false nothing is signed. */
  allowSigning(allowed: boolean): void;
  txsAvailable(): void;
  stop(): void;
}

export interface DriverDeps {
  readonly application: Application & BlockSource;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly params: ConsensusParams;
  /** Null: this node never votes. */
  readonly signer: { readonly id: ValidatorId; readonly guard: ConsensusSigner } | null;
  readonly log: InputLog;
  /** What a proposer puts into a block. */
  readonly content: (
    height: number,
    maxBytes: number,
  ) => {
    readonly txs: readonly Uint8Array[];
    readonly evidence: readonly Evidence[];
  };
  readonly maxBlockBytes: number;
  readonly sendVote: (vote: Vote) => void;
  readonly sendProposal: (proposal: Proposal, block: Block | null) => void;
  /** The body is needed; it comes by `body`. */
  readonly fetch: (blockId: Hash) => void;
  /** Called once a block is committed, before the next height begins. */
  readonly onCommit: (executed: ExecutedBlock, commit: Commit) => void;
  /** Something waits for a block. */
  readonly hasTxs: () => boolean;
  /** ms that the block after the last one is waited with when nothing does. */
  readonly emptyAfter: () => number;
  readonly onEvidence: (a: Vote, b: Vote) => void;
  readonly onRound: () => void;
  readonly onHalt: (error: AppError) => void;
}

/** A block of so many transactions is executed at once. */
const fewTxs = 64;
/** Bodies of one height that are kept: a Byzantine proposer can't fill the memory. */
const maxBodies = 24;

/** As many of them from the beginning as come to that many bytes. */
function firstOf(txs: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let sum = 0;
  const end = txs.findIndex((tx) => (sum += tx.length) > bytes);
  return end < 0 ? txs : txs.slice(0, end);
}

export function createDriver(deps: DriverDeps): Driver {
  const { application, clock, logger, log, signer } = deps;
  let current: ConsensusState | null = null;
  let signing = true;
  let halted = false;
  let bodies = new Map<string, Block>();
  let done = new Map<string, ExecutedBlock>();
  /** What was to be signed while signing was not allowed; it is made up for when it is. */
  let held: ConsensusEffect[] = [];
  /** What is being executed in slices: blocks by their ids, own ones by their rounds. */
  let working = new Set<string>();
  let heightBegan = 0;
  let timers = new Set<() => void>();
  let queue: ConsensusEvent[] = [];
  let draining = false;
  /** Signers of the last certificates inside blocks, for `absent`. */
  let history: { validators: ValidatorSet; signers: readonly ValidatorId[] }[] = [];

  function remember(block: Block): void {
    if (!block.lastCommit) return;
    const validators = application.validatorsAt(block.lastCommit.height);
    if (!validators) return;
    history.push({ validators, signers: block.lastCommit.signatures.map(({ validator }) => validator) });
    history = history.slice(-absenceWindow);
  }

  function heightStart(resuming: boolean): HeightStart {
    const { height, time } = application.last();
    const { current: validators } = application.validators();
    const committed = height > 0 ? application.signedHeaderAt(height) : null;
    const before = height > 0 ? application.validatorsAt(height) : null;
    const signed = signer?.guard.state();
    return {
      height: height + 1,
      validators,
      absent: absentMembers(validators, history),
      lastTime: time,
      last: committed && before ? { validators: before, commit: committed.commit } : null,
      emptyAfter: deps.emptyAfter(),
      elapsed: heightBegan === 0 ? deps.params.blockInterval : Math.max(0, clock.now() - heightBegan),
      resume:
        resuming && signed && signed.height === height + 1
          ? { round: signed.round, lock: signed.lock }
          : null,
    };
  }

  function push(event: ConsensusEvent): void {
    if (!current || halted) return;
    queue.push(event);
    drain();
  }

  function drain(): void {
    if (draining) return;
    draining = true;
    try {
      for (let next = queue.shift(); next && !halted; next = queue.shift()) take(next);
    } catch (error) {
      halt(error);
    } finally {
      draining = false;
    }
  }

  function take(event: ConsensusEvent): void {
    if (event.type === 'height') log.reset(event.start.height);
    else log.append({ kind: 'event', event });
    const step = reduce(current as ConsensusState, event);
    current = step.state;
    for (const effect of step.effects) perform(effect);
    deps.onRound();
  }

  function halt(error: unknown): void {
    halted = true;
    queue = [];
    cancelTimers();
    const wrapped = isAppError(error)
      ? error
      : new AppError('chain_halted', 'The chain stopped on this computer by an error of its program.', {
          cause: error,
        });
    logger.error({ error: String((error as Error).stack ?? error) }, 'consensus halted');
    deps.onHalt(wrapped);
  }

  function cancelTimers(): void {
    for (const cancel of timers) cancel();
    timers = new Set();
  }

  function perform(effect: ConsensusEffect): void {
    const state = current as ConsensusState;
    switch (effect.type) {
      case 'schedule': {
        const { kind, height, round } = effect;
        const cancel = clock.after(effect.ms, () => {
          timers.delete(cancel);
          push({ type: 'timeout', kind, height, round });
        });
        timers.add(cancel);
        return;
      }
      case 'make':
      case 'propose':
      case 'vote':
        if (effect.height !== state.height || !signer) return;
        if (!signing) held.push(effect);
        else if (effect.type === 'make') make(effect.round);
        else if (effect.type === 'propose') propose(effect.round, effect.validRound, effect.blockId);
        else castVote(effect.vote, effect.round, effect.blockId);
        return;
      case 'validate':
        if (effect.height === state.height) validate(effect.blockId);
        return;
      case 'commit':
        return commit(effect.commit);
      case 'evidence':
        return deps.onEvidence(effect.a, effect.b);
      case 'halt':
        throw differs(state.height);
    }
  }

  /** Signs, when nothing stands against it. What a precommit or a proposal rests on is on the disk first. */
  function sign(kind: SignKind, round: number, validRound: number, blockId: Hash | null) {
    if (!signer) return null;
    if (kind === 'proposal' || (kind === 'precommit' && blockId !== null)) log.sync();
    const { height } = current as ConsensusState;
    return signer.guard.sign({ kind, height, round, validRound, blockId });
  }

  function castVote(type: 'prevote' | 'precommit', round: number, blockId: Hash | null): void {
    const signed = sign(type, round, -1, blockId);
    if (!signed || !signer) return;
    const { height } = current as ConsensusState;
    const vote: Vote = {
      type,
      height,
      round,
      blockId: signed.blockId,
      validator: signer.id,
      sig: signed.sig,
    };
    deps.sendVote(vote);
    push({ type: 'vote', vote });
  }

  function make(round: number): void {
    const state = current as ConsensusState;
    if (!signer || !sameBytes(proposerAt(state, round), signer.id)) return;
    const { txs, evidence } = deps.content(state.height, deps.maxBlockBytes);
    const last = application.last();
    const name = `round ${round}`;
    if (working.has(name)) return;
    const { height } = state;
    inSlices(
      name,
      () =>
        application.proposing({
          height,
          time: Math.max(clock.now(), last.time + 1),
          proposer: signer.id,
          lastCommit: state.last
            ? commitFrom(
                state.last.votes,
                state.last.index,
                state.last.commit.height,
                state.last.commit.round,
                state.last.commit.blockId,
              )
            : null,
          evidence,
          txs,
          maxBytes: deps.maxBlockBytes,
        }),
      // The block is made of these, unless some of them may no longer stand in it; those behind are looked at only then.
      firstOf(txs, deps.maxBlockBytes),
      (executed) => {
        const { block, blockId } = executed;
        done.set(keyOf(blockId), executed);
        keepBody(blockId, block);
        push({ type: 'made', height, round, blockId, time: block.header.time });
      },
      // The others go on after the timeout of this round.
      (error) => logger.error({ height, error: String(error) }, 'no block could be made'),
    );
  }

  /**
   * Executes something in slices: the first at once, the others when what waits on this thread had its turn. Nothing comes of it when
   * a block is committed before it is done.
   * @param txs whose signatures are checked beforehand, on other threads, when they are many
   */
  function inSlices(
    name: string,
    begin: () => Slices<ExecutedBlock>,
    txs: readonly Uint8Array[],
    ended: (executed: ExecutedBlock) => void,
    failed: (error: unknown) => void,
  ): void {
    const these = working;
    these.add(name);
    const isOver = (): boolean => these !== working || !current || halted;
    let work: Slices<ExecutedBlock> | null = null;
    function slice(): void {
      let step: IteratorResult<undefined, ExecutedBlock>;
      try {
        work ??= begin();
        step = work.next();
      } catch (error) {
        these.delete(name);
        return failed(error);
      }
      if (!step.done) return later();
      these.delete(name);
      ended(step.value);
    }
    function next(): void {
      if (isOver()) return;
      try {
        slice();
      } catch (error) {
        halt(error);
      }
    }
    function later(): void {
      setImmediate(next);
    }
    if (txs.length <= fewTxs) slice();
    else application.verifyTxs(txs).then(next, halt);
  }

  function propose(round: number, validRound: number, blockId: Hash): void {
    const signed = sign('proposal', round, validRound, blockId);
    if (!signed || !signer || signed.blockId === null) return;
    const { height } = current as ConsensusState;
    const proposal: Proposal = {
      height,
      round,
      validRound: signed.validRound,
      blockId: signed.blockId,
      proposer: signer.id,
      sig: signed.sig,
    };
    deps.sendProposal(proposal, bodies.get(keyOf(signed.blockId)) ?? null);
    push({ type: 'proposal', proposal, receivedAt: clock.now() });
  }

  function keepBody(blockId: Hash, block: Block): boolean {
    const key = keyOf(blockId);
    if (bodies.has(key) || bodies.size >= maxBodies) return false;
    bodies.set(key, block);
    log.append({ kind: 'body', block });
    return true;
  }

  function validate(blockId: Hash): void {
    const key = keyOf(blockId);
    const block = bodies.get(key);
    if (!block) return deps.fetch(blockId);
    const tell = (valid: boolean): void =>
      push({ type: 'validated', blockId, valid, time: block.header.time });
    if (done.has(key)) return tell(true);
    if (working.has(key)) return;
    inSlices(
      key,
      () => {
        checkLink(application, block);
        return application.executing(block);
      },
      block.txs,
      (executed) => {
        done.set(key, executed);
        tell(true);
      },
      (error) => {
        if (!isAppError(error)) throw error;
        logger.warn({ height: block.header.height, error: error.message }, 'a proposed block is not valid');
        tell(false);
      },
    );
  }

  /** All of it at once: what the log tells of. */
  function execute(blockId: Hash, block: Block): boolean {
    const key = keyOf(blockId);
    if (done.has(key)) return true;
    try {
      checkLink(application, block);
      done.set(key, application.execute(block));
      return true;
    } catch (error) {
      if (!isAppError(error)) throw error;
      logger.warn({ height: block.header.height, error: error.message }, 'a proposed block is not valid');
      return false;
    }
  }

  function commit(certificate: Commit): void {
    const executed = done.get(keyOf(certificate.blockId));
    if (!executed) throw new Error('a block was decided that was never executed');
    finish(executed, certificate);
  }

  function finish(executed: ExecutedBlock, certificate: Commit): void {
    application.commit(executed, certificate);
    remember(executed.block);
    cancelTimers();
    bodies = new Map();
    done = new Map();
    working = new Set();
    held = [];
    deps.onCommit(executed, certificate);
    if (!current) return;
    const start = heightStart(false);
    heightBegan = clock.now();
    // What waits in the queue was about the height before.
    queue = queue.filter((event) => event.type === 'vote' || event.type === 'proposal');
    queue.unshift({ type: 'height', start }, ...(deps.hasTxs() ? [{ type: 'txsAvailable' } as const] : []));
    drain();
  }

  function begin(): void {
    if (current || halted) return;
    history = [];
    const { height } = application.last();
    for (let h = Math.max(1, height - absenceWindow + 1); h <= height; h++) {
      const found = application.blockAt(h);
      if (found) remember(found.block);
    }
    const entries = log.recover(height + 1);
    const begun = beginConsensus(signer?.id ?? null, heightStart(true), deps.params);
    current = begun.state;
    const effects = [...begun.effects];
    if (entries.length === 0) log.reset(height + 1);
    // What the log tells was to be done is done again once all is read; the guard keeps old steps as they were.
    for (const entry of entries) {
      if (entry.kind === 'body') bodies.set(keyOf(blockIdOf(entry.block.header)), entry.block);
      if (entry.kind !== 'event') continue;
      const step = reduce(current, entry.event);
      current = step.state;
      effects.push(...step.effects);
    }
    for (const { id, status } of current.blocks.values()) {
      const block = bodies.get(keyOf(id));
      if (status === 'valid' && block) execute(id, block);
    }
    heightBegan = clock.now();
    draining = true;
    try {
      for (const effect of effects) perform(effect);
    } catch (error) {
      return halt(error);
    } finally {
      draining = false;
    }
    if (deps.hasTxs()) queue.push({ type: 'txsAvailable' });
    drain();
  }

  return {
    begin,
    running: () => current !== null && !halted,
    state: () => current as ConsensusState,
    vote: (vote) => push({ type: 'vote', vote }),
    proposal: (proposal) => push({ type: 'proposal', proposal, receivedAt: clock.now() }),
    body(block) {
      if (!current || halted || block.header.height !== current.height) return;
      const id = blockIdOf(block.header);
      keepBody(id, block);
      if (current.blocks.get(keyOf(id))?.status === 'asked' && bodies.has(keyOf(id))) {
        try {
          validate(id);
        } catch (error) {
          halt(error);
        }
      }
    },
    bodyOf: (blockId) => bodies.get(keyOf(blockId)) ?? null,
    executed: (blockId) => done.get(keyOf(blockId)) ?? null,
    applyFinal(block, certificate) {
      if (halted) throw differs(block.header.height);
      let executed = done.get(keyOf(certificate.blockId));
      if (!executed) {
        try {
          checkLink(application, block);
          executed = application.execute(block);
        } catch (error) {
          if (!isAppError(error)) throw error;
          halt(differs(block.header.height, error));
          throw differs(block.header.height, error);
        }
      }
      finish(executed, certificate);
    },
    allowSigning(allowed) {
      if (signing === allowed) return;
      signing = allowed;
      if (!allowed || !current || halted) return;
      const effects = held;
      held = [];
      draining = true;
      try {
        for (const effect of effects) perform(effect);
      } catch (error) {
        return halt(error);
      } finally {
        draining = false;
      }
      drain();
    },
    txsAvailable: () => push({ type: 'txsAvailable' }),
    stop() {
      cancelTimers();
      current = null;
      queue = [];
    },
  };
}

const differs = (height: number, cause?: unknown): AppError =>
  new AppError(
    'chain_halted',
    `Two thirds of the validators decided block ${height}, but it does not execute here: this computer's state or program differs from theirs.`,
    { cause },
  );
