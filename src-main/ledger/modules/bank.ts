import { positiveAmount, record, text } from '../codec/shape.ts';
import { addressShape, symbolShape } from '../codec/tx.ts';
import type { StateView } from '../state/overlay.ts';
import type { Amount, TokenSymbol } from '../types.ts';
import { kind } from './context.ts';
import type { Module } from './context.ts';
import { account, balances, move, supplies, tokens } from './value.ts';

const pair = (key: string): TokenSymbol =>
  key.startsWith('\0') ? key.slice(33) : key.slice(key.indexOf('\0', 1) + 1);

/** The sum of all balances of each token. */
function sumBalances(state: StateView): Map<TokenSymbol, Amount> {
  const sums = new Map<TokenSymbol, Amount>();
  for (const [key, value] of state.rows(balances)) {
    const symbol = pair(key);
    sums.set(symbol, (sums.get(symbol) ?? 0n) + value);
  }
  return sums;
}

/** Sending. */
export const bankModule = {
  name: 'bank',
  messages: {
    'bank.send': kind({
      shape: record({ to: addressShape, symbol: symbolShape, amount: positiveAmount, memo: text(256) }),
      weight: 200,
      delegable: true,
      run(ctx, message) {
        move(ctx, account(ctx.sender), account(message.to), message.symbol, message.amount);
      },
    }),
  },
  genesis(ctx, genesis) {
    for (const { address, symbol, amount } of genesis.balances)
      move(ctx, null, account(address), symbol, amount);
  },
  invariants: {
    'balances, pots included, are the supply, which is at most the cap'(state) {
      const sums = sumBalances(state);
      for (const [symbol, { spec }] of state.rows(tokens)) {
        const { minted, burned } = state.get(supplies, symbol) ?? { minted: 0n, burned: 0n };
        const sum = sums.get(symbol) ?? 0n;
        if (sum !== minted - burned) return `${symbol}: balances ${sum}, supply ${minted - burned}`;
        if (sum > spec.max) return `${symbol}: supply ${sum} above the cap ${spec.max}`;
        sums.delete(symbol);
      }
      return sums.size === 0 ? null : `balances of unknown tokens: ${[...sums.keys()].join(', ')}`;
    },
    'no balance is zero'(state) {
      for (const [key, value] of state.rows(balances)) if (value <= 0n) return `of ${pair(key)}`;
      return null;
    },
  },
} satisfies Module;
