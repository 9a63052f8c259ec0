import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { isAppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import { wallClock as clock } from '../../../src-shared/wall-clock.ts';
import { createSigner } from '../../identity/index.ts';
import { openDatabase } from '../../store/index.ts';
import { createChain } from '../chain/chain.ts';
import { coalesce } from '../chain/coalesce.ts';
import type { ChainEvents } from '../chain/types.ts';
import { decodeGenesis } from '../codec/index.ts';
import { createApplication } from '../execute/application.ts';
import { rowsOfFile } from '../execute/restart.ts';
import { createTxChecker } from '../execute/tx-checker.ts';
import { createCalls, ownBytes } from './calls.ts';
import type { Calls } from './calls.ts';
import type { ChainThreadStart, ChainView, FarChain, NearChain } from './chain-messages.ts';
import { createNetworkAcross } from './network-far.ts';

/*
 * One chain in a thread of its own: state machine, database, mempool, consensus, gossip and sync. The main thread keeps the
 * network and reads the database over a connection of its own.
 */

const start = workerData as ChainThreadStart;
const port = parentPort as MessagePort;
/** How often the main thread hears where the chain stands although nothing happened, ms. */
const viewEvery = 500;

const near = (): Calls<NearChain> => calls;
const log =
  (level: 'debug' | 'info' | 'warn' | 'error') =>
  (fields: Record<string, unknown>, message: string): void =>
    near().tell('log', [level, fields, message]);
const logger: Logger = {
  debug: log('debug'),
  info: log('info'),
  warn: log('warn'),
  error: log('error'),
};
const across = createNetworkAcross(near, start.connected);

async function open() {
  const db = openDatabase(start.file, { durability: 'full', cacheKiB: start.cacheKiB });
  try {
    const ledger = createApplication(
      {
        db,
        genesis: decodeGenesis(start.genesis),
        checker: createTxChecker(),
        previous: start.previousFile === null ? null : rowsOfFile(start.previousFile),
      },
      { keepBlocks: start.keepBlocks, keepBytes: start.keepBytes, snapshots: start.snapshots },
    );
    const chain = await createChain(
      {
        genesis: start.chain,
        application: ledger,
        network: across.network,
        signer: start.consensusSeed && createSigner(start.consensusSeed),
        clock,
        random: (n) => crypto.getRandomValues(new Uint8Array(n)),
        logger,
      },
      start.options,
    );
    return { db, ledger, chain };
  } catch (error) {
    db.close();
    throw error;
  }
}

const opening = open();
const chainOf = async () => (await opening).chain;

const functions: FarChain = {
  ...across.functions,
  async start() {
    const { chain } = await opening;
    await chain.start();
    return view();
  },
  async stop() {
    const { chain, ledger, db } = await opening;
    tellView.stop();
    cancelLook();
    await chain.stop();
    await ledger.stop();
    db.close();
  },
  submit: async (tx) => (await chainOf()).submit(tx),
  nextNonce: async (sender, committed) => (await chainOf()).nextNonce(sender, committed),
  async waiting(hash) {
    const tx = await (await chainOf()).waiting(hash);
    return tx && ownBytes(tx);
  },
  waitingAll: async () => (await chainOf()).waitingAll(),
  async setRole(role) {
    await (await chainOf()).setRole(role);
    return view();
  },
  header: async (height) => (await chainOf()).header(height),
  proveRow: async (key) => (await opening).ledger.proveRow(key),
  proveRows: async (keys) => (await opening).ledger.proveRows(keys),
  takeSnapshot: async () => (await opening).ledger.takeSnapshot(),
};
const calls = createCalls<NearChain>(port, functions, (error) => {
  logger.error(
    { error: String((error as Error).stack ?? error) },
    'the thread of a chain failed at something',
  );
});

async function view(): Promise<ChainView> {
  const { chain } = await opening;
  return { status: chain.status(), peers: chain.peers() };
}
const tellView = coalesce(clock, 100, () => {
  void view().then((seen) => near().tell('view', [seen]));
});
let cancelLook = (): void => {};
/** Peers come and go without an event of the chain. */
function look(): void {
  tellView();
  cancelLook = clock.after(viewEvery, look);
}

try {
  const { chain } = await opening;
  for (const name of ['round', 'mempool', 'dropped', 'evidence'] as const) {
    chain.on(name, (value: ChainEvents[typeof name]) => near().tell('event', [name, value]));
  }
  for (const name of ['block', 'sync', 'problem'] as const) {
    chain.on(name, (value: ChainEvents[typeof name]) => {
      // Where the chain stands is known before the event, as without a thread.
      near().tell('view', [{ status: chain.status(), peers: chain.peers() }]);
      near().tell('event', [name, value]);
    });
  }
  near().tell('opened', [await view()]);
  look();
} catch (error) {
  const code = isAppError(error) ? error.code : 'internal';
  near().tell('failed', [code, error instanceof Error ? error.message : String(error)]);
}
