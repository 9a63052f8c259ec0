import { AppError } from '../../../src-shared/errors.ts';
import { verifySignature } from '../../identity/index.ts';
import { decodeTx } from '../codec/index.ts';
import type { Tx } from '../codec/index.ts';
import { decodeMessage, isDelegable } from '../modules/index.ts';
import type { Message } from '../modules/index.ts';
import { accountOf, accounts, authorise } from '../modules/account.ts';
import type { Allowance } from '../modules/account.ts';
import type { BlockContext } from '../modules/context.ts';
import { isBaseError } from '../state/overlay.ts';
import type { Overlay } from '../state/overlay.ts';
import { bytesKey } from '../state/table.ts';
import type { TxResult } from '../types.ts';
import { feeOf, takeFee } from './fees.ts';
import type { Fee } from './fees.ts';

/** A transaction with its messages decoded: all that can be known without a state. */
export interface PreparedTx extends Tx {
  readonly messages: readonly Message[];
  /** Bytes and operations. */
  readonly weight: number;
}

/** Of each signature beyond one for each party, besides its bytes. */
const signatureWeight = 300;

/** @throws AppError `malformed`, `too_large`, `message_unknown` */
export function prepareTx(bytes: Uint8Array): PreparedTx {
  const tx = decodeTx(bytes);
  const messages = tx.body.msgs.map(decodeMessage);
  const parties = tx.body.feePayer === null ? 1 : 2;
  const more = (tx.sigs.length - parties) * signatureWeight;
  return { ...tx, messages, weight: messages.reduce((sum, { weight }) => sum + weight, bytes.length + more) };
}

/** Whether all signatures of a transaction hold. Whose keys they are is another question. */
export const signaturesHold = (tx: Tx): boolean =>
  tx.sigs.every(({ key, sig }) => verifySignature(key, tx.signed, sig));

/** A transaction that may stand in the block. */
export interface AdmittedTx {
  readonly fee: Fee;
  /** What the sender's and the payer's keys may spend. */
  readonly allowance: Allowance;
  readonly payerAllowance: Allowance;
}

/**
 * Looks whether a transaction may stand in a block, apart from its signatures; changes nothing.
 * @param later accepts a nonce that is not the next one yet, as a mempool does
 * @param assumed takes it for signed by whom it should be, whatever keys it names: for looking at what it would do
 * @throws AppError `wrong_chain`, `tx_expired`, `nonce_too_low`, `nonce_too_high`, `tx_too_heavy`, `fee_too_low`, and what
 * `authorise` and `feeOf` throw
 */
export function admitTx(ctx: BlockContext, tx: PreparedTx, later: boolean, assumed = false): AdmittedTx {
  const { body, sigs, messages, weight } = tx;
  if (body.chainId !== ctx.chainId) {
    throw new AppError('wrong_chain', 'The transaction was made for another chain.');
  }
  if (body.validUntil < ctx.height) {
    throw new AppError('tx_expired', `The transaction was valid until block ${body.validUntil}.`);
  }
  if (weight > ctx.params.maxBlockWeight) {
    throw new AppError('tx_too_heavy', 'The transaction does more than fits into a block.');
  }
  const { nonce } = accountOf(ctx.state, body.sender);
  if (body.nonce < nonce) {
    throw new AppError(
      'nonce_too_low',
      `The account's next transaction has number ${nonce}, not ${body.nonce}.`,
    );
  }
  if (body.nonce > nonce && !later) {
    throw new AppError(
      'nonce_too_high',
      `The account's transaction ${nonce} has to come before ${body.nonce}.`,
    );
  }
  const types = messages.map(({ type }) => type);
  const keys = sigs.map(({ key }) => key);
  const sponsor = body.feePayer === null ? null : (keys.pop() as Uint8Array);
  const allowance = assumed ? null : authorise(ctx, body.sender, keys, types, isDelegable);
  const payerAllowance =
    body.feePayer !== null && sponsor && !assumed
      ? authorise(ctx, body.feePayer, [sponsor], null, isDelegable)
      : allowance;
  const fee = feeOf(ctx, body.feeAsset, weight);
  if (fee.amount > body.feeMax) {
    throw new AppError(
      'fee_too_low',
      `The fee is ${fee.amount} of the smallest unit of ${fee.asset} now, more than offered.`,
      {
        details: { fee: fee.amount.toString(), asset: fee.asset },
      },
    );
  }
  return { fee, allowance, payerAllowance };
}

type OverlayBlock = BlockContext & { readonly state: Overlay };

/** Takes the fee and counts the nonce, or changes nothing. @throws AppError as `takeFee`; `too_large` when the ledger can't hold it */
export function chargeTx(ctx: OverlayBlock, tx: PreparedTx, { fee, payerAllowance }: AdmittedTx): void {
  const payer = tx.body.feePayer ?? tx.body.sender;
  wholly(ctx.state, () => {
    takeFee({ ...ctx, sender: payer, allowance: payerAllowance } as BlockContext, payer, fee);
    const row = accountOf(ctx.state, tx.body.sender);
    ctx.state.set(accounts, bytesKey(tx.body.sender), { ...row, nonce: tx.body.nonce + 1 });
  });
}

/** Faults of this node, not of a transaction: they must stop it. */
const faults: ReadonlySet<string> = new Set(['corrupt', 'internal', 'disk_full', 'permission_denied']);
/** What the engine says when this computer, not the work, is at its end. */
const exhausted = /call stack|allocation failed|out of memory/i;

/**
 * Whether an error is of this node: of its database or its memory. Every other one, also of a mistake in a module, comes of what
 * is run and is the same on every node; it must not stop the chain.
 */
export function isFault(error: unknown): boolean {
  if (isBaseError(error)) return true;
  if (error instanceof AppError) return faults.has(error.code);
  if (!(error instanceof Error)) return false;
  return error.name === 'SqliteError' || exhausted.test(error.message);
}

/** Runs work all or not at all: with all rows that it leaves such that the ledger can hold them. @throws what `work` and `keep` throw */
export function wholly(state: Overlay, work: () => void): void {
  state.mark();
  try {
    work();
    state.keep();
  } catch (error) {
    state.revert();
    throw error;
  }
}

/** Runs a part of the work of a block's beginning or end; what fails by itself is left out, as it would stop every node for ever. */
export const tolerant =
  (state: Overlay) =>
  (work: () => void): void => {
    try {
      wholly(state, work);
    } catch (error) {
      if (isFault(error)) throw error;
    }
  };

/** Runs the messages of a charged transaction, all or none. */
export function runTx(ctx: OverlayBlock, tx: PreparedTx, { fee, allowance }: AdmittedTx): TxResult {
  const { state } = ctx;
  const result = { hash: tx.hash, fee: fee.amount };
  const inside = { ...ctx, sender: tx.body.sender, allowance };
  try {
    wholly(state, () => {
      for (const message of tx.messages) message.run(inside);
    });
    return { ...result, ok: true, code: '', message: '' };
  } catch (error) {
    if (isFault(error)) throw error;
    // No words of the engine: results are the same on every node.
    if (!(error instanceof AppError)) {
      return {
        ...result,
        ok: false,
        code: 'internal',
        message: 'The transaction ran into an error of the program.',
      };
    }
    return { ...result, ok: false, code: error.code, message: error.message };
  }
}
