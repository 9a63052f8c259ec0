import { AppError } from '../../../src-shared/errors.ts';
import type { Params } from '../codec/index.ts';
import { maxAmount } from '../codec/limits.ts';
import { unsigned } from '../codec/shape.ts';
import type { StateView } from '../state/overlay.ts';
import { numbers } from '../state/table.ts';
import type { Amount, TokenSymbol } from '../types.ts';
import type { BlockContext } from '../modules/context.ts';
import { feePoolOf } from '../modules/pool/fee-pool.ts';
import { amountsFor, tradeOut } from '../modules/pool/trade.ts';
import type { Hop } from '../modules/pool/trade.ts';
import { account, balanceOf, move, pot, tokenOf } from '../modules/value.ts';
import type { Address } from '../types.ts';

/*
 * A fee is weight times price. The price follows demand as in EIP-1559: a block of half the greatest weight leaves it, a full
 * one raises it by an eighth, an empty one lowers it by an eighth, never below the chain's least price. All of the fee goes to
 * the proposer's validator and its stakers. What was offered beyond the price is not taken.
 */

/** Weight is priced in base units for so much of it. */
export const priceScale = 65_536n;

const prices = numbers('u', 'fee price', unsigned(16));

/** Smallest units of the base coin for `priceScale` of weight. */
export const feePriceOf = (state: StateView, params: Params): Amount =>
  state.get(prices, '') ?? BigInt(params.minFeePrice);

/** The fee in base coin, rounded up. */
export const feeFor = (weight: number, price: Amount): Amount =>
  (BigInt(weight) * price + priceScale - 1n) / priceScale;

/** The price after a block of that weight. Changes are rounded down, and at least one unit upwards so that it can rise at all. */
export function nextPrice(price: Amount, weight: number, params: Params): Amount {
  const target = BigInt(params.maxBlockWeight >> 1);
  const least = BigInt(params.minFeePrice);
  const difference = BigInt(weight) - target;
  if (difference === 0n) return price;
  const change = (price * (difference > 0n ? difference : -difference)) / target / 8n;
  if (difference > 0n) return price + (change > 0n ? change : 1n);
  return price - change > least ? price - change : least;
}

export function adjustPrice(ctx: BlockContext, weight: number): void {
  const price = feePriceOf(ctx.state, ctx.params);
  const risen = nextPrice(price, weight, ctx.params);
  const next = risen < maxAmount ? risen : maxAmount;
  if (next === price) return;
  ctx.state.set(prices, '', next === BigInt(ctx.params.minFeePrice) ? null : next);
}

/** What a transaction pays: in which token, how much of it, and how much of the base coin the validators get. */
export interface Fee {
  readonly asset: TokenSymbol;
  readonly amount: Amount;
  readonly base: Amount;
  /** The step from the token to base coin when it is paid through a pool; null: by the owner's rate and fund, or in base coin. */
  readonly through: Hop | null;
}

/**
 * In another token: by the rate its owner set, while the fund that stands behind it has enough; else through the token's pool.
 * @throws AppError `token_unknown`, `fee_asset_unusable`, `fee_fund_empty`, `reserve_exceeded`, `too_large`
 */
export function feeOf(ctx: BlockContext, asset: TokenSymbol, weight: number): Fee {
  const base = feeFor(weight, feePriceOf(ctx.state, ctx.params));
  if (asset === ctx.base) return { asset, amount: base, base, through: null };
  const { feeRate } = tokenOf(ctx.state, asset);
  const funded = balanceOf(ctx.state, pot(`feeFund/${asset}`), ctx.base) >= base;
  const feeBp = feePoolOf(ctx.state, asset);
  if (feeRate && (funded || feeBp === null)) {
    if (!funded) throw fundEmpty(ctx, asset);
    return { asset, amount: (base * feeRate.num + feeRate.den - 1n) / feeRate.den, base, through: null };
  }
  if (feeBp === null) throw new AppError('fee_asset_unusable', `Fees can't be paid in ${asset}.`);
  const through = { to: ctx.base, feeBp };
  const [amount] = amountsFor(ctx, asset, [through], base).amounts;
  return { asset, amount: amount as Amount, base, through };
}

const fundEmpty = (ctx: BlockContext, asset: TokenSymbol): AppError =>
  new AppError('fee_fund_empty', `The fee fund of ${asset} is empty; pay in ${ctx.base}.`);

/**
 * Takes a fee. In another token it is traded for base coin in the token's pool; or it goes to that token's treasury, and the
 * token's fee fund pays the validators. It happens before anything else of the transaction, so a trade that fails there keeps the
 * transaction out of the block instead of leaving the block's space unpaid.
 * @throws AppError `underfunded`, `token_frozen`, `cap_exceeded`, `fee_fund_empty`, and as `tradeOut`
 */
export function takeFee(ctx: BlockContext, payer: Address, fee: Fee): void {
  if (fee.asset === ctx.base) {
    move(ctx, account(payer), pot('fees'), ctx.base, fee.base);
    return;
  }
  if (fee.through) {
    const trade = { from: fee.asset, hops: [fee.through], out: fee.base, maxIn: fee.amount };
    tradeOut(ctx, account(payer), pot('fees'), trade);
    return;
  }
  const fund = pot(`feeFund/${fee.asset}`);
  if (balanceOf(ctx.state, fund, ctx.base) < fee.base) throw fundEmpty(ctx, fee.asset);
  move(ctx, account(payer), account(tokenOf(ctx.state, fee.asset).spec.treasury), fee.asset, fee.amount);
  move(ctx, fund, pot('fees'), ctx.base, fee.base);
}
