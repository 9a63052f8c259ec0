import { parentPort, workerData } from 'node:worker_threads';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { openDatabase } from '../../store/index.ts';
import { decodeGenesis } from '../codec/index.ts';
import { createLedgerReader } from '../execute/reader.ts';
import { replay } from '../execute/replay.ts';
import { rowsOfFile } from '../execute/restart.ts';
import type { ReplayAnswer, ReplayStart } from './replay-thread.ts';

const { file, scratch, genesis, previousFile } = workerData as ReplayStart;

async function run(): Promise<ReplayAnswer> {
  const source = openDatabase(file);
  source.pragma('query_only = ON');
  const db = openDatabase(scratch);
  const elsewhere = async (): Promise<never> => {
    throw new AppError('unsupported', 'This is not asked while a chain is run again.');
  };
  const ledger = createLedgerReader({
    db: source,
    genesis: decodeGenesis(genesis),
    machine: { proveRow: elsewhere, proveRows: elsewhere, takeSnapshot: elsewhere },
  });
  try {
    const previous = previousFile === null ? null : rowsOfFile(previousFile);
    const never = new AbortController().signal;
    return { ok: true, result: await replay(ledger, db, () => performance.now(), never, previous) };
  } catch (error) {
    const code = isAppError(error) ? error.code : 'internal';
    return { ok: false, code, message: error instanceof Error ? error.message : String(error) };
  } finally {
    ledger.close();
    source.close();
    db.close();
  }
}

parentPort?.postMessage(await run());
