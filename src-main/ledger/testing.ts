import { createHash } from 'node:crypto';
import { createSigner } from '../identity/index.ts';
import type { Signer } from '../identity/index.ts';
import { openDatabase } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import {
  addressOf,
  chainIdOf,
  commitSignBytes,
  defaultGenesis,
  signTx,
  validatorIdOf,
} from './codec/index.ts';
import type { Genesis, TxBody, WireMessage } from './codec/index.ts';
import { createApplication } from './execute/application.ts';
import type { ApplicationOptions, Ledger } from './execute/application.ts';
import { createTxChecker } from './execute/tx-checker.ts';
import type { TxChecker } from './execute/tx-checker.ts';
import { accountOf } from './modules/account.ts';
import { faultsOf } from './modules/index.ts';
import type { Address, Commit, Evidence, ExecutedBlock, ValidatorId } from './types.ts';

/** A signer from a name, the same each time. */
export function signerOf(name: string): Signer {
  let signer = signers.get(name);
  if (!signer) {
    signer = createSigner(new Uint8Array(createHash('sha256').update(`test key ${name}`).digest()));
    if (signers.size >= 20_000) signers.clear();
    signers.set(name, signer);
  }
  return signer;
}
/** Making a key takes longer than most of what is tried with it. */
const signers = new Map<string, Signer>();

export const addressOfName = (name: string): Address => addressOf(signerOf(name).publicKey);

export const startOfTime = 1_790_000_000_000;

/** The default genesis with the founder `founder`, whose validator signs with the key `founder/consensus`. */
export const testGenesis = (changes: (genesis: Genesis) => Genesis = (genesis) => genesis): Genesis =>
  changes(
    defaultGenesis({
      name: 'test',
      time: startOfTime,
      founder: addressOfName('founder'),
      validatorKey: signerOf('founder/consensus').publicKey,
    }),
  );

/** One chain on one computer: all its validators sign what it makes. */
export interface TestChain {
  readonly ledger: Ledger;
  readonly checker: TxChecker;
  readonly db: Database;
  readonly genesis: Genesis;
  /** A transaction of `name`, with the next nonce, also of those that wait for the next block. */
  tx(name: string, msgs: readonly WireMessage[], changes?: Partial<TxBody>, payer?: string): Uint8Array;
  /** Puts a transaction into the next block. */
  add(name: string, msgs: readonly WireMessage[], changes?: Partial<TxBody>, payer?: string): void;
  /** Makes and commits the next block, `after` ms later (1000 if not given), of what waits. */
  block(options?: {
    readonly after?: number;
    readonly txs?: readonly Uint8Array[];
    readonly evidence?: readonly Evidence[];
    /** Validators that do not sign it. */
    readonly silent?: readonly ValidatorId[];
    readonly proposer?: ValidatorId;
  }): ExecutedBlock;
  /** What is wrong with the state; empty when nothing is. */
  faults(): readonly string[];
}

export function createTestChain(
  genesis: Genesis = testGenesis(),
  /** Names of signers whose keys are consensus keys, besides `founder/consensus`. */
  validatorNames: readonly string[] = [],
  options: Partial<ApplicationOptions> & {
    readonly db?: Database;
    readonly previous?: Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
  } = {},
): TestChain {
  const db = options.db ?? openDatabase(':memory:');
  const checker = createTxChecker();
  const ledger = createApplication(
    { db, genesis, checker: createTxChecker(), previous: options.previous ?? null },
    { keepBlocks: null, ...options },
  );
  const signers = new Map(
    ['founder/consensus', ...validatorNames].map((name) => {
      const signer = signerOf(name);
      return [Buffer.from(validatorIdOf(signer.publicKey)).toString('hex'), signer];
    }),
  );
  const chainId = chainIdOf(genesis);
  const waiting: Uint8Array[] = [];
  const nonces = new Map<string, number>();
  const last = ledger.last();
  let lastCommit: Commit | null =
    last.height === 0 ? null : (ledger.signedHeaderAt(last.height)?.commit ?? null);
  const base = (genesis.tokens[0] as Genesis['tokens'][0]).spec.symbol;

  const chain: TestChain = {
    ledger,
    checker,
    db,
    genesis,
    tx(name, msgs, changes = {}, payer) {
      const sender = addressOfName(name);
      const nonce = nonces.get(name) ?? accountOf(ledger.state, sender).nonce;
      nonces.set(name, nonce + 1);
      const body: TxBody = {
        v: 1,
        chainId,
        sender,
        nonce,
        validUntil: ledger.last().height + 100,
        feeAsset: base,
        feeMax: 10_000_000n,
        feePayer: payer === undefined ? null : addressOfName(payer),
        msgs,
        ...changes,
      };
      return signTx(body, signerOf(name), payer === undefined ? null : signerOf(payer));
    },
    add(name, msgs, changes, payer) {
      waiting.push(chain.tx(name, msgs, changes, payer));
    },
    block({ after = 1000, txs, evidence = [], silent = [], proposer } = {}) {
      const { height, time } = ledger.last();
      const { current } = ledger.validators();
      const executed = ledger.propose({
        height: height + 1,
        time: time + after,
        proposer: proposer ?? (current[0] as (typeof current)[0]).id,
        lastCommit,
        evidence,
        txs: txs ?? waiting.splice(0),
        maxBytes: genesis.params.maxBlockBytes,
      });
      const blank: Commit = { height: height + 1, round: 0, blockId: executed.blockId, signatures: [] };
      const bytes = commitSignBytes(chainId, blank);
      const mute = new Set(silent.map((id) => Buffer.from(id).toString('hex')));
      const signatures = current.flatMap(({ id }) => {
        const name = Buffer.from(id).toString('hex');
        const signer = signers.get(name);
        return signer && !mute.has(name) ? [{ validator: id, sig: signer.sign(bytes) }] : [];
      });
      lastCommit = { ...blank, signatures };
      ledger.commit(executed, lastCommit);
      nonces.clear();
      return executed;
    },
    faults: () => faultsOf(ledger.state, { params: genesis.params, base }),
  };
  return chain;
}
