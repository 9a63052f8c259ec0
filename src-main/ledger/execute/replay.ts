import { setImmediate } from 'node:timers/promises';
import { isAppError } from '../../../src-shared/errors.ts';
import type { Database } from '../../store/index.ts';
import { sameBytes } from '../codec/index.ts';
import { createApplication } from './application.ts';
import type { ApplicationDeps, LedgerReader } from './application.ts';
import { createTxChecker } from './tx-checker.ts';

export interface Replay {
  readonly ok: boolean;
  /** The last block that was run. */
  readonly height: number;
  /** One sentence; '' when all is well. */
  readonly message: string;
}

/** Milliseconds of work before others get their turn. */
const sliceMs = 8;

/**
 * Runs all blocks of a chain once more, from genesis, in a database of its own, and compares every state with what the headers
 * say: certificates, signatures and every rule are checked as they were when the blocks were new.
 * @param db empty; the caller throws it away
 * @param now ms, of a clock that only measures slices
 * @param previous rows of the chain that this one continues, if it does
 */
export async function replay(
  ledger: LedgerReader,
  db: Database,
  now: () => number,
  signal: AbortSignal,
  previous: ApplicationDeps['previous'] = null,
): Promise<Replay> {
  const checker = createTxChecker();
  const again = createApplication({ db, genesis: ledger.genesis, checker, previous }, { keepBlocks: null });
  if (!again.founded()) {
    const message = 'This network continues another one, whose last state is not kept here.';
    return { ok: false, height: 0, message };
  }
  const { height: end } = ledger.last();
  let sliceEnd = now() + sliceMs;
  for (let height = 1; height <= end; height++) {
    signal.throwIfAborted();
    const found = ledger.blockAt(height);
    if (!found) return { ok: false, height: height - 1, message: `Block ${height} is not kept here.` };
    try {
      await checker.verifyTxs(found.block.txs);
      const executed = again.execute(found.block);
      again.commit(executed, found.commit);
      const kept = ledger.signedHeaderAt(height);
      if (!kept || !sameBytes(kept.commit.blockId, executed.blockId)) {
        return { ok: false, height, message: `Block ${height} is not the one its record names.` };
      }
    } catch (error) {
      if (!isAppError(error)) throw error;
      return { ok: false, height: height - 1, message: `Block ${height} does not hold: ${error.message}` };
    }
    if (now() > sliceEnd) {
      await setImmediate();
      sliceEnd = now() + sliceMs;
    }
  }
  return { ok: true, height: end, message: '' };
}
