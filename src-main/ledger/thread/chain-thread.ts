import { Worker } from 'node:worker_threads';
import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import { openDatabase } from '../../store/index.ts';
import { waitForHeight } from '../chain/wait-for-height.ts';
import type { Chain, ChainEvents, ChainGenesis, ChainNetwork, ChainOptions, Role } from '../chain/types.ts';
import { encodeGenesis } from '../codec/index.ts';
import type { Genesis } from '../codec/index.ts';
import type { LedgerReader } from '../execute/application.ts';
import { createLedgerReader } from '../execute/reader.ts';
import type { SnapshotOptions } from '../snapshot/snapshots.ts';
import { createCalls, ownBytes } from './calls.ts';
import type { Calls } from './calls.ts';
import type { ChainThreadStart, ChainView, FarChain, NearChain } from './chain-messages.ts';
import { createNetworkBridge } from './network-near.ts';

export interface ChainThreadDeps {
  readonly genesis: Genesis;
  readonly chain: ChainGenesis;
  readonly network: ChainNetwork;
  /** Secret of the consensus key, 32 bytes; null: this node never votes. */
  readonly consensusSeed: Uint8Array | null;
  readonly logger: Logger;
}

export interface ChainThreadOptions extends ChainOptions {
  readonly role: Exclude<Role, 'light'>;
  /** The ledger's database; is made. */
  readonly file: string;
  /** The database of the chain that the genesis continues, where it is here. */
  readonly previousFile?: string | null;
  /** Page cache of the thread's connection, KiB. */
  readonly cacheKiB?: number;
  readonly keepBlocks: number | null;
  /** See `ApplicationOptions`. */
  readonly keepBytes?: number | null;
  /** Default: every 1,000th block, 3 kept; null makes none. */
  readonly snapshots?: SnapshotOptions | null;
}

/** A chain that runs in a thread of its own, with what is read of its ledger from here. */
export interface ChainThread {
  readonly chain: Chain;
  readonly ledger: LedgerReader;
}

/** Page cache of the connection that reads here, KiB. */
const readerCacheKiB = 2048;
const defaultCacheKiB = 8192;

/**
 * Opens a chain whose blocks are executed, in a thread of its own: the event loop of this one is held up neither by blocks nor by
 * flushes of the disk. Nothing runs before `chain.start()`; `chain.stop()` ends the thread.
 * @throws AppError `corrupt`, `wrong_chain`, `invalid_argument`, `disk_full`, `permission_denied`
 */
export async function openChainThread(
  deps: ChainThreadDeps,
  {
    file,
    previousFile = null,
    cacheKiB = defaultCacheKiB,
    keepBlocks,
    keepBytes = null,
    snapshots = { every: 1000, keep: 3 },
    ...options
  }: ChainThreadOptions,
): Promise<ChainThread> {
  const { network, logger, genesis } = deps;
  const emitter = createEmitter<ChainEvents>((error) => {
    logger.error({ error: String(error) }, 'a listener of the chain failed');
  });
  const start: ChainThreadStart = {
    genesis: encodeGenesis(genesis),
    chain: deps.chain,
    ...{ file, previousFile, cacheKiB, options, keepBlocks, keepBytes, snapshots },
    consensusSeed: deps.consensusSeed && new Uint8Array(deps.consensusSeed),
    connected: network.peers().map(({ peerId }) => peerId),
  };
  const worker = new Worker(new URL('./chain-worker.ts', import.meta.url), {
    workerData: start,
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 512 },
  });
  worker.unref();

  let view: ChainView | null = null;
  let stopping: Promise<void> | null = null;
  const stopper = new AbortController();
  const opened = Promise.withResolvers<void>();
  const bridge = createNetworkBridge(network, () => far);
  const functions: NearChain = {
    ...bridge.functions,
    opened(first) {
      view = first;
      opened.resolve();
    },
    failed: (code, message) => opened.reject(new AppError(code as ErrorCode, message)),
    event: (name, value) => emitter.emit(name, value),
    view: (next) => void (view = next),
    log: (level, fields, message) => logger[level](fields, message),
  };
  const far: Calls<FarChain> = createCalls<FarChain>(worker, functions, (error) => {
    logger.debug({ error: String(error) }, 'a call from the thread of a chain failed');
  });
  let dead = false;
  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const lost = (cause?: unknown): void => {
    if (dead) return;
    dead = true;
    const error = new AppError(
      'chain_halted',
      'This network stopped on this computer by an error of its program.',
      {
        cause,
      },
    );
    far.end(error);
    opened.reject(error);
    bridge.stop();
    if (stopping || !view) return;
    logger.error(
      { error: String((cause as Error | undefined)?.stack ?? cause) },
      'the thread of a chain ended',
    );
    const problem = { code: error.code, message: error.message };
    view = { ...view, status: { ...view.status, sync: 'halted', voting: false, problem } };
    emitter.emit('problem', problem);
  };
  worker.on('error', lost);
  void gone.then(() => lost());

  try {
    await opened.promise;
  } catch (error) {
    void worker.terminate();
    throw error;
  }
  const db = openDatabase(file, { cacheKiB: readerCacheKiB });
  db.pragma('query_only = ON');
  const ledger = createLedgerReader({
    db,
    genesis,
    machine: {
      proveRow: (key) => far.call('proveRow', [ownBytes(key)]),
      proveRows: (keys) => far.call('proveRows', [keys.map(ownBytes)]),
      takeSnapshot: () => far.call('takeSnapshot', []),
    },
  });
  const seen = (): ChainView => view as ChainView;

  const chain: Chain = {
    chainId: deps.chain.chainId,
    on: emitter.on,
    async start() {
      view = await far.call('start', []);
    },
    stop() {
      stopping ??= (async () => {
        stopper.abort();
        await far.call('stop', []).catch((error: unknown) => {
          if (!dead) logger.error({ error: String(error) }, 'the thread of a chain did not end well');
        });
        await worker.terminate();
        bridge.stop();
        far.end(new AppError('shutting_down', 'This network was closed.'));
        ledger.close();
        db.close();
      })();
      return stopping;
    },
    status: () => seen().status,
    validators: () => ledger.validators().current,
    header: (height) => far.call('header', [height]),
    submit: (tx) => far.call('submit', [ownBytes(tx)]),
    nextNonce: (sender, committed) => far.call('nextNonce', [ownBytes(sender), committed]),
    waiting: (hash) => far.call('waiting', [ownBytes(hash)]),
    waitingAll: () => far.call('waitingAll', []),
    waitFor: (height, signal) =>
      waitForHeight(emitter, () => seen().status.height, height, signal, stopper.signal),
    async setRole(role) {
      view = await far.call('setRole', [role]);
    },
    peers: () => seen().peers,
  };
  return { chain, ledger };
}
