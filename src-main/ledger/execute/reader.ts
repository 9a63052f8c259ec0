import { AppError } from '../../../src-shared/errors.ts';
import type { Database } from '../../store/index.ts';
import { genesisHash, genesisValidators, zeroHash } from '../codec/index.ts';
import type { Genesis } from '../codec/index.ts';
import { sets } from '../modules/validators.ts';
import { bytesOf } from '../state/database.ts';
import type { StateView } from '../state/overlay.ts';
import { createRowReader } from '../state/row-reader.ts';
import type { Application } from '../types.ts';
import type { LedgerReader } from './application.ts';
import { currentSets, factsOf, nextContext, simulateTx } from './block-context.ts';
import { createBlockRecords } from './block-records.ts';
import { feePriceOf } from './fees.ts';

export interface LedgerReaderDeps {
  /** A connection of its own to the database of a state machine that works elsewhere; nothing is written. */
  readonly db: Database;
  readonly genesis: Genesis;
  /** What needs the machine itself. */
  readonly machine: Pick<LedgerReader, 'proveRow' | 'proveRows' | 'takeSnapshot'>;
}

/** Reads the database of a state machine in another thread. `close` ends it, the database stays open. */
export interface OpenLedgerReader extends LedgerReader {
  close(): void;
}

/**
 * What is read in one turn of the event loop is of one block: a read transaction begins with the first question and ends after
 * the turn, so that it never stands in the way of the log's checkpoints.
 */
export function createLedgerReader({ db, genesis, machine }: LedgerReaderDeps): OpenLedgerReader {
  const facts = factsOf(genesis);
  const foundedBy = genesisHash(genesis);
  const rows = createRowReader(db);
  const blocks = createBlockRecords(db);
  const begin = db.prepare('BEGIN');
  const end = db.prepare('COMMIT');
  let pinned: { last: ReturnType<Application['last']> | null } | null = null;
  let closed = false;

  function release(): void {
    if (!pinned) return;
    pinned = null;
    end.run();
  }

  function pin(): { last: ReturnType<Application['last']> | null } {
    if (closed) throw new AppError('shutting_down', 'This network was closed.');
    if (!pinned) {
      begin.run();
      pinned = { last: null };
      setImmediate(release);
    }
    return pinned;
  }

  const reading =
    <A extends readonly unknown[], R>(read: (...args: A) => R) =>
    (...args: A): R => {
      pin();
      return read(...args);
    };

  const state: StateView = {
    get: (table, key) => {
      pin();
      return rows.get(table, key);
    },
    *rows(table, prefix, from) {
      pin();
      yield* rows.rows(table, prefix, from);
    },
  };

  function last(): ReturnType<Application['last']> {
    const at = pin();
    if (at.last) return at.last;
    const stored = blocks.last();
    const header = stored && blocks.signedHeaderAt(stored.height)?.header;
    at.last =
      stored && header
        ? { ...stored, time: header.time, stateRoot: header.stateRoot }
        : { height: 0, blockId: foundedBy, time: genesis.time, stateRoot: foundingRoot() };
    return at.last;
  }

  function foundingRoot(): Uint8Array {
    const row = db.prepare<[], { value: Buffer }>("SELECT value FROM meta WHERE name = 'genesis root'").get();
    return row ? new Uint8Array(row.value) : zeroHash;
  }

  /** Before there is a state (see `Application.founded`) the genesis says who votes. */
  function setsNow(): ReturnType<typeof currentSets> {
    if (genesis.continues === null || state.get(sets, 'next')) return currentSets(state);
    const first = genesisValidators(genesis);
    return { current: first, next: first };
  }

  return {
    chainId: facts.chainId,
    genesisHash: foundedBy,
    genesis,
    state,
    last,
    validators: setsNow,
    validatorsAt(height) {
      const newest = last().height;
      if (height === newest + 1) return setsNow().current;
      if (height === newest + 2) return setsNow().next;
      return height >= 1 && height <= newest ? blocks.setAt(height) : null;
    },
    simulate: (bytes) => simulateTx(nextContext(facts, state, last()), bytes),
    feePrice: () => feePriceOf(state, facts.params),
    results: reading(blocks.results),
    bytes: reading(() => bytesOf(db)),
    accountTxs: reading(blocks.accountTxs),
    firstHeight: reading(blocks.firstHeight),
    blockAt: reading(blocks.blockAt),
    signedHeaderAt: reading(blocks.signedHeaderAt),
    findTx: reading(blocks.findTx),
    proveHistory(height, of) {
      if (of > last().height + 1 || height >= of)
        throw new AppError('not_found', `There is no block ${height} before ${of}.`);
      return blocks.proveHistory(height, of);
    },
    ...machine,
    close() {
      release();
      closed = true;
    },
  };
}
