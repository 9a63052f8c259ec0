import pLimit from 'p-limit';
import { AppError } from '../../../src-shared/errors.ts';
import { hashOfUserId } from '../../identity/index.ts';
import type { Signer, UserId } from '../../identity/index.ts';
import {
  accountView,
  encodeTx,
  encodeTxBody,
  maxAmount,
  sameBytes,
  signTx,
  simulateOn,
} from '../../ledger/index.ts';
import type { FoundTx, LedgerView, Simulation, TxBody, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { Chains, OpenChain } from './chains.ts';
import { createRelay } from './relay.ts';

/** A transaction wanted by this computer's user. */
export interface Wanted {
  readonly messages: readonly WireMessage[];
  /** Token of the fee; null: the base coin. */
  readonly feeIn: string | null;
}

/** Builds, signs and hands in transactions of the actor in use. */
export interface Wallet {
  user(): UserId;
  /** The key that signs for the account in this network: the root key, or on a linked computer a key of its own. */
  signerFor(open: OpenChain): Signer;
  /**
   * What would come of it now. Nothing is signed.
   * @param make the messages, from the state they are tried on
   * @param look may do nothing but look, as for `LedgerReader.read`
   * @throws AppError as the ledger's `simulate`; `needs_signatures` of an account that several sign for
   */
  simulate<T>(
    open: OpenChain,
    make: (view: LedgerView) => Wanted,
    look: (view: LedgerView, simulation: Simulation, wanted: Wanted) => T,
  ): Promise<T>;
  /**
   * Signs it with the account's next number and hands it in; resolves with its hash once it is accepted for gossip.
   * @throws AppError of the state machine and the mempool
   */
  send(open: OpenChain, wanted: Wanted): Promise<Uint8Array>;
  /** Hands in a transaction that is signed already; resolves with its hash. @throws AppError of the state machine and the mempool */
  submit(open: OpenChain, tx: Uint8Array): Promise<Uint8Array>;
  /** Own transactions that wait for a block, as far as this computer knows; the newest first. */
  waiting(open: OpenChain): Promise<readonly FoundTx[]>;
  stop(): void;
}

/** Blocks after the newest one in which a transaction may stand: some minutes at the usual pace. */
const lifetime = 600;
/** What is offered at the most, as a multiple of the fee now: the price may double while it waits; only the price is taken. */
const feeRoom = 2n;

export function createWallet(node: Online, chains: Chains): Wallet {
  const { identity } = node;
  /** One after another: each takes the next number of the account. */
  const oneAtATime = pLimit(1);
  const relay = createRelay(node, () => chains.list());

  function user(): UserId {
    const found = identity.userId();
    if (found === null) throw new AppError('no_identity', 'Create or restore an identity first.');
    return found;
  }

  /** A linked computer has no root key: its own key speaks for the account once the account said so. */
  const signerFor = (open: OpenChain): Signer =>
    identity.status().linked ? open.delegatedKey : identity.accountSigner();

  function bodyOf(
    open: OpenChain,
    { messages, feeIn }: Wanted,
    { height, nonce, feeMax }: { readonly height: number; readonly nonce: number; readonly feeMax: bigint },
  ): TxBody {
    return {
      v: 1,
      chainId: open.record.chainId,
      sender: hashOfUserId(user()),
      nonce,
      validUntil: height + lifetime,
      feeAsset: feeIn ?? baseOf(open),
      feeMax,
      feePayer: null,
      msgs: messages,
    };
  }

  /** After what is committed and what waits, here and at others. */
  async function nextNonce(open: OpenChain): Promise<number> {
    const sender = hashOfUserId(user());
    return Math.max(await open.reader.nextNonce(sender), relay.nextNonce(open.record.chainId, sender));
  }

  async function simulate<T>(
    open: OpenChain,
    make: (view: LedgerView) => Wanted,
    look: (view: LedgerView, simulation: Simulation, wanted: Wanted) => T,
  ): Promise<T> {
    const { publicKey: key } = signerFor(open);
    const sender = hashOfUserId(user());
    const waiting = await nextNonce(open);
    return open.reader.read((view) => {
      const wanted = make(view);
      const row = accountView(view.state, sender);
      if (row.quorum) {
        throw new AppError(
          'needs_signatures',
          `${row.quorum.threshold} of ${row.quorum.keys.length} people sign for this account together: ask them.`,
        );
      }
      const nonce = Math.max(waiting, row.nonce);
      const body = encodeTxBody(bodyOf(open, wanted, { height: view.height, nonce, feeMax: maxAmount }));
      // As long as the signed one: bytes are paid for.
      const tx = encodeTx(body, [{ key, sig: new Uint8Array(64) }]);
      return look(view, simulateOn(view, open.genesis, tx), wanted);
    }, 'simulate');
  }

  async function sendNext(open: OpenChain, wanted: Wanted): Promise<Uint8Array> {
    const sender = hashOfUserId(user());
    const nonce = await nextNonce(open);
    const { fee, result, committed, height } = await simulate(
      open,
      () => wanted,
      (view, simulation) => ({
        ...simulation,
        committed: accountView(view.state, sender).nonce,
        height: view.height,
      }),
    );
    // Told before it costs anything. What waits in the mempool may still change it, so only its own faults count.
    if (!result.ok && nonce <= committed) throw new AppError(result.code as AppError['code'], result.message);
    const body = bodyOf(open, wanted, {
      height,
      nonce: Math.max(nonce, committed),
      feeMax: fee.amount * feeRoom,
    });
    return submit(open, signTx(body, signerFor(open)));
  }

  async function submit(open: OpenChain, tx: Uint8Array): Promise<Uint8Array> {
    const { hash } = await open.chain.submit(tx);
    if (!open.ledger) relay.keep(tx);
    chains.used(open);
    return hash;
  }

  async function waiting(open: OpenChain): Promise<readonly FoundTx[]> {
    const sender = hashOfUserId(user());
    if (!open.ledger) return relay.waiting(open.record.chainId, sender);
    const own = (await open.chain.waitingAll()).filter((one) => sameBytes(one.sender, sender));
    const all = await Promise.all(own.map(({ hash }) => open.chain.waiting(hash)));
    return all.flatMap((bytes) => (bytes ? [{ bytes, place: null }] : [])).reverse();
  }

  return {
    user,
    signerFor,
    simulate,
    send: (open, wanted) => oneAtATime(() => sendNext(open, wanted)),
    submit,
    waiting,
    stop: () => relay.stop(),
  };
}

/** The symbol of a network's base coin. */
export const baseOf = ({ genesis }: Pick<OpenChain, 'genesis'>): string => genesis.tokens[0]!.spec.symbol;

/** The state machine of a chain. @throws AppError `unsupported` on a light node */
export function ledgerOf(open: OpenChain) {
  if (open.ledger) return open.ledger;
  throw new AppError('unsupported', 'A light node keeps no state of the ledger; change its role to full.');
}
