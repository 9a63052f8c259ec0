import type { LedgerView, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { OpenChain } from './chains.ts';
import { hex } from './shown.ts';
import { needsPassword } from './spending.ts';
import type { Wallet } from './wallet.ts';

/** How the person pays: the token of the fee, and the password where the limit set for it asks for one. */
export interface Paying {
  readonly feeIn?: string | undefined;
  readonly password?: string | undefined;
}

/**
 * Signs a message for the account in use and hands it in, with the password where the limit set for it asks for one.
 * @param make the message, from the state it is made for
 * @returns the transaction's hash, in hex
 * @throws AppError `wrong_password`, and as the state machine and the mempool refuse
 */
export async function handIn(
  { online, wallet }: { readonly online: Online; readonly wallet: Wallet },
  open: OpenChain,
  make: (view: LedgerView) => WireMessage,
  { feeIn, password }: Paying,
): Promise<{ hash: string }> {
  const { made, asks } = await open.reader.read((view) => {
    const one = make(view);
    return { made: one, asks: needsPassword(online, open, view, [one]) };
  }, 'what is to be signed');
  if (asks) await online.identity.checkPassword(password ?? '');
  return { hash: hex(await wallet.send(open, { messages: [made], feeIn: feeIn ?? null })) };
}
