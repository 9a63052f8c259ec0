import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Database } from '../../store/index.ts';
import {
  blockId as idOf,
  chainIdOf,
  commitHash,
  decodeEvidence,
  decodeHistoryProof,
  encodeEvidence,
  evidenceListHash,
  genesisHash as hashOfGenesis,
  genesisValidators,
  hexOf,
  historyRoot,
  listRoot,
  resultsRoot,
  sameBytes,
  validatorSetHash,
  verifyCommit,
  zeroHash,
} from '../codec/index.ts';
import type { Genesis, HistoryPeaks } from '../codec/index.ts';
import { applyGenesis, beginBlock, dueAt, endBlock, restartFrom } from '../modules/index.ts';
import { sameSet, sets } from '../modules/validators.ts';
import type { SetName } from '../modules/validators.ts';
import { createSnapshots } from '../snapshot/snapshots.ts';
import type { SnapshotOptions } from '../snapshot/snapshots.ts';
import { bytesOf, migrateLedger } from '../state/database.ts';
import type { Overlay, StateView } from '../state/overlay.ts';
import type { RowProof } from '../state/proof.ts';
import { createRowState } from '../state/rows.ts';
import type { StagedState } from '../state/rows.ts';
import type {
  Application,
  Block,
  BlockSource,
  Commit,
  Evidence,
  ExecutedBlock,
  Hash,
  Header,
  ProposalInput,
  SignedHeader,
  Slices,
  SnapshotInfo,
  SnapshotSource,
  TxResult,
  ValidatorSet,
} from '../types.ts';
import { contextOf, currentSets, factsOf, nextContext, simulateTx } from './block-context.ts';
import type { OverlayContext, Simulation } from './block-context.ts';
import { createBlockRecords, partiesOf } from './block-records.ts';
import type { TxPlace } from './block-records.ts';
import { forgetTimes, noteTime, punish } from './evidence.ts';
import { adjustPrice, feePriceOf } from './fees.ts';
import { admitTx, chargeTx, isFault, runTx, tolerant, wholly } from './transaction.ts';
import type { PreparedTx } from './transaction.ts';
import type { TxChecker } from './tx-checker.ts';
import { checkWaiting, infoOf } from './waiting.ts';

export interface ApplicationDeps {
  /** Of this chain alone; writes are made fully synchronous. */
  readonly db: Database;
  readonly genesis: Genesis;
  /** Decodes transactions and checks their signatures. */
  readonly checker: TxChecker;
  /** All rows of the chain that the genesis continues, in the order of their keys; without it such a chain waits for a snapshot. */
  readonly previous?: Iterable<readonly [key: Uint8Array, value: Uint8Array]> | null;
}

export interface ApplicationOptions {
  /** Bodies of blocks older than so many are dropped; headers, certificates and proofs stay. Null keeps all. */
  readonly keepBlocks: number | null;
  /** Once the database holds more bytes than this, the oldest bodies give way. Null (default): whatever it takes. */
  readonly keepBytes?: number | null;
  /** A snapshot of every so many blocks, the newest so many kept; null makes none. Default: every 1,000th, 3 kept. */
  readonly snapshots?: SnapshotOptions | null;
}

/** What can be read from the state machine of one chain; the machine itself may work in another thread. */
export interface LedgerReader
  extends BlockSource, Pick<Application, 'chainId' | 'genesisHash' | 'last' | 'validators' | 'validatorsAt'> {
  readonly genesis: Genesis;
  /** The committed state. */
  readonly state: StateView;
  /** Runs an unsigned or signed transaction on top of the committed state and forgets it. @throws AppError as `checkTx` */
  simulate(tx: Uint8Array): Simulation;
  /** What a transaction of that many bytes and that weight costs now is `weight * feePrice / 65,536`, rounded up. */
  feePrice(): bigint;
  /** Proves a row of the state, or that there is none, under the header of the height it answers with. */
  proveRow(key: Uint8Array): Promise<{ readonly height: number; readonly row: RowProof }>;
  /** Proves rows of one state. */
  proveRows(
    keys: readonly Uint8Array[],
  ): Promise<{ readonly height: number; readonly rows: readonly RowProof[] }>;
  results(height: number): readonly TxResult[] | null;
  /** What the chain takes of the disk, without what was freed in its file already. */
  bytes(): number;
  /** Where transactions of an account stand that it sent, sponsored or received something by; newest first. */
  accountTxs(address: Uint8Array, before: TxPlace | null, limit: number): readonly TxPlace[];
  /** Makes a snapshot of the newest block; of the first one when there is none yet. @throws AppError `cancelled` when the chain ends before */
  takeSnapshot(): Promise<SnapshotInfo>;
}

/** The state machine of one chain. */
export interface Ledger extends Application, LedgerReader, SnapshotSource {
  /** Resolves when no snapshot is being made. */
  settled(): Promise<void>;
  /** Ends what goes on in the background; the database may be closed then. */
  stop(): Promise<void>;
}

/** What belongs to an executed block beside what others see of it. */
interface Pending {
  readonly staged: StagedState;
  readonly touched: ReadonlyMap<string, readonly number[]>;
}

/** Transactions in one slice of a block's execution: some ms. */
const atOnce = 64;
/** Candidates of one height that are kept; more rounds than that fail rarely. */
const maxCandidates = 8;
/** Bytes, and so weight, that hardly any transaction is below. */
const leastTx = 200;
const genesisName = 'genesis';
/** Bodies that stay however large they are: for peers who are a little behind. */
const leastBlocks = 1000;

/**
 * Opens the state machine of a chain; founds it when the database is empty.
 * @throws AppError `wrong_chain` when the database is of another genesis, `corrupt` when its rows are not what its last header
 * commits to, `invalid_argument` for a genesis that can't be
 */
export function createApplication(deps: ApplicationDeps, options: ApplicationOptions): Ledger {
  const { db, genesis, checker } = deps;
  const chainId = chainIdOf(genesis);
  const genesisHash = hashOfGenesis(genesis);
  const facts = factsOf(genesis);
  const { params } = facts;
  db.pragma('synchronous = FULL');
  migrateLedger(db);

  const meta = db.prepare<[string], { value: Buffer }>('SELECT value FROM meta WHERE name = ?');
  const putMeta = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)');
  const rows = createRowState(db);
  const blocks = createBlockRecords(db);
  const snapshotOptions = options.snapshots === undefined ? { every: 1000, keep: 3 } : options.snapshots;
  const snapshots = createSnapshots(
    db,
    chainId,
    snapshotOptions ?? { every: Number.MAX_SAFE_INTEGER, keep: 3 },
  );
  const pending = new WeakMap<ExecutedBlock, Pending>();
  const candidates = new Map<string, ExecutedBlock>();
  let last: ReturnType<Application['last']>;

  const contextFor = (state: Overlay, block: Parameters<typeof contextOf>[3]): ReturnType<typeof contextOf> =>
    contextOf(facts, rows, state, block);
  let founded = true;
  const first = genesisValidators(genesis);
  const setsNow = (): ReturnType<typeof currentSets> =>
    founded ? currentSets(rows) : { current: first, next: first };
  const upcoming = (): ReturnType<typeof nextContext> => nextContext(facts, rows, last);

  const keepBytes = options.keepBytes ?? null;
  const isTooLarge = (): boolean => keepBytes !== null && bytesOf(db) > keepBytes;

  /** Takes over the rows of the chain that this one continues. Inside the caller's transaction. */
  function takeOver(stateRoot: Hash): void {
    const put = db.prepare('INSERT INTO state (key, value) VALUES (?, ?)');
    for (const [key, value] of deps.previous ?? []) put.run(key, value);
    rows.reload();
    if (!sameBytes(rows.root(), stateRoot)) {
      throw new AppError(
        'snapshot_invalid',
        'The state here is not the one that this network continues: the old network went on, or stood still elsewhere.',
      );
    }
  }

  /** Begins the state: with the genesis alone, or with that of the chain it continues. */
  function found(): void {
    const { continues } = genesis;
    if (continues && !deps.previous) {
      founded = false;
      return;
    }
    try {
      db.transaction(() => {
        if (continues) takeOver(continues.stateRoot);
        begun();
      }).immediate();
    } catch (error) {
      rows.reload();
      if (!isAppError(error, 'snapshot_invalid')) throw error;
      // The old network stands at another block here: the right state comes from who founded this one.
      founded = false;
    }
  }

  function begun(): void {
    const overlay = rows.overlay();
    const ctx = contextFor(overlay, {
      height: 0,
      time: genesis.time,
      proposer: new Uint8Array(32),
      lastCommit: null,
    });
    if (genesis.continues) {
      forgetTimes(overlay);
      restartFrom(ctx, genesis);
    } else applyGenesis(ctx, genesis);
    if ((overlay.get(sets, 'next') ?? []).length === 0) {
      throw new AppError('invalid_argument', 'This genesis has no validator with a whole coin bonded.');
    }
    const staged = rows.stage(overlay);
    rows.write(staged);
    blocks.putSet(1, first);
    putMeta.run(genesisName, genesisHash);
    putMeta.run('genesis root', staged.root);
    rows.adopt(staged);
  }

  function open(): void {
    const known = meta.get(genesisName);
    if (!known) found();
    else if (!sameBytes(known.value, genesisHash)) {
      throw new AppError('wrong_chain', 'This database is of another chain.');
    }
    candidates.clear();
    if (!founded) {
      last = { height: 0, blockId: genesisHash, time: genesis.time, stateRoot: zeroHash };
      return;
    }
    const stored = blocks.last();
    const header = stored && blocks.signedHeaderAt(stored.height)?.header;
    const stateRoot = rows.root();
    const expected =
      header?.stateRoot ?? new Uint8Array((meta.get('genesis root') as { value: Buffer }).value);
    if (!sameBytes(expected, stateRoot)) {
      throw new AppError('corrupt', 'The state of the chain is not the one its last block commits to.');
    }
    last =
      stored && header
        ? { ...stored, time: header.time, stateRoot }
        : { height: 0, blockId: genesisHash, time: genesis.time, stateRoot };
  }

  const invalid = (why: string, cause?: unknown): AppError =>
    new AppError('block_invalid', `The block is invalid: ${why}.`, cause === undefined ? {} : { cause });

  /** Evidence as it may stand in the next block: what proves an old header is made for that block. */
  function renewed(evidence: Evidence): Evidence {
    if (evidence.type === 'duplicateVote') return evidence;
    const { height } = evidence.header;
    const path = decodeHistoryProof(blocks.proveHistory(height, last.height + 1));
    return { ...evidence, actual: blocks.signedHeaderAt(height)?.header ?? evidence.actual, path };
  }

  const begin = (ctx: OverlayContext, root: Hash, evidence: readonly Evidence[]): void => {
    noteTime(ctx);
    for (const one of evidence) wholly(ctx.state, () => punish(ctx, one, root));
    beginBlock(ctx, tolerant(ctx.state));
  };

  /** Ends the block and makes it a candidate. */
  function finish(
    ctx: OverlayContext,
    weight: number,
    results: readonly TxResult[],
    txs: readonly PreparedTx[],
    blockOf: (stateRoot: Hash) => Block,
  ): ExecutedBlock {
    const run = tolerant(ctx.state);
    endBlock(ctx, run);
    run(() => adjustPrice(ctx, weight));
    const staged = rows.stage(ctx.state);
    const block = blockOf(staged.root);
    const executed: ExecutedBlock = {
      block,
      blockId: idOf(block.header),
      results,
      validatorsAfterNext: ctx.state.get(sets, 'after') ?? [],
    };
    pending.set(executed, { staged, touched: touchedBy(txs) });
    candidates.set(hexOf(executed.blockId), executed);
    if (candidates.size > maxCandidates) candidates.delete(candidates.keys().next().value as string);
    return executed;
  }

  /** Header fields that follow from what is committed. */
  function fixedFields(
    height: number,
  ): Pick<Header, 'prev' | 'historyRoot' | 'validatorsHash' | 'nextValidatorsHash'> {
    const { current, next } = setsNow();
    if (height !== last.height + 1) {
      throw invalid(`it is of height ${height}, the next one is ${last.height + 1}`);
    }
    return {
      prev: last.blockId,
      historyRoot: historyRoot(blocks.peaks()),
      validatorsHash: validatorSetHash(current),
      nextValidatorsHash: validatorSetHash(next),
    };
  }

  function checkLastCommit(commit: Commit | null): void {
    if (last.height === 0) {
      if (commit !== null) throw invalid('the first block has no certificate of another');
      return;
    }
    if (commit === null) throw invalid('the certificate of the block before is missing');
    if (commit.height !== last.height || !sameBytes(commit.blockId, last.blockId)) {
      throw invalid('its certificate is not of the block before');
    }
    try {
      verifyCommit(chainId, rows.get(sets, 'last') ?? [], commit);
    } catch (error) {
      throw invalid('its certificate does not hold', error);
    }
  }

  /** Between two slices. @throws AppError `cancelled` when the state that the work lies on was replaced meanwhile */
  function* pause(begun: typeof last): Slices<void> {
    yield;
    if (last !== begun) throw new AppError('cancelled', 'Another block was committed meanwhile.');
  }

  function* proposing(input: ProposalInput): Slices<ExecutedBlock> {
    const begun = last;
    const fixed = fixedFields(input.height);
    if (input.time <= last.time) throw invalid('its time is not later than that of the block before');
    checkLastCommit(input.lastCommit);
    const state = rows.overlay();
    const ctx = contextFor(state, input);
    const evidence: Evidence[] = [];
    noteTime(ctx);
    for (const one of input.evidence) {
      try {
        const fresh = decodeEvidence(encodeEvidence(renewed(one)));
        wholly(state, () => punish(ctx, fresh, fixed.historyRoot));
        evidence.push(fresh);
      } catch (error) {
        // It may be too old by now, or somebody else brought it: a proposer leaves out what does not hold.
        if (isFault(error)) throw error;
      }
    }
    beginBlock(ctx, tolerant(state));
    const results: TxResult[] = [];
    const txs: PreparedTx[] = [];
    let bytes = 0;
    let weight = 0;
    const room = Math.min(input.maxBytes, params.maxBlockBytes);
    for (const [i, candidate] of input.txs.entries()) {
      if (i > 0 && i % atOnce === 0) yield* pause(begun);
      // Full: there are more candidates than fit, as not all of them may stand in the block when their turn comes.
      if (room - bytes < leastTx || params.maxBlockWeight - weight < leastTx) break;
      if (bytes + candidate.length > room) continue;
      try {
        const tx = checker.prepare(candidate);
        if (weight + tx.weight > params.maxBlockWeight) continue;
        const admitted = admitTx(ctx, tx, false);
        if (!checker.signed(tx)) continue;
        chargeTx(ctx, tx, admitted);
        results.push(runTx(ctx, tx, admitted));
        txs.push(tx);
        bytes += candidate.length;
        weight += tx.weight;
      } catch (error) {
        // Left out, as a block with it would be refused. What `runTx` lets out is always a fault.
        if (isFault(error)) throw error;
      }
    }
    return finish(ctx, weight, results, txs, (stateRoot) => ({
      header: {
        v: 1,
        chainId,
        height: input.height,
        time: input.time,
        ...fixed,
        lastCommitHash: commitHash(input.lastCommit),
        txRoot: listRoot(txs.map(({ hash }) => hash)),
        stateRoot,
        resultsRoot: resultsRoot(results),
        evidenceHash: evidenceListHash(evidence),
        proposer: input.proposer,
      },
      txs: txs.map((tx) => tx.bytes),
      lastCommit: input.lastCommit,
      evidence,
    }));
  }

  function* executing(block: Block): Slices<ExecutedBlock> {
    const begun = last;
    const { header } = block;
    const id = idOf(header);
    const known = candidates.get(hexOf(id));
    // The header binds transactions, certificate and evidence: what comes under the same id with another body is not looked at.
    if (known) return known;

    const fixed = fixedFields(header.height);
    if (header.chainId !== chainId) throw invalid('it is of another chain');
    for (const name of ['prev', 'historyRoot', 'validatorsHash', 'nextValidatorsHash'] as const) {
      if (!sameBytes(header[name], fixed[name])) throw invalid(`${name} does not fit the chain`);
    }
    if (header.time <= last.time) throw invalid('its time is not later than that of the block before');
    if (!setsNow().current.some((one) => sameBytes(one.id, header.proposer))) {
      throw invalid('its proposer is not in the set');
    }
    if (!sameBytes(commitHash(block.lastCommit), header.lastCommitHash)) {
      throw invalid('lastCommitHash does not fit its certificate');
    }
    checkLastCommit(block.lastCommit);
    if (!sameBytes(evidenceListHash(block.evidence), header.evidenceHash)) {
      throw invalid('evidenceHash does not fit its evidence');
    }
    const txs = preparedTxs(block);
    if (!sameBytes(listRoot(txs.map(({ hash }) => hash)), header.txRoot)) {
      throw invalid('txRoot does not fit its transactions');
    }

    const ctx = contextFor(rows.overlay(), { ...header, lastCommit: block.lastCommit });
    const results: TxResult[] = [];
    let weight = 0;
    const standing = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        if (isFault(error)) throw error;
        throw invalid(
          `a part of it may not stand there (${error instanceof Error ? error.message : ''})`,
          error,
        );
      }
    };
    standing(() => begin(ctx, fixed.historyRoot, block.evidence));
    for (const [i, tx] of txs.entries()) {
      if (i > 0 && i % atOnce === 0) yield* pause(begun);
      standing(() => {
        weight += tx.weight;
        const admitted = admitTx(ctx, tx, false);
        chargeTx(ctx, tx, admitted);
        results.push(runTx(ctx, tx, admitted));
      });
    }
    if (weight > params.maxBlockWeight) throw invalid('its transactions do too much');
    const executed = finish(ctx, weight, results, txs, () => block);
    const { staged } = pending.get(executed) as Pending;
    if (!sameBytes(resultsRoot(results), header.resultsRoot) || !sameBytes(staged.root, header.stateRoot)) {
      candidates.delete(hexOf(id));
      throw invalid('executed here it leads to another state');
    }
    return executed;
  }

  const application: Ledger = {
    chainId,
    genesisHash,
    genesis,
    state: rows,
    bytes: () => bytesOf(db),
    founded: () => founded,
    last: () => last,
    validators: setsNow,
    dueAt: () => dueAt(rows),
    validatorsAt(height) {
      if (height === last.height + 1) return setsNow().current;
      if (height === last.height + 2) return setsNow().next;
      return height >= 1 && height <= last.height ? blocks.setAt(height) : null;
    },

    checkTx(bytes) {
      try {
        if (!founded) throw new AppError('catching_up', 'This computer is still catching up with the chain.');
        const tx = checker.prepare(bytes);
        if (!checker.signed(tx)) {
          throw new AppError('bad_signature', 'A signature of the transaction is wrong.');
        }
        const ctx = upcoming();
        const admitted = admitTx(ctx, tx, true);
        const info = infoOf(ctx, tx, admitted);
        checkWaiting(ctx, tx, info);
        chargeTx(ctx, tx, admitted);
        return { ok: true, info };
      } catch (error) {
        if (error instanceof AppError) return { ok: false, error };
        if (isFault(error)) throw error;
        const sentence = 'The transaction runs into an error of the program.';
        return { ok: false, error: new AppError('internal', sentence, { cause: error }) };
      }
    },

    verifyTxs: (txs) => checker.verifyTxs(txs),

    propose: (input) => drained(proposing(input)),
    proposing,
    execute: (block) => drained(executing(block)),
    executing,

    commit(executed, commit) {
      const found = pending.get(executed);
      const { header } = executed.block;
      if (!found || header.height !== last.height + 1) {
        throw new AppError('invalid_argument', 'This block is not one executed on the present state.');
      }
      if (!sameBytes(commit.blockId, executed.blockId) || commit.height !== header.height) {
        throw new AppError('commit_invalid', 'This certificate is of another block.');
      }
      const before = setsNow();
      verifyCommit(chainId, before.current, commit);
      db.transaction(() => {
        rows.write(found.staged);
        blocks.write(executed, commit, found.touched);
        if (!sameSet(before.next, executed.validatorsAfterNext)) {
          blocks.putSet(header.height + 2, executed.validatorsAfterNext);
        }
        if (options.keepBlocks !== null) blocks.prune(header.height - options.keepBlocks);
        else if (isTooLarge()) blocks.prune(header.height - leastBlocks);
      }).immediate();
      rows.adopt(found.staged);
      const peaks = blocks.peaks();
      blocks.adopt(executed);
      candidates.clear();
      last = {
        height: header.height,
        blockId: executed.blockId,
        time: header.time,
        stateRoot: header.stateRoot,
      };
      // Whoever did not follow the chain that this one continues begins with its first block.
      snapshots.committed(header.height, peaks, genesis.continues !== null && header.height === 1);
    },

    simulate: (bytes) => simulateTx(upcoming(), bytes),

    checkEvidence(evidence) {
      const fresh = renewed(evidence);
      punish(upcoming(), fresh, historyRoot(blocks.peaks()));
      return fresh;
    },

    feePrice: () => feePriceOf(rows, params),
    proveRow: async (key) => ({ height: last.height, row: rows.prove(key) }),
    proveRows: async (keys) => ({ height: last.height, rows: keys.map((key) => rows.prove(key)) }),
    results: (height) => blocks.results(height),
    accountTxs: (address, before, limit) => blocks.accountTxs(address, before, limit),
    firstHeight: () => blocks.firstHeight(),
    blockAt: (height) => blocks.blockAt(height),
    signedHeaderAt: (height) => blocks.signedHeaderAt(height),
    findTx: (hash) => blocks.findTx(hash),
    proveHistory: (height, of) => {
      if (of > last.height + 1 || height >= of)
        throw new AppError('not_found', `There is no block ${height} before ${of}.`);
      return blocks.proveHistory(height, of);
    },

    takeSnapshot: () =>
      snapshots.take(
        last.height === 0 ? null : { height: last.height, peaks: blocks.peaksAt(last.height - 1) },
      ),
    snapshots: () => snapshots.list(),
    snapshotChunk: (height, index) => snapshots.chunk(height, index),
    restore(manifest, trusted) {
      if (last.height !== 0) {
        throw new AppError('invalid_argument', 'A snapshot is restored on a chain that has no block yet.');
      }
      return snapshots.restore(manifest, trusted, {
        adopt: (peaks) => adoptSnapshot(peaks, trusted),
        reload: () => {
          rows.reload();
          open();
        },
      });
    },
    settled: () => snapshots.settled(),
    stop: () => snapshots.stop(),
  };

  /** Makes the rows that a snapshot brought the state of its block, if they are. Inside the snapshot's transaction. */
  function adoptSnapshot(peaks: HistoryPeaks, { header, commit }: SignedHeader): void {
    rows.reload();
    if (!sameBytes(rows.root(), header.stateRoot)) {
      throw new AppError('snapshot_invalid', 'The snapshot does not hold: its rows make another state.');
    }
    const { height } = header;
    const set = (name: SetName): ValidatorSet => rows.get(sets, name) ?? [];
    if (!founded) {
      putMeta.run(genesisName, genesisHash);
      putMeta.run('genesis root', zeroHash);
      founded = true;
    }
    blocks.begin({ header, commit, peaks });
    blocks.putSet(height, set('last'));
    blocks.putSet(height + 1, set('next'));
    blocks.putSet(height + 2, set('after'));
  }

  function preparedTxs(block: Block): PreparedTx[] {
    let bytes = 0;
    return block.txs.map((one, i) => {
      bytes += one.length;
      if (bytes > params.maxBlockBytes) throw invalid('its transactions are too large');
      try {
        const tx = checker.prepare(one);
        if (checker.signed(tx)) return tx;
      } catch (error) {
        throw invalid(`transaction ${i} can't be read`, error);
      }
      throw invalid(`transaction ${i} is not signed rightly`);
    });
  }

  open();
  return application;
}

/** Where in the block the transactions stand that concern each account. */
function touchedBy(txs: readonly PreparedTx[]): Map<string, number[]> {
  const touched = new Map<string, number[]>();
  for (const [place, { body }] of txs.entries()) {
    for (const party of partiesOf(body)) {
      const places = touched.get(party);
      if (places) places.push(place);
      else touched.set(party, [place]);
    }
  }
  return touched;
}

function drained<T>(work: Slices<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
