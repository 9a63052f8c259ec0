import { AppError } from '../../../src-shared/errors.ts';
import { hexOf } from '../codec/index.ts';
import { accountOf, leftToSpend } from '../modules/account.ts';
import type { BlockContext } from '../modules/context.ts';
import { baseOfFeePool } from '../modules/pool/fee-pool.ts';
import { account, balanceOf, pot } from '../modules/value.ts';
import type { Amount, FeeDue, TxInfo } from '../types.ts';
import { priceScale } from './fees.ts';
import type { AdmittedTx, PreparedTx } from './transaction.ts';

/** What a transaction that waits for a block has to keep to, and how it stands among the others. Rules of waiting, not of blocks. */

/** Of an offered fee counts up to so many times the fee due now. */
const maxOffer = 8n;
/** What waits for a block may be so many blocks and numbers early, not more: it takes room that it does not pay for until then. */
const maxWaitBlocks = 10_000;
/** Of a transaction that several people sign: a week of full blocks, as they are not all there at once. */
const maxGatherBlocks = 604_800;
const maxNoncesAhead = 64;

const leastOf = (values: readonly Amount[]): Amount =>
  values.reduce((least, one) => (one < least ? one : least));

/** Whose fee it is, in the token it is paid in: the payer's account, and what its delegated key may still spend. */
function duesOfPayer(ctx: BlockContext, tx: PreparedTx, { fee, payerAllowance }: AdmittedTx): FeeDue[] {
  const payer = tx.body.feePayer ?? tx.body.sender;
  const of = `${hexOf(payer)} ${fee.asset}`;
  const owned = balanceOf(ctx.state, account(payer), fee.asset);
  const due = { of, amount: fee.amount, owned };
  const key = tx.sigs.at(-1)?.key;
  if (payerAllowance === null || !key) return [due];
  const left = leftToSpend(ctx.state, payer, key, fee.asset);
  return [due, { of: `${of} ${hexOf(key)}`, amount: fee.amount, owned: left }];
}

/** What pays the validators in base coin for a fee in another token: the pool it is traded in, or the token's fund. */
function duesOfBase(ctx: BlockContext, { fee }: AdmittedTx): FeeDue[] {
  if (fee.asset === ctx.base) return [];
  if (fee.through) {
    const owned = baseOfFeePool(ctx, fee.asset, fee.through.feeBp);
    return [{ of: `pool ${fee.asset} ${fee.through.feeBp}`, amount: fee.base, owned }];
  }
  const owned = balanceOf(ctx.state, pot(`feeFund/${fee.asset}`), ctx.base);
  return [{ of: `fund ${fee.asset}`, amount: fee.base, owned }];
}

/** What a mempool needs to know of a transaction that is admitted and not charged yet. */
export function infoOf(ctx: BlockContext, tx: PreparedTx, admitted: AdmittedTx): TxInfo {
  const { fee } = admitted;
  const { feeMax, sender, nonce, validUntil } = tx.body;
  const own = duesOfPayer(ctx, tx, admitted);
  const base = duesOfBase(ctx, admitted);
  const offered = leastOf([feeMax, fee.amount * maxOffer, ...own.map(({ owned }) => owned)]);
  // At what the fee itself comes to now, whichever way it is paid: by the owner's rate or through a pool.
  const worth = fee.amount === 0n ? 0n : (offered * fee.base) / fee.amount;
  const inBase = leastOf([worth, ...base.map(({ owned }) => owned)]);
  const bytes = tx.bytes.length;
  return {
    hash: tx.hash,
    sender,
    nonce,
    committedNonce: accountOf(ctx.state, sender).nonce,
    validUntil,
    feeRate: (inBase * priceScale) / BigInt(bytes),
    dues: [...own, ...base],
    bytes,
  };
}

/** @throws AppError `tx_expired`, `nonce_too_high` for what is too early to wait */
export function checkWaiting(
  { height }: BlockContext,
  { sigs }: PreparedTx,
  { validUntil, nonce, committedNonce }: TxInfo,
): void {
  const blocks = sigs.length > 1 ? maxGatherBlocks : maxWaitBlocks;
  if (validUntil > height + blocks) {
    throw new AppError(
      'tx_expired',
      `The transaction would be valid until block ${validUntil}; the last that may be named now is ${height + blocks}.`,
    );
  }
  if (nonce > committedNonce + maxNoncesAhead) {
    throw new AppError(
      'nonce_too_high',
      `The account's next transaction has number ${committedNonce}; ${nonce} is too far ahead to wait for it.`,
    );
  }
}
