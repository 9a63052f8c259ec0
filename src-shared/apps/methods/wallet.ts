import { symbol, wanted } from '../../contract/amounts.ts';
import { count, hash, userId } from '../../contract/common.ts';
import { balance, preview } from '../../contract/ledger.ts';
import { z } from '../../contract/zod.ts';
import { method, nothing } from './frame.ts';

/** A payment of the person's. */
export const payment = z.object({
  to: userId,
  amount: wanted,
  symbol,
  memo: z.string().max(256).default(''),
  feeIn: symbol.optional(),
});

export const walletMethods = {
  exc_balances: method(['tokens.read'], nothing, z.object({ balances: z.array(balance) })),
  /** What a payment would do, without doing it. */
  exc_simulateTransaction: method(['tokens.read'], payment, preview.omit({ password: true })),
  /** Pays: at once within what the person allows a day, otherwise the person is asked in our own window. */
  exc_sendTransaction: method(['tokens.spend'], payment, z.object({ hash })),
  /** Answers when a payment is final, however it ended. */
  exc_waitTransaction: method(
    ['tokens.spend'],
    z.object({ hash, timeout: z.number().positive().max(120).default(30) }),
    z.object({ hash, height: count, ok: z.boolean(), code: z.string(), message: z.string() }),
  ),
  /** A payment that somebody made, as the ledger has it; null: there is no such payment, or it was refused. */
  exc_getPayment: method(
    ['tokens.read'],
    z.object({ hash }),
    z.object({
      payment: z
        .object({ from: userId, to: userId, amount: z.string(), symbol, memo: z.string() })
        .nullable(),
    }),
  ),
  /** A proof of a balance (base64url) that others check offline. It names the account. */
  exc_getProof: method(
    ['tokens.read', 'identity.shared'],
    z.object({ symbol }),
    z.object({ proof: z.string() }),
  ),
};
