import type { Genesis } from '../codec/index.ts';
import { factsOf, simulateTx } from '../execute/block-context.ts';
import type { Simulation } from '../execute/block-context.ts';
import { createOverlay } from '../state/overlay.ts';
import type { StateView } from '../state/overlay.ts';

/** The ledger after its newest block, as far as it is known here. */
export interface LedgerView {
  readonly state: StateView;
  readonly height: number;
  /** Of the block, ms since the epoch. */
  readonly time: number;
}

/**
 * Runs a transaction on top of a state and forgets it; its signatures are not looked at.
 * @param assumed nor whose keys they are: of one that is not signed yet
 * @throws AppError as `checkTx`
 */
export function simulateOn(
  { state, height, time }: LedgerView,
  genesis: Genesis,
  tx: Uint8Array,
  assumed = false,
): Simulation {
  const ctx = {
    state: createOverlay(state),
    ...factsOf(genesis),
    height: height + 1,
    time: time + 1,
    proposer: new Uint8Array(32),
    missed: [],
    signed: [],
  };
  return simulateTx(ctx, tx, assumed);
}
