import type { ParsedParamsOf } from '../../../../src-shared/apps/methods/index.ts';
import { isErrorCode } from '../../../../src-shared/errors.ts';
import { AppError, isAppError } from '../../../../src-shared/errors.ts';
import { addAmounts, maySpendUnasked } from '../../permissions/index.ts';
import type { AppHandlers, Call, HandlerDeps } from '../types.ts';

type Names =
  | 'exc_balances'
  | 'exc_simulateTransaction'
  | 'exc_sendTransaction'
  | 'exc_waitTransaction'
  | 'exc_getPayment'
  | 'exc_getProof';

/** Balances and payments. What is paid without asking is bounded; for anything else the person sees what it does. */
export function walletHandlers({ node, records, clock }: HandlerDeps): Pick<AppHandlers, Names> {
  type Payment = ParsedParamsOf<'exc_sendTransaction'>;
  /** Hashes of payments that each app made: it may wait for these and no others. */
  const made = new Map<string, Set<string>>();

  const inputOf = ({ to, amount, symbol, memo, feeIn }: Payment) => ({
    to,
    amount,
    symbol,
    memo,
    ...(feeIn !== undefined && { feeIn }),
  });
  const preview = async (payment: Payment, signal: AbortSignal) =>
    node.wallet.preview({ act: 'send', input: inputOf(payment) }, signal);

  /** What counts against a bound of a day: the payment, and a fee of the same token. */
  function counted(payment: Payment, fee: { readonly symbol: string; readonly amount: string }): string {
    return fee.symbol === payment.symbol
      ? addAmounts(payment.amount, fee.amount)
      : addAmounts(payment.amount);
  }

  function keep(appId: string, hash: string): void {
    const own = made.get(appId) ?? new Set();
    made.set(appId, own.add(hash));
    if (own.size > 1000) own.delete(own.values().next().value!);
  }

  async function askFor(call: Call, payment: Payment): Promise<string | undefined> {
    const effect = await preview(payment, call.signal);
    const { password } = await call.ask({
      kind: 'payment',
      text: payment.memo,
      spends: [{ symbol: payment.symbol, amount: payment.amount, to: payment.to }],
      balancesAfter: effect.changes.map(({ symbol, after }) => ({ symbol, amount: after })),
      fee: { symbol: effect.feeAsset, amount: effect.fee },
      discloses: ['ledgerShows'],
      password: effect.password,
    });
    return password;
  }

  return {
    exc_balances: async (call) => ({ balances: await node.wallet.balance({ user: null }, call.signal) }),

    async exc_simulateTransaction(call, payment) {
      const { password: _, ...shown } = await preview(payment, call.signal);
      return shown;
    },

    async exc_sendTransaction(call, payment) {
      const { app, signal } = call;
      call.about(`${payment.amount} ${payment.symbol} to ${payment.to}`);
      const effect = await preview(payment, signal);
      if (effect.code !== '') {
        throw new AppError(isErrorCode(effect.code) ? effect.code : 'internal', effect.message);
      }
      const amount = counted(payment, { symbol: effect.feeAsset, amount: effect.fee });
      const before = records.used(app.appId, 'tokens.spend', payment.symbol).amount;
      const payments = records.used(app.appId, 'tokens.spend').times;
      const unasked =
        !effect.password &&
        maySpendUnasked(call.grants(), { symbol: payment.symbol, amount, used: before, payments });
      // Counted before it is sent: of several at once none finds room that another takes.
      const undo = unasked ? records.use(app.appId, 'tokens.spend', payment.symbol, amount) : () => {};
      try {
        const password = unasked ? undefined : await askFor(call, payment);
        // Not cut short by a page that goes away: what was sent must stay counted.
        const { hash } = await node.wallet.send(
          { ...inputOf(payment), ...(password !== undefined && { password }) },
          new AbortController().signal,
        );
        keep(app.appId, hash);
        return { hash };
      } catch (error) {
        undo();
        throw error;
      }
    },

    async exc_waitTransaction({ app, signal }, { hash, timeout }) {
      if (!made.get(app.appId)?.has(hash)) {
        throw new AppError('not_found', 'This app has made no such payment.');
      }
      const limit = new AbortController();
      const late = new AppError('timeout', `It was not final after ${timeout} s.`);
      const cancel = clock.after(timeout * 1000, () => limit.abort(late));
      try {
        return await node.transactions.wait({ hash }, AbortSignal.any([signal, limit.signal]));
      } catch (error) {
        throw limit.signal.aborted ? late : error;
      } finally {
        cancel();
      }
    },

    async exc_getPayment({ signal }, { hash }) {
      const show = async () => node.transactions.show({ hash, proof: false }, signal);
      const found = await show().catch((error: unknown) => {
        if (isAppError(error, 'not_found')) return null;
        throw error;
      });
      const [first] = found?.messages ?? [];
      if (!found?.ok || first?.type !== 'bank.send') return { payment: null };
      const { to, amount, symbol, memo } = first;
      if (to === null || amount === null || symbol === null) return { payment: null };
      return { payment: { from: first.from ?? found.sender, to, amount, symbol, memo } };
    },

    exc_getProof: (call, { symbol }) => node.wallet.proof({ user: null, symbol }, call.signal),
  };
}
