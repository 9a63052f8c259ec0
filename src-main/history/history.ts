import { join } from 'node:path';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import type { Database } from '../store/index.ts';
import { isAncestor } from './ancestry.ts';
import { createAppender } from './append.ts';
import { auditLog } from './audit.ts';
import type { AuthorDeps } from './author.ts';
import { openChainLog } from './chain-log.ts';
import type { ChainLog } from './chain-log.ts';
import { decodeEntry, headerBytesOf } from './codec.ts';
import { createEntryIndex } from './entry-index.ts';
import type { EntryIndex, IndexRow, OrderCursor } from './entry-index.ts';
import { encodeHeaderLink, shortestChain } from './header-chain.ts';
import { entryHash, sameBytes } from './ids.ts';
import { createIngester } from './ingest.ts';
import { createMutex } from './mutex.ts';
import { missingRows } from './missing.ts';
import { createEntryStore } from './entry-store.ts';
import type { Entry, EntryHash, EntryId, FeedTip, History, HistoryCheck } from './types.ts';
import type { WaitingLimits } from './waiting-room.ts';

/** Up to this size the log's checksums are all read when it is opened (a fraction of a second); beyond, only by `verify`. */
const scrubBytes = 64 * 1024 * 1024;
/** Entries read for one piece of a feed: some tens of milliseconds. */
const maxFeedLinks = 4096;
/** Rows fetched from the index at a time. */
const pageSize = 256;

export interface HistoryDeps extends AuthorDeps {
  /** The drive's folder; holds `chain.log`. Made when missing. */
  readonly dir: string;
  /** The drive's database; the index lives in its tables `history_*`. */
  readonly db: Database;
  readonly driveId: EntryId;
  /** The genesis entry this device has just made with `createGenesis`: its feed goes on. */
  readonly created?: Entry;
  /** The genesis entry as fetched from a peer, for a drive that is joined. */
  readonly genesis?: Uint8Array;
  readonly logger?: Logger;
  readonly waitingLimits?: WaitingLimits;
}

/**
 * Opens the history of a drive: an existing one, a new one (`created`) or one being joined (`genesis`). Brings the index up
 * to what the log holds, drops a record cut short by a crash, rebuilds the index when it was lost.
 * @throws AppError `not_found` when there is no log and no genesis entry was given; `bad_hash`, `bad_signature`, `malformed`
 * when the one given is not this drive's; what opening files and databases throws
 */
export async function createHistory(deps: HistoryDeps): Promise<History> {
  const logger = deps.logger ?? silentLogger;
  const drive = entryHash(deps.driveId);
  const log = openChainLog(join(deps.dir, 'chain.log'));
  try {
    const index = createEntryIndex(deps.db, deps.signer.publicKey);
    await catchUp(deps, drive, log, index, logger);
    const history = assemble(deps, drive, log, index, logger);
    await beginWith(deps, drive, history, index);
    return history;
  } catch (error) {
    log.close();
    throw error;
  }
}

/** Makes the index agree with the log. */
async function catchUp(
  deps: HistoryDeps,
  drive: EntryHash,
  log: ChainLog,
  index: EntryIndex,
  logger: Logger,
): Promise<void> {
  const end = index.end();
  const isTrusted = end !== null && end <= log.size() && lastRowIsGood(log, index);
  if (!isTrusted && log.size() > 0)
    logger.warn({ end, size: log.size() }, 'the index of a history is built anew');
  const { damaged, rejected } = await auditLog({
    log,
    index,
    drive,
    logger,
    from: isTrusted && log.size() > scrubBytes ? end : 0,
    to: log.size(),
    depth: isTrusted ? 'checksums' : 'entries',
    acknowledged: end,
    aside: join(deps.dir, 'chain.log.cut'),
  });
  if (damaged.length > 0 || rejected.length > 0) {
    logger.error({ damaged: damaged.length, rejected: rejected.length }, 'a history has damaged records');
  }
  index.setEnd(log.size());
}

function lastRowIsGood(log: ChainLog, index: EntryIndex): boolean {
  const last = index.last();
  if (last === null) return true;
  try {
    return sameBytes(decodeEntry(log.read(last)).hash, last.hash);
  } catch {
    return false;
  }
}

/** Sees to it that the genesis entry is there. */
async function beginWith(
  deps: HistoryDeps,
  drive: EntryHash,
  history: History,
  index: EntryIndex,
): Promise<void> {
  if (index.has(drive)) return;
  const bytes = deps.created?.bytes ?? deps.genesis;
  if (bytes === undefined) {
    // A damaged genesis record comes back from peers like any other entry.
    if (index.count() > 0 || index.isDamaged(drive)) return;
    throw new AppError('not_found', 'The history of this drive is not on this computer.');
  }
  if (!sameBytes(decodeEntry(bytes).hash, drive)) {
    throw new AppError('bad_hash', 'The entry that should found this drive is of another one.');
  }
  const { rejected } = await history.ingest([bytes]);
  if (rejected[0] !== undefined) throw rejected[0].error;
  if (deps.created !== undefined) index.setIncarnation(deps.created.header.incarnation);
}

function assemble(
  deps: HistoryDeps,
  drive: EntryHash,
  log: ChainLog,
  index: EntryIndex,
  logger: Logger,
): History {
  const exclusive = createMutex();
  const store = createEntryStore(log, index);
  const appender = createAppender({ ...deps, drive, index, store, exclusive });
  const ingester = createIngester({ drive, index, store, exclusive, limits: deps.waitingLimits });
  let closed = false;

  const checkOpen = (): void => {
    if (closed) throw new AppError('shutting_down', 'The history of this drive is closed.');
  };

  /** Reads a row's entry; one that turns out damaged leaves the index, so that it is fetched again. */
  function readRow(row: IndexRow): Entry {
    try {
      const entry = decodeEntry(log.read(row));
      if (sameBytes(entry.hash, row.hash)) return entry;
      throw new AppError('corrupt', 'Another entry stands in its place.');
    } catch (error) {
      if (!isAppError(error) || !['corrupt', 'malformed', 'bad_hash', 'too_large'].includes(error.code))
        throw error;
      logger.error({ offset: row.offset, seq: row.seq }, 'a history record is damaged');
      index.lose([{ row, reason: error.message }]);
      throw new AppError('corrupt', 'A stored history entry is damaged.', {
        cause: error,
        details: { offset: row.offset, seq: row.seq },
      });
    }
  }

  function get(hash: EntryHash): Entry {
    checkOpen();
    const row = index.get(hash);
    if (row !== null) return readRow(row);
    if (index.isDamaged(hash)) throw new AppError('corrupt', 'A stored history entry is damaged.');
    throw new AppError('not_found', 'This history entry is not known here.');
  }

  /** Entries of rows, without those that turn out damaged. */
  function* entriesOf(rows: Iterable<IndexRow>): Generator<Entry> {
    for (const row of rows) {
      checkOpen();
      let entry: Entry;
      try {
        entry = readRow(row);
      } catch (error) {
        if (isAppError(error, 'corrupt')) continue;
        throw error;
      }
      yield entry;
    }
  }

  function* rowsInOrder(): Generator<IndexRow> {
    let cursor: OrderCursor | null = null;
    for (;;) {
      checkOpen();
      const page: readonly IndexRow[] = index.after(cursor, pageSize);
      yield* page;
      cursor = page.at(-1) ?? null;
      if (cursor === null || page.length < pageSize) return;
    }
  }

  function* rowsStoredFrom(position: number): Generator<IndexRow> {
    let from = position;
    for (;;) {
      checkOpen();
      const page = index.between(from, Number.MAX_SAFE_INTEGER, pageSize);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < pageSize) return;
      from = last.offset + last.length;
    }
  }

  async function verify(): Promise<HistoryCheck> {
    checkOpen();
    // What is being written now is on the disk and in the index before the scan looks where it ends.
    const to = await exclusive(() => Promise.resolve(log.size()));
    const { damaged, rejected } = await auditLog({
      log,
      index,
      drive,
      logger,
      from: 0,
      to,
      depth: 'signatures',
    });
    return {
      ok: damaged.length === 0 && rejected.length === 0,
      entries: index.count(),
      writers: index.writers(),
      forks: index.forks(),
      damaged,
      rejected,
    };
  }

  return {
    driveId: deps.driveId,
    async append(drafts) {
      checkOpen();
      return appender.append(drafts);
    },
    async ingest(entries, source) {
      checkOpen();
      return ingester.ingest(entries, source);
    },
    has: (hash) => index.has(hash),
    get,
    heads: () => index.heads(),
    frontier: () => index.frontier(),
    missingFor: (frontier: readonly FeedTip[]) => entriesOf(missingRows(index, frontier)),
    inOrder: () => entriesOf(rowsInOrder()),
    storedFrom: (position) => entriesOf(rowsStoredFrom(position)),
    position: () => index.end() ?? 0,
    includes: (entry, ancestor) => isAncestor(index, entry, ancestor),
    headerChain: (hash) =>
      shortestChain(index, hash).map((link) => {
        const entry = get(link);
        return encodeHeaderLink(headerBytesOf(entry), entry.sig);
      }),
    feedChain(lower, upper) {
      const { seq } = get(lower).header;
      const links: Uint8Array[] = [];
      for (let at: EntryHash | null = upper; at !== null && !sameBytes(at, lower);) {
        const entry: Entry = get(at);
        if (entry.header.seq <= seq) break;
        if (links.push(encodeHeaderLink(headerBytesOf(entry), entry.sig)) > maxFeedLinks) {
          throw new AppError('too_large', 'There are too many entries between the two.');
        }
        at = entry.header.prev;
        if (at !== null && sameBytes(at, lower)) return links.reverse();
      }
      if (sameBytes(lower, upper)) return [];
      throw new AppError('not_found', 'The one entry does not stand on the other.');
    },
    forks: () => index.forks(),
    count: () => index.count(),
    ownTip: () => appender.ownTip(),
    newIncarnation: () => index.setIncarnation(null),
    verify,
    close() {
      closed = true;
      ingester.close();
      log.close();
    },
  };
}
