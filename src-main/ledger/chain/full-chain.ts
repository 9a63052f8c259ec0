import path from 'node:path';
import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';
import { sameBytes, txHash, txRoot, validatorIdOf } from '../codec/index.ts';
import { defaultParams, emptyBlockWait, proposerAt } from '../consensus/index.ts';
import { openInputLog } from '../consensus/input-log.ts';
import { openConsensusSigner } from '../consensus/sign-state.ts';
import { isQuorum } from '../consensus/validator-index.ts';
import { createMempool, defaultMempoolLimits } from '../mempool/index.ts';
import type { Commit, ExecutedBlock, Hash, TxInfo, Vote } from '../types.ts';
import { syncBlocks } from './block-sync.ts';
import { coalesce } from './coalesce.ts';
import { createConsensusGossip } from './consensus-gossip.ts';
import { createDriver } from './driver.ts';
import { createEvidencePool, duplicateVote } from './evidence-pool.ts';
import { createPeerHeights } from './peer-heights.ts';
import { createPeerStreams } from './peer-streams.ts';
import { createSyncServer } from './serve.ts';
import { joinBySnapshot } from './state-sync.ts';
import { createSyncClient, syncOptions } from './sync-client.ts';
import { createTxGossip } from './tx-gossip.ts';
import type {
  Chain,
  ChainDeps,
  ChainEvents,
  ChainOptions,
  ChainStatus,
  Role,
  RoundView,
  SyncState,
} from './types.ts';
import { waitForHeight } from './wait-for-height.ts';
import type { PeerMessage } from './wire.ts';

/** How often it is looked at whether this node lags, ms. */
const lookEvery = 300;
/** One block behind for so long: consensus lost it, it is fetched. ms */
const lagPatience = 1000;
/** After a start a validator listens so long for somebody who signs with its key, ms. */
const listenFirst = 1500;
/** Who decides alone, and has heard of nobody since the start, listens so long: a copy of it may be at work, and nothing would stop it. */
const listenAlone = 5000;
/** Blocks whose certificates are searched for signatures this computer does not know of. */
const copyWindow = 20;
/** Further behind, a new node begins with a snapshot. Blocks. */
const usualSnapshotFrom = 500;
/** So far behind, a transaction can't be judged here. Blocks. */
const submitBehind = 20;
/** Coalesced events, ms. */
const viewEvery = 250;
/** Empty blocks after which their interval is the longest in any case: it doubles every tenth. */
const quietBeyond = 280;
const maxBlockBytes = 2 * 1024 * 1024;
/** Blocks' worth of transactions that a proposal is chosen from: what others make impossible at the last moment must not empty it. */
const candidates = 4;

/** A chain whose blocks are executed here: roles `full` and `validator`. */
export async function createFullChain(deps: ChainDeps, options: ChainOptions): Promise<Chain> {
  const { network, clock, logger, genesis } = deps;
  const { chainId } = genesis;
  if (!deps.application) {
    throw new AppError('invalid_argument', 'A node that checks every block needs the state machine.');
  }
  const application = deps.application;
  const emitter = createEmitter<ChainEvents>((error) => {
    logger.error({ error: String(error) }, 'a listener of the chain failed');
  });
  let role: Role = options.role;
  let sync: SyncState = 'alone';
  let problem: ChainStatus['problem'] = null;
  let notVoting: ErrorCode | null = 'catching_up';
  let copied = false;
  /** Somebody said that this computer is the one that signs, whatever the last certificates show. */
  let confirmed = false;
  let running = false;
  let startedAt = 0;
  let lastBlockAt = 0;
  const stopper = new AbortController();
  const cancels = new Set<() => void>();

  const log = openInputLog(path.join(options.dir, 'consensus.log'));
  const guard = deps.signer
    ? openConsensusSigner(path.join(options.dir, 'sign-state.db'), chainId, deps.signer)
    : null;
  const own = deps.signer ? validatorIdOf(deps.signer.publicKey) : null;
  const params = { ...defaultParams, ...options.consensus };
  const random = (): number => Buffer.from(deps.random(4)).readUInt32LE() / 2 ** 32;

  const mempool = createMempool(
    {
      check: (tx) => application.checkTx(tx),
      onDropped(hash, code) {
        emitter.emit('dropped', { hash, code });
        tellMempool();
      },
    },
    { ...defaultMempoolLimits, ...options.mempool },
  );
  const evidence = createEvidencePool(application);
  const heights = createPeerHeights(() => clock.now());
  const client = createSyncClient(network, `chain-sync-${chainId}/1`);

  const driver = createDriver({
    application,
    clock,
    logger,
    params,
    signer: guard && own ? { id: own, guard } : null,
    log,
    maxBlockBytes,
    content: (height, maxBytes) => ({
      txs: mempool.pick(candidates * maxBytes),
      evidence: evidence.pending(height),
    }),
    sendVote: (vote) => gossip.sendVote(vote),
    sendProposal: (proposal, block) => gossip.sendProposal(proposal, block),
    fetch: (blockId) => gossip.fetch(blockId),
    hasTxs: () => mempool.hasReady() || evidence.pending(application.last().height + 1).length > 0,
    emptyAfter,
    onCommit: committed,
    onEvidence(a, b) {
      const one = duplicateVote(a, b);
      if (!evidence.add(one)) return;
      emitter.emit('evidence', one);
      gossip.sendEvidence(one);
      if (driver.running()) driver.txsAvailable();
    },
    onRound: () => tellRound(),
    onHalt: (error) => fail(error.code, error.message),
  });

  const streams = createPeerStreams({
    network,
    protocol: `consensus-${chainId}/1`,
    logger,
    hello: ownStatus,
    onMessage(peer, message) {
      if (message.type === 'status') {
        heights.set(peer, message.height, message.first);
        look();
      } else void gossip.receive(peer, message);
    },
    onPeer(peer, here) {
      if (!here) heights.remove(peer);
    },
  });

  const gossip = createConsensusGossip({
    network,
    chainId,
    clock,
    logger,
    application,
    driver,
    streams,
    client,
    tx: (hash) => mempool.get(hash),
    onEvidence(one) {
      if (!evidence.add(one)) return false;
      emitter.emit('evidence', one);
      if (driver.running()) driver.txsAvailable();
      return true;
    },
    onOwnVote: checkOwnVote,
    own,
    random,
  });

  const txGossip = createTxGossip({
    network,
    chainId,
    clock,
    verify: (txs) => application.verifyTxs(txs),
    take: (tx) => void take(tx),
    waits: (hash) => mempool.has(hash),
  });

  const tellRound = coalesce(clock, viewEvery, () => {
    if (running && driver.running()) emitter.emit('round', roundView());
  });
  const tellMempool = coalesce(clock, viewEvery, () => emitter.emit('mempool', mempool.size()));

  function ownStatus(): PeerMessage {
    const { height, blockId } = application.last();
    return { type: 'status', height, first: application.firstHeight(), blockId };
  }

  function take(tx: Uint8Array): TxInfo {
    const wasReady = mempool.hasReady();
    const info = mempool.add(tx);
    tellMempool();
    if (!wasReady && mempool.hasReady() && driver.running()) driver.txsAvailable();
    return info;
  }

  const emptyTxRoot = txRoot([]);
  /** Empty blocks in a row up to the last one, as far back as it matters. */
  let quiet: { height: number; count: number } | null = null;
  function quietBlocks(): number {
    const { height: last } = application.last();
    const isEmpty = (height: number): boolean => {
      const header = application.signedHeaderAt(height)?.header;
      return header !== undefined && sameBytes(header.txRoot, emptyTxRoot);
    };
    if (quiet?.height === last) return quiet.count;
    let count = 0;
    if (quiet?.height === last - 1) count = isEmpty(last) ? quiet.count + 1 : 0;
    else while (count < params.eagerBlocks + quietBeyond && isEmpty(last - count)) count += 1;
    quiet = { height: last, count };
    return count;
  }
  function emptyAfter(): number {
    const usual = emptyBlockWait(params, quietBlocks());
    const due = application.dueAt();
    return due === null ? usual : Math.min(usual, Math.max(params.blockInterval, due - clock.now()));
  }

  function committed(executed: ExecutedBlock, _commit: Commit): void {
    const { block, blockId, results } = executed;
    lastBlockAt = clock.now();
    mempool.afterBlock(block.txs.map(txHash), block.header.height + 1);
    evidence.included(block.evidence);
    streams.broadcast(ownStatus());
    emitter.emit('block', {
      height: block.header.height,
      header: block.header,
      blockId,
      txs: {
        hashes: new Uint8Array(Buffer.concat(results.map(({ hash }) => hash))),
        ok: Uint8Array.from(results, ({ ok }) => (ok ? 1 : 0)),
      },
    });
    tellMempool();
  }

  function fail(code: ErrorCode, message: string): void {
    problem = { code, message };
    if (code === 'chain_halted') setSync('halted');
    emitter.emit('problem', problem);
  }

  function setSync(state: SyncState): void {
    if (sync === state) return;
    sync = state;
    emitter.emit('sync', { state, height: application.last().height, target: heights.highest() });
  }

  /** Somebody else signs with this key: this computer stops, or both are punished. */
  function stopVoting(): void {
    if (copied) return;
    copied = true;
    notVoting = 'profile_copied';
    driver.allowSigning(false);
    fail(
      'profile_copied',
      'Another computer signs with the key of this validator. Stop one of the two; this one no longer votes.',
    );
  }

  function checkOwnVote(vote: Vote): void {
    if (!guard || copied) return;
    const { height, round, records } = guard.state();
    const known = records.find(({ kind }) => kind === vote.type);
    const later = vote.height > height || (vote.height === height && vote.round > round);
    const sameStep = vote.height === height && vote.round === round;
    if (later || (sameStep && (!known || !sameBytes(known.sig, vote.sig)))) stopVoting();
  }

  /** Certificates of the last blocks with a signature of this key that this computer did not make. */
  function findForeignSignatures(): boolean {
    if (!guard || !own) return false;
    const { height: last } = application.last();
    for (let height = Math.max(1, last - copyWindow + 1); height <= last; height++) {
      if (height <= guard.state().height) continue;
      const signed = application.signedHeaderAt(height);
      if (signed?.commit.signatures.some(({ validator }) => sameBytes(validator, own))) return true;
    }
    return false;
  }

  /** True when this node's power alone decides: then there is nobody to wait for. */
  function decidesAlone(): boolean {
    if (!own || role !== 'validator') return false;
    const { current } = application.validators();
    const total = current.reduce((sum, { power }) => sum + power, 0n);
    const mine = current.find(({ id }) => sameBytes(id, own))?.power ?? 0n;
    return isQuorum(mine, total);
  }

  let looking = false;
  /** Decides whether to fetch blocks, to take part, or to wait. */
  function look(): void {
    if (!running || looking || sync === 'halted') return;
    const { height } = application.last();
    const target = heights.highest();
    const behind = target - height;
    const late = clock.now() - lastBlockAt > lagPatience;
    if (
      behind >= 2 ||
      (behind === 1 && !application.founded()) ||
      (behind === 1 && (!driver.running() || late))
    ) {
      looking = true;
      void catchUp(behind >= 2 || !driver.running()).finally(() => {
        looking = false;
        once(50, look);
      });
      return;
    }
    if (application.founded() && (heights.known() || decidesAlone())) {
      takePart();
      setSync('following');
    } else if (!driver.running()) setSync('alone');
    else setSync(decidesAlone() ? 'following' : 'alone');
  }

  function takePart(): void {
    // One alone listens, too: a restored backup must hear from those who follow that its chain went on.
    const fresh = decidesAlone() && application.last().height === 0;
    const patience = decidesAlone() && !heights.known() ? listenAlone : listenFirst;
    const listened = fresh || clock.now() - startedAt >= patience;
    const wants = role === 'validator' && guard !== null && !copied;
    const looks = wants && !confirmed && (notVoting === 'catching_up' || !driver.running());
    if (looks && findForeignSignatures()) stopVoting();
    const signs = wants && listened && !copied;
    const member = own !== null && application.validators().current.some(({ id }) => sameBytes(id, own));
    driver.allowSigning(signs);
    if (!driver.running()) driver.begin();
    if (!copied) notVoting = wants && member ? (listened ? null : 'catching_up') : 'not_validator';
  }

  /** One block behind is fetched while taking part; further behind, nothing is signed until this node is where the others are. */
  async function catchUp(far: boolean): Promise<void> {
    if (far) {
      driver.allowSigning(false);
      if (!copied) notVoting = 'catching_up';
    }
    try {
      if (
        application.last().height === 0 &&
        (!application.founded() || heights.highest() >= (options.snapshotFrom ?? usualSnapshotFrom))
      ) {
        setSync('snapshot');
        await joinBySnapshot(
          { application, client, heights, genesis, network, logger, now: () => clock.now() },
          options.checkpoint ?? null,
          stopper.signal,
        );
      }
      if (!application.founded()) return;
      if (far) setSync('blocks');
      await syncBlocks(
        {
          application,
          client,
          heights,
          penalise: (peer, reason) => network.penalise(peer, reason),
          logger,
          apply: (block, commit) => driver.applyFinal(block, commit),
          onProgress(height, target) {
            if (height % 50 === 0) emitter.emit('sync', { state: 'blocks', height, target });
          },
        },
        stopper.signal,
      );
    } catch (error) {
      if (stopper.signal.aborted) return;
      if (isAppError(error)) fail(error.code, error.message);
      else {
        logger.error({ error: String((error as Error).stack) }, 'syncing failed');
        fail('internal', 'Syncing the chain failed by an error of the program.');
      }
    }
    lastBlockAt = clock.now();
  }

  function roundView(): RoundView {
    const state = driver.state();
    const round = state.rounds.get(state.round);
    return {
      height: state.height,
      round: state.round,
      step: state.step,
      proposer: proposerAt(state, state.round),
      proposal: round?.proposal?.blockId ?? null,
      prevotes: round?.prevotes.voted ?? 0n,
      precommits: round?.precommits.voted ?? 0n,
      total: state.index.total,
      lockedRound: state.lockedRound,
    };
  }

  function once(ms: number, run: () => void): void {
    if (!running) return;
    const cancel = clock.after(ms, () => {
      cancels.delete(cancel);
      if (running) run();
    });
    cancels.add(cancel);
  }

  function every(ms: number, run: () => void): void {
    once(ms, () => {
      run();
      every(ms, run);
    });
  }

  return {
    chainId,
    on: emitter.on,
    async start() {
      if (running) return;
      running = true;
      startedAt = clock.now();
      lastBlockAt = startedAt;
      network.handle(
        `chain-sync-${chainId}/1`,
        syncOptions,
        createSyncServer({
          application,
          body: (blockId) => driver.bodyOf(blockId),
          tx: (hash) => mempool.get(hash) ?? txOfBodies(hash),
          submit: (tx) => submit(tx),
        }),
      );
      for (const { peerId, hints } of options.peers ?? []) network.want(peerId, hints);
      streams.start();
      gossip.start();
      txGossip.start();
      every(lookEvery, look);
      look();
    },
    async stop() {
      if (stopper.signal.aborted) return;
      stopper.abort();
      if (!running) {
        log.close();
        guard?.close();
        return;
      }
      running = false;
      for (const cancel of cancels) cancel();
      tellRound.stop();
      tellMempool.stop();
      network.unhandle(`chain-sync-${chainId}/1`);
      for (const { peerId } of options.peers ?? []) network.unwant(peerId);
      gossip.stop();
      txGossip.stop();
      streams.stop();
      driver.stop();
      log.close();
      guard?.close();
    },
    status() {
      const { height, blockId, time } = application.last();
      return {
        chainId,
        role,
        height,
        blockId,
        time,
        sync,
        peerHeight: heights.highest(),
        peers: streams.peers().length,
        voting: notVoting === null,
        notVoting,
        consensus: running && driver.running() ? roundView() : null,
        mempool: mempool.size(),
        witnesses: 0,
        problem,
      };
    },
    validators: () => application.validators().current,
    async header(height) {
      const found = application.signedHeaderAt(height);
      if (found) return found;
      throw new AppError('not_found', `Block ${height} is not kept on this computer.`);
    },
    submit,
    nextNonce: async (sender, committedNonce) => mempool.nextNonce(sender, committedNonce),
    waiting: async (hash) => mempool.get(hash),
    waitingAll: async () => mempool.infos(),
    waitFor(height, signal) {
      return waitForHeight(emitter, () => application.last().height, height, signal, stopper.signal);
    },
    async setRole(next) {
      if (next === 'light') {
        throw new AppError('invalid_argument', 'To become a light node, stop this chain and follow it anew.');
      }
      role = next;
      if (role === 'validator') {
        confirmed = true;
        copied = false;
        if (problem?.code === 'profile_copied') problem = null;
      }
      if (role !== 'validator') driver.allowSigning(false);
      notVoting = role === 'validator' ? 'catching_up' : 'not_validator';
      look();
    },
    peers: () => heights.all(),
  };

  async function submit(tx: Uint8Array): Promise<TxInfo> {
    const behind = heights.highest() - application.last().height;
    if (sync === 'snapshot' || (sync === 'blocks' && behind > submitBehind)) {
      throw new AppError('catching_up', 'This computer is still catching up with the chain.');
    }
    const info = take(tx);
    txGossip.announce(tx, info.hash);
    return info;
  }

  function txOfBodies(hash: Hash): Uint8Array | null {
    if (!driver.running()) return null;
    for (const { id } of driver.state().blocks.values()) {
      const found = driver.bodyOf(id)?.txs.find((tx) => sameBytes(txHash(tx), hash));
      if (found) return found;
    }
    return null;
  }
}
