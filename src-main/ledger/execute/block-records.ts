import { AppError } from '../../../src-shared/errors.ts';
import type { Database } from '../../store/index.ts';
import {
  addToHistory,
  blockId as idOf,
  decodeBlock,
  decodeCommit,
  decodeHeader,
  decodeTx,
  decodeValidatorSet,
  encodeBlock,
  encodeCommit,
  encodeHeader,
  encodeHistoryProof,
  encodeValidatorSet,
  noHistory,
  peakPlaces,
  proveInHistory,
} from '../codec/index.ts';
import type { HistoryPeaks, TxBody } from '../codec/index.ts';
import { bytesKey } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import { amount, bytesOf, codecOf, flag, listOf, record, text } from '../codec/shape.ts';
import type {
  Address,
  BlockSource,
  Commit,
  ExecutedBlock,
  Hash,
  Header,
  TxResult,
  ValidatorSet,
} from '../types.ts';

/** Committed blocks in SQLite: for peers who catch up, for people who look something up, for proofs. */

const resultsCodec = codecOf(
  listOf(record({ hash: bytesOf(32), ok: flag, code: text(64), message: text(500), fee: amount }), 20_000),
  'results of a block',
  16 * 1024 * 1024,
);

/** Bodies removed in one step of pruning. */
const pruneStep = 64;

/** Where a transaction stands. */
export interface TxPlace {
  readonly height: number;
  readonly index: number;
}

export interface BlockRecords extends BlockSource {
  /** Height, id, time and state root of the last block; null before the first. */
  last(): { readonly height: number; readonly blockId: Hash } | null;
  /** Peaks over all committed blocks. */
  peaks(): HistoryPeaks;
  /** Peaks over the blocks up to that height. @throws AppError `pruned` */
  peaksAt(height: number): HistoryPeaks;
  /** Writes a block; inside the caller's transaction. */
  write(executed: ExecutedBlock, commit: Commit, touched: ReadonlyMap<string, readonly number[]>): void;
  /** After the transaction of `write`. */
  adopt(executed: ExecutedBlock): void;
  setAt(height: number): ValidatorSet | null;
  putSet(height: number, set: ValidatorSet): void;
  /** Starts with a block whose body is not here. */
  begin(block: {
    readonly header: Header;
    readonly commit: Commit;
    /** Over the blocks before it. */
    readonly peaks: HistoryPeaks;
  }): void;
  /** Removes bodies of blocks below `height`, oldest first, a few at a time. True while some are left. */
  prune(height: number): boolean;
  results(height: number): readonly TxResult[] | null;
  /** Transactions of an account, newest first. */
  accountTxs(address: Address, before: TxPlace | null, limit: number): readonly TxPlace[];
}

/** The accounts that a transaction concerns: who sent it, paid for it, or is named as its receiver. As keys. */
export function partiesOf(body: TxBody): ReadonlySet<Key> {
  const parties = new Set([bytesKey(body.sender)]);
  if (body.feePayer !== null) parties.add(bytesKey(body.feePayer));
  for (const { to } of body.msgs) if (to instanceof Uint8Array && to.length === 32) parties.add(bytesKey(to));
  return parties;
}

export function createBlockRecords(db: Database): BlockRecords {
  type Row = {
    height: number;
    id: Buffer;
    header: Buffer;
    cert: Buffer;
    body: Buffer | null;
    results: Buffer | null;
  };
  const lastRow = db.prepare<[], Row>('SELECT * FROM blocks ORDER BY height DESC LIMIT 1');
  const at = db.prepare<[number], Row>('SELECT * FROM blocks WHERE height = ?');
  const headerAt = db.prepare<[number], Pick<Row, 'header' | 'cert'>>(
    'SELECT header, cert FROM blocks WHERE height = ?',
  );
  const first = db.prepare<[], { height: number | null }>(
    'SELECT min(height) AS height FROM blocks WHERE body IS NOT NULL',
  );
  const insert = db.prepare(
    'INSERT INTO blocks (height, id, header, cert, body, results) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const insertTx = db.prepare('INSERT OR IGNORE INTO txs (hash, height, place) VALUES (?, ?, ?)');
  const insertTouched = db.prepare(
    'INSERT OR IGNORE INTO account_txs (address, height, place) VALUES (?, ?, ?)',
  );
  const findTx = db.prepare<[Uint8Array], { height: number; place: number }>(
    'SELECT height, place FROM txs WHERE hash = ?',
  );
  const insertNode = db.prepare('INSERT OR REPLACE INTO history (level, place, hash) VALUES (?, ?, ?)');
  const node = db.prepare<[number, number], { hash: Buffer }>(
    'SELECT hash FROM history WHERE level = ? AND place = ?',
  );
  const setBefore = db.prepare<[number], { validators: Buffer }>(
    'SELECT validators FROM sets WHERE height <= ? ORDER BY height DESC LIMIT 1',
  );
  const insertSet = db.prepare('INSERT OR REPLACE INTO sets (height, validators) VALUES (?, ?)');
  const toPrune = db.prepare<[number, number], { height: number; body: Buffer }>(
    'SELECT height, body FROM blocks WHERE height < ? AND body IS NOT NULL ORDER BY height LIMIT ?',
  );
  const dropBody = db.prepare('UPDATE blocks SET body = NULL, results = NULL WHERE height = ?');
  const dropTx = db.prepare('DELETE FROM txs WHERE hash = ?');
  const dropTouched = db.prepare('DELETE FROM account_txs WHERE height = ? AND address = ?');
  const touchedAt = db.prepare<
    [Uint8Array, number, number, number, number],
    { height: number; place: number }
  >(
    `SELECT height, place FROM account_txs WHERE address = ? AND (height < ? OR (height = ? AND place < ?))
     ORDER BY height DESC, place DESC LIMIT ?`,
  );

  const nodeHash = (level: number, place: number): Hash => {
    const row = node.get(level, place);
    if (row) return new Uint8Array(row.hash);
    throw new AppError('pruned', 'This node began later and does not know that part of the chain.');
  };
  let known: HistoryPeaks | null = null;

  const records: BlockRecords = {
    last() {
      const row = lastRow.get();
      return row ? { height: row.height, blockId: new Uint8Array(row.id) } : null;
    },

    peaks() {
      if (known) return known;
      known = records.peaksAt(records.last()?.height ?? 0);
      return known;
    },
    peaksAt: (size) =>
      size === 0
        ? noHistory
        : { size, peaks: peakPlaces(size).map(({ level, place }) => nodeHash(level, place)) },

    write({ block, blockId, results }, commit, touched) {
      const { height } = block.header;
      insert.run(
        height,
        blockId,
        encodeHeader(block.header),
        encodeCommit(commit),
        encodeBlock(block),
        resultsCodec.encode(results.map((one) => ({ ...one, message: one.message.slice(0, 300) }))),
      );
      for (const [index, { hash }] of results.entries()) insertTx.run(hash, height, index);
      for (const [address, places] of touched) {
        const bytes = Buffer.from(address, 'latin1');
        for (const place of places) insertTouched.run(bytes, height, place);
      }
      addToHistory(records.peaks(), blockId, (level, place, hash) => insertNode.run(level, place, hash));
    },

    adopt({ blockId }) {
      known = addToHistory(records.peaks(), blockId);
    },

    begin({ header, commit, peaks }) {
      const blockId = idOf(header);
      insert.run(header.height, blockId, encodeHeader(header), encodeCommit(commit), null, null);
      for (const [i, { level, place }] of peakPlaces(peaks.size).entries()) {
        insertNode.run(level, place, peaks.peaks[i]);
      }
      addToHistory(peaks, blockId, (level, place, hash) => insertNode.run(level, place, hash));
      known = null;
    },

    setAt(height) {
      const row = setBefore.get(height);
      return row ? decodeValidatorSet(new Uint8Array(row.validators)) : null;
    },
    putSet: (height, set) => void insertSet.run(height, encodeValidatorSet(set)),

    prune(height) {
      const rows = toPrune.all(height, pruneStep);
      for (const { height: old, body } of rows) {
        for (const tx of decodeBlock(new Uint8Array(body)).txs) {
          const { hash, body: inner } = decodeTx(tx);
          dropTx.run(hash);
          for (const party of partiesOf(inner)) dropTouched.run(old, Buffer.from(party, 'latin1'));
        }
        dropBody.run(old);
      }
      return rows.length === pruneStep;
    },

    results(height) {
      const row = at.get(height);
      return row?.results ? resultsCodec.decode(new Uint8Array(row.results)) : null;
    },

    accountTxs(address, before, limit) {
      const { height, index } = before ?? { height: Number.MAX_SAFE_INTEGER, index: 0 };
      return touchedAt
        .all(address, height, height, index, limit)
        .map(({ height: at, place }) => ({ height: at, index: place }));
    },

    firstHeight: () => first.get()?.height ?? 0,

    blockAt(height) {
      const row = at.get(height);
      if (!row?.body) return null;
      return { block: decodeBlock(new Uint8Array(row.body)), commit: decodeCommit(new Uint8Array(row.cert)) };
    },

    signedHeaderAt(height) {
      const row = headerAt.get(height);
      if (!row) return null;
      return {
        header: decodeHeader(new Uint8Array(row.header)),
        commit: decodeCommit(new Uint8Array(row.cert)),
      };
    },

    findTx(hash) {
      const row = findTx.get(hash);
      const result = row && records.results(row.height)?.[row.place];
      return row && result ? { height: row.height, index: row.place, result } : null;
    },

    proveHistory(height, of) {
      return encodeHistoryProof(proveInHistory(height, of - 1, nodeHash));
    },
  };
  return records;
}
