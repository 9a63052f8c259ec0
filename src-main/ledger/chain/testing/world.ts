import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { silentLogger } from '../../../../src-shared/runtime.ts';
import type { Logger } from '../../../../src-shared/runtime.ts';
import { wallClock } from '../../../../src-shared/wall-clock.ts';
import { startRealNode } from '../../../exchange/testing/index.ts';
import type { RealNode } from '../../../exchange/testing/index.ts';
import { createSigner } from '../../../identity/index.ts';
import type { Signer } from '../../../identity/index.ts';
import { openDatabase } from '../../../store/index.ts';
import type { Database } from '../../../store/index.ts';
import {
  addressOf,
  chainIdOf,
  defaultGenesis,
  genesisHash,
  genesisValidators,
  signTx,
} from '../../codec/index.ts';
import type { Genesis, TxBody } from '../../codec/index.ts';
import type { ConsensusParams } from '../../consensus/index.ts';
import { createApplication } from '../../execute/application.ts';
import type { Ledger, LedgerReader } from '../../execute/application.ts';
import { createTxChecker } from '../../execute/tx-checker.ts';
import { accountOf } from '../../modules/account.ts';
import { message } from '../../modules/index.ts';
import { account, balanceOf } from '../../modules/value.ts';
import type { Address } from '../../types.ts';
import { openChainThread } from '../../thread/chain-thread.ts';
import { createChain } from '../chain.ts';
import type { Chain, ChainGenesis, ChainOptions, Role } from '../types.ts';

const seedOf = (name: string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(`test key ${name}`).digest());
const signers = new Map<string, Signer>();
/** A signer from a name, the same each time. */
export function signerOf(name: string): Signer {
  let signer = signers.get(name);
  if (!signer) signers.set(name, (signer = createSigner(seedOf(name))));
  return signer;
}
const chainIds = new WeakMap<Genesis, string>();
function chainIdFrom(genesis: Genesis): string {
  let id = chainIds.get(genesis);
  if (id === undefined) chainIds.set(genesis, (id = chainIdOf(genesis)));
  return id;
}
export const addressOfName = (name: string): Address => addressOf(signerOf(name).publicKey);

const coin = 1_000_000n;

/** A genesis with `validators` of equal power, run by the accounts `validator 0`, `validator 1`, ..., and rich users. */
export function genesisOf(validators: number, users: readonly string[] = [], time = Date.now()): Genesis {
  const base = defaultGenesis({
    name: 'test',
    time,
    founder: addressOfName('validator 0'),
    validatorKey: signerOf('consensus 0').publicKey,
  });
  const rich = 100_000n * coin;
  const owners = Array.from({ length: validators }, (_, i) => `validator ${i}`)
    .slice(1)
    .concat(users);
  return {
    ...base,
    balances: [
      {
        address: addressOfName('validator 0'),
        symbol: 'EXC',
        amount: 1_000_000_000n * coin - rich * BigInt(owners.length),
      },
      ...owners.map((name) => ({ address: addressOfName(name), symbol: 'EXC', amount: rich })),
    ],
    validators: Array.from({ length: validators }, (_, i) => ({
      operator: addressOfName(`validator ${i}`),
      key: signerOf(`consensus ${i}`).publicKey,
      name: `validator ${i}`,
      commissionBp: 500,
      bond: 10_000n * coin,
    })),
  };
}

function chainGenesis(genesis: Genesis): ChainGenesis {
  return {
    chainId: chainIdOf(genesis),
    hash: genesisHash(genesis),
    time: genesis.time,
    validators: genesisValidators(genesis),
    unbondingMs: genesis.tokens[0]?.spec.staking?.unbondingMs ?? 0,
  };
}

/** A transfer in the base coin, signed. */
export function transfer(
  genesis: Genesis,
  from: string,
  nonce: number,
  to: Address,
  amount: bigint,
  validUntil = 10_000,
): Uint8Array {
  const body: TxBody = {
    v: 1,
    chainId: chainIdFrom(genesis),
    sender: addressOfName(from),
    nonce,
    validUntil,
    feeAsset: 'EXC',
    feeMax: 10_000n,
    feePayer: null,
    msgs: [message('bank.send', { to, symbol: 'EXC', amount, memo: '' })],
  };
  return signTx(body, signerOf(from));
}

export const balanceIn = (ledger: LedgerReader, address: Address): bigint =>
  balanceOf(ledger.state, account(address), 'EXC');
export const nonceIn = (ledger: LedgerReader, address: Address): number =>
  accountOf(ledger.state, address).nonce;

export interface ChainNode {
  readonly chain: Chain;
  readonly ledger: LedgerReader;
  /** The state machine itself; null when it works in a thread. */
  readonly machine: Ledger | null;
  readonly node: RealNode;
  stop(): Promise<void>;
}

export interface ChainNodeOptions {
  readonly name: string;
  readonly ip: string;
  readonly genesis: Genesis;
  readonly dir: string;
  readonly role?: Role;
  /** Name of the signer whose key it votes with; null: none. */
  readonly consensusKey?: string | null;
  readonly consensus?: Partial<ConsensusParams>;
  readonly logger?: Logger;
  readonly port?: number;
  readonly snapshots?: { readonly every: number; readonly keep: number };
  /** In a thread of its own, as in a node. Without it a test starts quicker. */
  readonly thread?: boolean;
  readonly more?: Partial<ChainOptions>;
}

/** A real node: libp2p on a loopback address, SQLite files, the chain. Not started. */
export async function openChainNode(options: ChainNodeOptions): Promise<ChainNode> {
  const { name, ip, genesis, dir, role = 'validator' } = options;
  const node = await startRealNode(name, ip, {
    gossip: true,
    ...(options.port === undefined ? {} : { port: options.port }),
  });
  const key = options.consensusKey === undefined ? name : options.consensusKey;
  const chainOptions = {
    dir: path.join(dir, 'chain'),
    ...(options.consensus ? { consensus: options.consensus } : {}),
    ...options.more,
  };
  const file = path.join(dir, 'ledger.db');
  const logger = options.logger ?? silentLogger;
  if (options.thread && role !== 'light') {
    const { chain, ledger } = await openChainThread(
      {
        genesis,
        chain: chainGenesis(genesis),
        network: node.network,
        consensusSeed: key === null ? null : seedOf(key),
        logger,
      },
      { ...chainOptions, role, file, keepBlocks: null, snapshots: options.snapshots ?? null },
    );
    return {
      chain,
      ledger,
      machine: null,
      node,
      async stop() {
        await chain.stop();
        await node.stop();
      },
    };
  }
  const db: Database = openDatabase(file);
  const ledger = createApplication(
    { db, genesis, checker: createTxChecker() },
    { keepBlocks: null, snapshots: options.snapshots ?? null },
  );
  const chain = await createChain(
    {
      genesis: chainGenesis(genesis),
      application: role === 'light' ? null : ledger,
      network: node.network,
      signer: key === null ? null : signerOf(key),
      clock: wallClock,
      random: (n) => new Uint8Array(crypto.getRandomValues(new Uint8Array(n))),
      logger,
    },
    { role, ...chainOptions },
  );
  return {
    chain,
    ledger,
    machine: ledger,
    node,
    async stop() {
      await chain.stop();
      await node.stop();
      db.close();
    },
  };
}

export async function tempFolder(): Promise<{ readonly dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-chain-'));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** Waits until the condition holds. @throws with `what` after `ms` */
export async function until(condition: () => boolean, what: () => string, ms = 50_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not in time: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
