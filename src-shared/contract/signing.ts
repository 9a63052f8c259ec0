import { z } from './zod.ts';
import { count, done, hash, nothing, time, userId } from './common.ts';
import { command, query } from '../rpc/contract.ts';
import { amount, symbol, wanted } from './amounts.ts';
import { chainId, preview, txMessage, walletAct } from './ledger.ts';

/** An account that several people sign for together. */
export const sharedAccount = z.object({
  account: userId,
  /** So many of the signers sign. */
  threshold: count,
  signers: z.array(userId),
  /** It was one's own before it was shared. */
  own: z.boolean(),
});
export type SharedAccount = z.infer<typeof sharedAccount>;

/** What waits for the signatures of several people. */
export const signingRequest = z.object({
  id: hash,
  /** `account`: consent to sign for an account from then on. `transaction`: of such an account, or paid by a sponsor. */
  kind: z.enum(['account', 'transaction']),
  chain: chainId,
  account: userId,
  /** Who asked first, and whether that was somebody here. */
  by: userId,
  own: z.boolean(),
  made: time,
  /**
   * `complete`: everybody signed, it is to be handed in. `sent`: it waits for a block. `expired`: its last height has passed.
   * `overtaken`: another transaction took its number.
   */
  state: z.enum([
    'open',
    'complete',
    'sent',
    'done',
    'failed',
    'refused',
    'withdrawn',
    'expired',
    'overtaken',
  ]),
  /** So many of the signers sign for the account. */
  threshold: count,
  signers: z.array(z.object({ userId, signed: z.boolean(), refused: z.boolean(), own: z.boolean() })),
  /** Who pays the fee in the account's place. */
  sponsor: z.object({ userId, signed: z.boolean(), refused: z.boolean(), own: z.boolean() }).nullable(),
  /** So many transactions of the account have to stand in a block before it; one that was refused holds it up until another takes its number. */
  behind: count,
  /** A signature of somebody here is wanted. */
  yours: z.boolean(),
  messages: z.array(txMessage),
  /** What the fee may come to at the most; null: there is none. */
  feeMax: amount.nullable(),
  feeAsset: symbol.nullable(),
  /** Of the transaction that came of it. */
  hash: hash.nullable(),
  /** Why it failed: an error code; '' when it did not. */
  code: z.string(),
  message: z.string(),
  /** The whole request with all signatures there are: for a file or a QR code. */
  text: z.string(),
});
export type SigningRequest = z.infer<typeof signingRequest>;

const who = userId.nullable().default(null);
const one = z.object({ id: z.string().regex(/^[0-9a-f]{4,64}$/, 'It is not the id of a request.') });
const secret = { password: z.string().max(1024).optional() };
/** `account`: whose transaction it is; null: one's own. `sponsor`: who is asked to pay its fee; null: the account pays. */
const drafted = z.object({ act: walletAct, account: who, sponsor: who });

/** Signatures of several people: accounts that are shared, and fees that somebody else pays. */
export const signing = {
  /** Accounts of the active network that somebody here signs for. */
  accounts: query(nothing, z.array(sharedAccount)),
  /** Asks people whether they sign for the account in use from now on. The account changes when all agreed and it is `send`. */
  share: command(
    z.object({ threshold: z.int().min(1).max(16), signers: z.array(userId).min(2).max(16) }),
    signingRequest,
  ),
  /** What would come of it. */
  preview: query(drafted, preview),
  /** Signs it here and asks the others. @throws `not_allowed` when nobody here signs for the account */
  propose: command(drafted.extend(secret), signingRequest),
  /** The newest first. */
  list: query(nothing, z.array(signingRequest)),
  show: query(one, signingRequest),
  /** What would come of it now. */
  effect: query(one, preview),
  /** Adds the signatures of this computer's people. The last one hands a transaction in. @throws `not_allowed` */
  sign: command(one.extend(secret), signingRequest),
  /** Says no; whoever asked takes it back. */
  refuse: command(one, signingRequest),
  /** Hands in what everybody signed. */
  send: command(one.extend(secret), signingRequest),
  /** Takes a request, or more signatures of one, that came by file or QR code. */
  take: command(z.object({ text: z.string().max(131_072) }), signingRequest),
  /** Answers when it was handed in or can't be any more. */
  wait: query(
    z.object({ ...one.shape, timeout: z.number().positive().nullable().default(null) }),
    signingRequest,
  ),
  forget: command(one, done),
  /** Whose fees are paid without asking, and how much is left of it. */
  sponsored: query(nothing, z.array(z.object({ user: userId, left: amount, symbol }))),
  /** Pays so much of somebody's fees, in base coin, whenever he asks. */
  sponsor: command(z.object({ user: userId, limit: wanted, ...secret }), done),
  /** Is asked again each time. */
  endSponsor: command(z.object({ user: userId }), done),
};
