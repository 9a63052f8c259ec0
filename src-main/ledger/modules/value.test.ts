import { expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { maxAmount } from '../codec/limits.ts';
import { factsOf, nextContext } from '../execute/block-context.ts';
import { addressOfName, createTestChain } from '../testing.ts';
import {
  account,
  balanceOf,
  balances,
  frozen,
  frozenKey,
  move,
  pot,
  roomOf,
  supplies,
  supplyOf,
  tokenOf,
  tokens,
} from './value.ts';

const ada = addressOfName('ada');
const founder = addressOfName('founder');
const chain = createTestChain();
const fresh = () => nextContext(factsOf(chain.genesis), chain.ledger.state, chain.ledger.last());
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return '';
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
};

test('value goes from one holder to another, and nothing else changes', () => {
  const ctx = fresh();
  const supply = supplyOf(ctx.state, 'EXC');
  const before = balanceOf(ctx.state, account(founder), 'EXC');
  move(ctx, account(founder), account(ada), 'EXC', 40n);
  move(ctx, account(ada), pot('fees'), 'EXC', 15n);
  expect(balanceOf(ctx.state, account(founder), 'EXC')).toBe(before - 40n);
  expect(balanceOf(ctx.state, account(ada), 'EXC')).toBe(25n);
  expect(balanceOf(ctx.state, pot('fees'), 'EXC')).toBe(15n);
  expect(supplyOf(ctx.state, 'EXC')).toBe(supply);
  expect([...ctx.state.touched(supplies)]).toEqual([]);
  // All of it: the row goes.
  move(ctx, account(ada), account(founder), 'EXC', 25n);
  expect(ctx.state.get(balances, `${account(ada)}EXC`)).toBeNull();
});

test('nobody gives what he has not, nothing is made beyond the cap, of no token that is not', () => {
  const ctx = fresh();
  expect(codeOf(() => move(ctx, account(ada), account(founder), 'EXC', 1n))).toBe('underfunded');
  expect(codeOf(() => move(ctx, account(founder), account(ada), 'NONE', 1n))).toBe('token_unknown');
  const token = tokenOf(ctx.state, 'EXC');
  expect(roomOf(ctx.state, token)).toBe(0n);
  expect(codeOf(() => move(ctx, null, account(ada), 'EXC', 1n))).toBe('max_exceeded');
  expect([...ctx.state.touched(balances)]).toEqual([]);
});

test('what is burned is gone from the supply, and may be minted again within the cap', () => {
  const ctx = fresh();
  const { max } = tokenOf(ctx.state, 'EXC').spec;
  move(ctx, account(founder), null, 'EXC', 100n);
  expect(supplyOf(ctx.state, 'EXC')).toBe(max - 100n);
  expect(roomOf(ctx.state, tokenOf(ctx.state, 'EXC'))).toBe(100n);
  move(ctx, null, account(ada), 'EXC', 30n);
  expect(ctx.state.get(supplies, 'EXC')).toEqual({ minted: max + 30n, burned: 100n });
  expect(balanceOf(ctx.state, account(ada), 'EXC')).toBe(30n);
  expect(codeOf(() => move(ctx, null, account(ada), 'EXC', 71n))).toBe('max_exceeded');
});

test('what leaves the sender counts against his key, what leaves others does not', () => {
  const spent: [string, bigint][] = [];
  const allowance = (symbol: string, value: bigint): void => void spent.push([symbol, value]);
  const ctx = { ...fresh(), sender: founder, allowance };
  move(ctx, account(founder), account(ada), 'EXC', 7n);
  move(ctx, account(ada), account(founder), 'EXC', 2n);
  move(ctx, account(founder), pot('fees'), 'EXC', 0n);
  expect(spent).toEqual([['EXC', 7n]]);
});

test('a frozen holding stays where it is, as long as the token has that power; pots are never frozen', () => {
  const ctx = fresh();
  move(ctx, account(founder), account(ada), 'EXC', 9n);
  move(ctx, account(founder), pot('fees'), 'EXC', 9n);
  ctx.state.set(frozen, frozenKey('EXC', ada), true);
  expect(codeOf(() => move(ctx, account(ada), account(founder), 'EXC', 1n))).toBe('');
  const token = tokenOf(ctx.state, 'EXC');
  const flags = { ...token.spec.flags, freeze: true };
  ctx.state.set(tokens, 'EXC', { ...token, spec: { ...token.spec, flags } });
  expect(codeOf(() => move(ctx, account(ada), account(founder), 'EXC', 1n))).toBe('token_frozen');
  expect(codeOf(() => move(ctx, account(founder), account(ada), 'EXC', 1n))).toBe('');
  expect(codeOf(() => move(ctx, pot('fees'), account(founder), 'EXC', 1n))).toBe('');
});

test('of a token that nobody has yet all may be made, to the last unit, and none beyond what was ever made', () => {
  const ctx = fresh();
  const known = tokenOf(ctx.state, 'EXC');
  ctx.state.set(tokens, 'NEW', { ...known, spec: { ...known.spec, symbol: 'NEW', max: maxAmount } });
  const room = (): bigint => roomOf(ctx.state, tokenOf(ctx.state, 'NEW'));
  expect(supplyOf(ctx.state, 'NEW')).toBe(0n);
  expect(room()).toBe(maxAmount);
  move(ctx, null, account(ada), 'NEW', maxAmount - 10n);
  expect(supplyOf(ctx.state, 'NEW')).toBe(maxAmount - 10n);
  // Burning makes room under the cap, but what was ever made is one amount, too.
  move(ctx, account(ada), null, 'NEW', 100n);
  expect(supplyOf(ctx.state, 'NEW')).toBe(maxAmount - 110n);
  expect(room()).toBe(10n);
  expect(codeOf(() => move(ctx, null, account(ada), 'NEW', 11n))).toBe('max_exceeded');
  expect(codeOf(() => move(ctx, null, account(ada), 'NEW', 10n))).toBe('');
  expect(room()).toBe(0n);
  expect(codeOf(() => move(ctx, account(ada), null, 'NEW', 1n))).toBe('');
});

test('the cap can be reached, not passed; what is burned is nobody’s, and a root key has no allowance', () => {
  const ctx = { ...fresh(), sender: founder, allowance: null };
  const before = balanceOf(ctx.state, account(founder), 'EXC');
  move(ctx, account(founder), null, 'EXC', 100n);
  expect([...ctx.state.touched(balances)]).toEqual([[`${account(founder)}EXC`, before, before - 100n]]);
  expect(codeOf(() => move(ctx, null, account(ada), 'EXC', 101n))).toBe('max_exceeded');
  expect(codeOf(() => move(ctx, null, account(ada), 'EXC', 100n))).toBe('');
});
