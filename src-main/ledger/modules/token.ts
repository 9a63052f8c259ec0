import { AppError } from '../../../src-shared/errors.ts';
import { amount, flag, nullable, oneOf, positiveAmount, record } from '../codec/shape.ts';
import { tokenSpecShape } from '../codec/token-spec.ts';
import type { TokenSpec } from '../codec/token-spec.ts';
import { addressShape, symbolShape } from '../codec/tx.ts';
import { sameBytes } from '../codec/index.ts';
import type { Address, TokenSymbol } from '../types.ts';
import { nextNumber } from './counters.ts';
import { kind } from './context.ts';
import type { BlockContext, Module, TxContext } from './context.ts';
import { settleTokenPool } from './staking-pools.ts';
import { account, balanceOf, frozen, frozenKey, move, pot, tokenOf, tokens } from './value.ts';
import type { Token } from './value.ts';

/** Making tokens, and the powers their owners kept. */

const symbol = symbolShape;

function owned(ctx: TxContext, name: TokenSymbol): Token {
  const token = tokenOf(ctx.state, name);
  if (sameBytes(token.owner, ctx.sender)) return token;
  throw new AppError('not_owner', `Only the owner of ${name} can do that.`);
}

function withPower(token: Token, power: 'mint' | 'burn' | 'freeze'): Token {
  if (token.spec.flags[power]) return token;
  throw new AppError('flag_renounced', `${token.spec.symbol} has no power to ${power}, or it was renounced.`);
}

function add(ctx: BlockContext, spec: TokenSpec, owner: Address): void {
  if (ctx.state.get(tokens, spec.symbol)) {
    throw new AppError('symbol_taken', `There is a token ${spec.symbol} already.`);
  }
  ctx.state.set(tokens, spec.symbol, {
    spec,
    owner,
    number: nextNumber(ctx.state, 'tokens'),
    createdAt: ctx.time,
    feeRate: null,
  });
}

export const tokenModule = {
  name: 'token',
  messages: {
    'token.create': kind({
      shape: record({ spec: tokenSpecShape, initial: amount }),
      weight: 100_000,
      delegable: true,
      run(ctx, { spec, initial }) {
        add(ctx, spec, ctx.sender);
        move(ctx, null, account(ctx.sender), spec.symbol, initial);
      },
    }),
    'token.mint': kind({
      shape: record({ symbol, to: addressShape, amount: positiveAmount }),
      weight: 300,
      // What is minted leaves no account, so that no spending cap would hold it.
      delegable: false,
      run(ctx, message) {
        withPower(owned(ctx, message.symbol), 'mint');
        // What the schedule let out until now has precedence under the cap.
        settleTokenPool(ctx, message.symbol);
        move(ctx, null, account(message.to), message.symbol, message.amount);
      },
    }),
    'token.burn': kind({
      shape: record({ symbol, amount: positiveAmount }),
      weight: 200,
      delegable: true,
      run(ctx, message) {
        withPower(tokenOf(ctx.state, message.symbol), 'burn');
        settleTokenPool(ctx, message.symbol);
        move(ctx, account(ctx.sender), null, message.symbol, message.amount);
      },
    }),
    'token.freeze': kind({
      shape: record({ symbol, address: addressShape, frozen: flag }),
      weight: 300,
      delegable: true,
      run(ctx, message) {
        withPower(owned(ctx, message.symbol), 'freeze');
        ctx.state.set(frozen, frozenKey(message.symbol, message.address), message.frozen ? true : null);
      },
    }),
    'token.renounce': kind({
      shape: record({ symbol, power: oneOf('mint', 'burn', 'freeze') }),
      weight: 200,
      delegable: false,
      run(ctx, message) {
        const token = withPower(owned(ctx, message.symbol), message.power);
        const flags = { ...token.spec.flags, [message.power]: false };
        ctx.state.set(tokens, message.symbol, { ...token, spec: { ...token.spec, flags } });
      },
    }),
    'token.handOver': kind({
      shape: record({ symbol, to: addressShape }),
      weight: 200,
      delegable: false,
      run(ctx, message) {
        ctx.state.set(tokens, message.symbol, { ...owned(ctx, message.symbol), owner: message.to });
      },
    }),
    'token.setFeeRate': kind({
      shape: record({ symbol, rate: nullable(record({ num: positiveAmount, den: positiveAmount })) }),
      weight: 200,
      delegable: true,
      run(ctx, message) {
        if (message.symbol === ctx.base) {
          throw new AppError('invalid_argument', 'Fees in the base coin have no rate.');
        }
        ctx.state.set(tokens, message.symbol, { ...owned(ctx, message.symbol), feeRate: message.rate });
      },
    }),
    'token.fundFees': kind({
      shape: record({ symbol, amount: positiveAmount }),
      weight: 300,
      delegable: true,
      run(ctx, message) {
        tokenOf(ctx.state, message.symbol);
        move(ctx, account(ctx.sender), pot(`feeFund/${message.symbol}`), ctx.base, message.amount);
      },
    }),
    'token.withdrawFees': kind({
      shape: record({ symbol, amount: positiveAmount }),
      weight: 300,
      delegable: true,
      run(ctx, message) {
        owned(ctx, message.symbol);
        if (balanceOf(ctx.state, pot(`feeFund/${message.symbol}`), ctx.base) < message.amount)
          throw new AppError('underfunded', `The fee fund of ${message.symbol} holds less than that.`);
        move(ctx, pot(`feeFund/${message.symbol}`), account(ctx.sender), ctx.base, message.amount);
      },
    }),
  },
  genesis(ctx, genesis) {
    for (const { spec, owner } of genesis.tokens) add(ctx, spec, owner);
  },
  invariants: {},
} satisfies Module;
