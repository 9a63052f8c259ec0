import { accountView, encodeTxBody, maxAmount, simulateOn } from '../../../ledger/index.ts';
import type { Address, LedgerView, Simulation, TxBody, WireMessage } from '../../../ledger/index.ts';
import type { OpenChain } from '../chains.ts';
import { baseOf } from '../wallet.ts';
import { keysOfAccount, partiesIn } from './parties.ts';
import { unsignedTx } from './request.ts';
import type { TxRequest } from './request.ts';

/** A transaction that is to be signed by several, before anybody signed. */
export interface Draft {
  readonly sender: Address;
  /** Who pays the fee in the sender's place; null: the sender. */
  readonly sponsor: Address | null;
  readonly messages: readonly WireMessage[];
  /** Token of the fee; null: the base coin. */
  readonly feeIn: string | null;
}

/** Blocks after the newest one in which such a transaction may stand: a week at the fastest pace, less what others lag behind. */
const lifetime = 600_000;

/** The body that is signed. */
export function draftBody(
  open: OpenChain,
  { sender, sponsor, messages, feeIn }: Draft,
  { height, nonce, feeMax }: { readonly height: number; readonly nonce: number; readonly feeMax: bigint },
): TxBody {
  return {
    v: 1,
    chainId: open.record.chainId,
    sender,
    nonce,
    validUntil: height + lifetime,
    feeAsset: feeIn ?? baseOf(open),
    feeMax,
    feePayer: sponsor,
    msgs: messages,
  };
}

/** What would come of a draft. Does nothing but look. @throws AppError as `simulateOn` */
export function simulateDraft(open: OpenChain, view: LedgerView, draft: Draft): Simulation {
  const { nonce } = accountView(view.state, draft.sender);
  const body = encodeTxBody(draftBody(open, draft, { height: view.height, nonce, feeMax: maxAmount }));
  const { threshold } = keysOfAccount(view, draft.sender);
  const sponsor = draft.sponsor && [];
  return simulateOn(view, open.genesis, unsignedTx(body, { threshold, sponsor }), true);
}

/** What would come of a request that is not in a block yet. Does nothing but look. @throws AppError as `simulateOn` */
export const simulateRequest = (open: OpenChain, view: LedgerView, request: TxRequest): Simulation =>
  simulateOn(view, open.genesis, unsignedTx(request.body, partiesIn(view, request)), true);
