import { AppError } from '../../../src-shared/errors.ts';
import { chainIdOf, hexOf } from '../codec/index.ts';
import type { Genesis } from '../codec/index.ts';
import type { BlockContext } from '../modules/context.ts';
import { sets } from '../modules/validators.ts';
import { createOverlay } from '../state/overlay.ts';
import type { Overlay, StateView } from '../state/overlay.ts';
import type { Commit, ValidatorId, ValidatorSet } from '../types.ts';
import { admitTx, chargeTx, prepareTx, runTx } from './transaction.ts';
import type { Fee } from './fees.ts';
import type { TxResult } from '../types.ts';

/** What of a chain never changes, as blocks and transactions need it. */
export type ChainFacts = Pick<BlockContext, 'chainId' | 'params' | 'base'>;

export const factsOf = (genesis: Genesis): ChainFacts => ({
  chainId: chainIdOf(genesis),
  params: genesis.params,
  base: (genesis.tokens[0] as Genesis['tokens'][0]).spec.symbol,
});

export type OverlayContext = BlockContext & { readonly state: Overlay };

/**
 * The context of a block on top of the committed state.
 * @param state the overlay that takes its changes
 */
export function contextOf(
  facts: ChainFacts,
  committed: StateView,
  state: Overlay,
  block: {
    readonly height: number;
    readonly time: number;
    readonly proposer: ValidatorId;
    readonly lastCommit: Commit | null;
  },
): OverlayContext {
  const { lastCommit, height, time, proposer } = block;
  const signers = new Set(lastCommit?.signatures.map(({ validator }) => hexOf(validator)));
  const before = lastCommit === null ? [] : (committed.get(sets, 'last') ?? []);
  const ids = before.map(({ id }) => id);
  return {
    height,
    time,
    proposer,
    state,
    ...facts,
    signed: ids.filter((id) => signers.has(hexOf(id))),
    missed: ids.filter((id) => !signers.has(hexOf(id))),
  };
}

/** The validator sets of the next height and of the one after. @throws AppError `corrupt` */
export function currentSets(committed: StateView): {
  readonly current: ValidatorSet;
  readonly next: ValidatorSet;
} {
  const current = committed.get(sets, 'next');
  const next = committed.get(sets, 'after');
  if (current && next) return { current, next };
  throw new AppError('corrupt', 'The ledger has lost its validator sets.');
}

/** The context of the next block as far as it is known before there is one. */
export function nextContext(
  facts: ChainFacts,
  committed: StateView,
  last: { readonly height: number; readonly time: number },
): OverlayContext {
  return contextOf(facts, committed, createOverlay(committed), {
    height: last.height + 1,
    time: last.time + 1,
    proposer: (currentSets(committed).current[0] as ValidatorSet[0]).id,
    lastCommit: null,
  });
}

/** What would come of a transaction now. */
export interface Simulation {
  readonly fee: Fee;
  readonly result: TxResult;
  /** The state as it would be, to be compared with the present one. */
  readonly after: StateView;
}

/**
 * Runs a transaction, whose signatures are not looked at, in a context that is thrown away.
 * @param assumed nor whose keys they are
 * @throws AppError as `admitTx`, `chargeTx`
 */
export function simulateTx(ctx: OverlayContext, bytes: Uint8Array, assumed = false): Simulation {
  const tx = prepareTx(bytes);
  const admitted = admitTx(ctx, tx, true, assumed);
  chargeTx(ctx, tx, admitted);
  return { fee: admitted.fee, result: runTx(ctx, tx, admitted), after: ctx.state };
}
