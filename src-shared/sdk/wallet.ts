import type { ParamsOf, ResultOf } from '../apps/methods/index.ts';
import type { Transport } from './transport.ts';

/** Amounts are whole tokens with decimals, as text: `"12.5"`. */
export interface Wallet {
  /** Needs `tokens.read`. */
  balances(): Promise<ResultOf<'exc_balances'>['balances']>;
  /** What a payment would do: fee, balances after, or why it would be refused. Needs `tokens.read`. */
  simulate(payment: ParamsOf<'exc_simulateTransaction'>): Promise<ResultOf<'exc_simulateTransaction'>>;
  /**
   * Pays, and answers once the network took it. Within what the person allows a day nobody is asked.
   * @returns the transaction's hash
   * @throws AppRequestError `rejected`, or with `underfunded` and the like
   */
  pay(payment: ParamsOf<'exc_sendTransaction'>): Promise<string>;
  /** Waits until a payment is final, however it ended. @param timeout seconds, at most 120 */
  settled(hash: string, timeout?: number): Promise<ResultOf<'exc_waitTransaction'>>;
  /** A payment that anybody made, as the ledger has it; null: there is none of that hash. Needs `tokens.read`. */
  payment(hash: string): Promise<ResultOf<'exc_getPayment'>['payment']>;
  /** A proof (base64url) of a balance, checked with `extrachain verify`. Needs `tokens.read` and `identity.shared`. */
  proof(symbol: string): Promise<string>;
}

export function createWallet({ request }: Transport): Wallet {
  return {
    balances: async () => (await request('exc_balances')).balances,
    simulate: (payment) => request('exc_simulateTransaction', payment),
    pay: async (payment) => (await request('exc_sendTransaction', payment)).hash,
    settled: (hash, timeout) =>
      request('exc_waitTransaction', timeout === undefined ? { hash } : { hash, timeout }),
    payment: async (hash) => (await request('exc_getPayment', { hash })).payment,
    proof: async (symbol) => (await request('exc_getProof', { symbol })).proof,
  };
}
