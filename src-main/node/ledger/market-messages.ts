import { parseAmount } from '../../../src-shared/amount.ts';
import type { MarketAct, VaultTerms } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { hashOfUserId } from '../../identity/index.ts';
import {
  baseSymbol,
  bestQuote,
  findPool,
  fundView,
  matching,
  message,
  partOf,
  planMove,
  sharesOfDeposit,
  tokenOf,
  vaultsView,
} from '../../ledger/index.ts';
import type { Address, LedgerView, PoolView, QuoteView, VaultView, WireMessage } from '../../ledger/index.ts';
import { fromHex } from './shown.ts';

/* What people want of markets, as messages of the ledger: amounts in units, limits from what is seen now. Does nothing but look. */

const allParts = 10_000n;
/** Shares of a vault that nobody owns, and what they were worth at its beginning. */
const virtualShares = 1000n;
const lessBy = (value: bigint, slippageBp: number): bigint =>
  (value * (allParts - BigInt(slippageBp))) / allParts;
const moreBy = (value: bigint, slippageBp: number): bigint =>
  (value * (allParts + BigInt(slippageBp)) + allParts - 1n) / allParts;

export const decimalsOf = ({ state }: LedgerView, symbol: string): number =>
  tokenOf(state, symbol).spec.decimals;
const amountOf = (view: LedgerView, symbol: string, text: string): bigint =>
  parseAmount(text, decimalsOf(view, symbol));

/** @throws AppError `invalid_argument`, `token_unknown`, `pool_unknown`, and as the pools refuse */
export function quoteOf(
  view: LedgerView,
  trade: {
    readonly from: string;
    readonly to: string;
    readonly amount: string;
    readonly exact: 'in' | 'out';
  },
): QuoteView {
  const { from, to, exact } = trade;
  if (from === to) throw new AppError('invalid_argument', 'A token is not traded for itself.');
  for (const symbol of [from, to]) tokenOf(view.state, symbol);
  return bestQuote(view, from, to, amountOf(view, exact === 'in' ? from : to, trade.amount), exact);
}

/** @throws AppError `pool_unknown` */
function poolOf(
  view: LedgerView,
  own: Address,
  { a, b, fee }: { readonly a: string; readonly b: string; readonly fee: number },
): PoolView {
  const found = findPool(view, { a, b, feeBp: fee }, own);
  if (found) return found;
  throw new AppError('pool_unknown', `There is no pool of ${a} and ${b} with a fee of ${fee} bp.`);
}

/** @throws AppError `vault_unknown` */
function vaultOf(view: LedgerView, own: Address, number: number): VaultView {
  const found = vaultsView(view, own).find((one) => one.number === number);
  if (found) return found;
  throw new AppError('vault_unknown', `There is no vault ${number}.`);
}

function vaultTerms(view: LedgerView, terms: VaultTerms): WireMessage {
  const { name, asset, strategies, follow, maxMoveBp, maxLossBp, tipBp } = terms;
  return message('vault.create', {
    ...{ name, asset },
    strategies: strategies.map(({ fee, ...one }) => ({ ...one, feeBp: fee })),
    bounds: {
      ...{ follow, maxMoveBp, maxLossBp, tipBp },
      minMove: amountOf(view, asset, terms.minMove),
      cooldownMs: terms.cooldownSeconds * 1000,
      periodMs: terms.periodSeconds * 1000,
      tipCap: amountOf(view, asset, terms.tipCap),
    },
  });
}

/**
 * The message of an act of markets.
 * @param own the account that acts
 * @param now ms since the epoch; deadlines count from it, or from the newest block if that is later
 */
export function marketMessage(
  view: LedgerView,
  own: Address,
  now: number,
  { act, input }: MarketAct,
): WireMessage {
  const until = (seconds: number): number => Math.max(view.time, now) + seconds * 1000;
  const base = baseSymbol(view.state);
  switch (act) {
    case 'swap': {
      const { from, to, exact, limit, slippage } = input;
      const { hops, ...found } = quoteOf(view, input);
      const deadline = until(input.deadline);
      if (exact === 'in') {
        const minOut = limit === null ? lessBy(found.out, slippage) : amountOf(view, to, limit);
        return message('pool.swapIn', { from, hops, deadline, amount: found.in, minOut });
      }
      const maxIn = limit === null ? moreBy(found.in, slippage) : amountOf(view, from, limit);
      return message('pool.swapOut', { from, hops, deadline, out: found.out, maxIn });
    }
    case 'poolCreate': {
      const { a, b, fee } = input;
      if (a === b) throw new AppError('invalid_argument', 'A pool has two different tokens.');
      const [amountA, amountB] = [amountOf(view, a, input.amountA), amountOf(view, b, input.amountB)];
      return message('pool.create', { a, b, feeBp: fee, amountA, amountB });
    }
    case 'poolDeposit': {
      const { a, b, fee, slippage } = input;
      const { row, ...id } = poolOf(view, own, input);
      const [maxA, maxB] = [amountOf(view, a, input.amountA), amountOf(view, b, input.amountB)];
      const [first, second] = id.a === a ? [maxA, maxB] : [maxB, maxA];
      const forFirst = matching(first, row.reserveA, row.reserveB);
      const [inA, inB] =
        forFirst <= second ? [first, forFirst] : [matching(second, row.reserveB, row.reserveA), second];
      const minShares = lessBy(sharesOfDeposit(inA, inB, row), slippage);
      return message('pool.deposit', {
        ...{ a, b, feeBp: fee, maxA, maxB, minShares },
        deadline: until(input.deadline),
      });
    }
    case 'poolWithdraw': {
      const { a, b, fee, slippage } = input;
      const { row, position, ...id } = poolOf(view, own, input);
      const shares = input.shares === null ? (position?.shares ?? 0n) : BigInt(input.shares);
      if (shares === 0n) throw new AppError('shares_exceeded', 'You have no part in this pool.');
      const out = (reserve: bigint): bigint => lessBy(partOf(shares, reserve, row.shares), slippage);
      const [minA, minB] =
        id.a === a ? [out(row.reserveA), out(row.reserveB)] : [out(row.reserveB), out(row.reserveA)];
      return message('pool.withdraw', {
        ...{ a, b, feeBp: fee, shares, minA, minB },
        deadline: until(input.deadline),
      });
    }
    case 'poolClaim':
      return message('pool.claim', { a: input.a, b: input.b, feeBp: input.fee });
    case 'poolFavour': {
      const { symbol, a, b, fee } = input;
      return message('pool.favour', { symbol, a, b, feeBp: fee });
    }
    case 'vaultCreate':
      return vaultTerms(view, input.terms);
    case 'vaultDeposit': {
      const { vault, slippage } = input;
      const found = vaultOf(view, own, vault);
      const amount = amountOf(view, found.asset, input.amount);
      // The ledger counts at the higher of two prices, so what comes of it is at most this.
      const fair = (amount * (found.shares + virtualShares)) / (found.worth + 1n);
      const minShares = lessBy(fair, slippage);
      return message('vault.deposit', { vault, amount, minShares, deadline: until(input.deadline) });
    }
    case 'vaultWithdraw': {
      const { vault, slippage } = input;
      const found = vaultOf(view, own, vault);
      const shares = input.shares === null ? (found.position?.shares ?? 0n) : BigInt(input.shares);
      if (shares === 0n) throw new AppError('shares_exceeded', 'You have no part in this vault.');
      const worth = (found.worth * shares) / (found.shares + virtualShares);
      const minAmount = lessBy(worth, slippage);
      return message('vault.withdraw', { vault, shares, minAmount, deadline: until(input.deadline) });
    }
    case 'vaultMove': {
      const { vault, move } = input;
      const { asset } = vaultOf(view, own, vault);
      const amount =
        move && (move.from === 0 ? amountOf(view, asset, move.amount) : parseAmount(move.amount, 0));
      const step = move ? { from: move.from, to: move.to, amount: amount as bigint } : planMove(view, vault);
      if (!step) throw new AppError('not_nearer', 'The vault has nothing to do that its bounds allow now.');
      return message('vault.rebalance', { vault, ...step });
    }
    case 'vaultTargets':
      return message('vault.setTargets', { vault: input.vault, targets: input.targets });
    case 'nameRenew':
      return message('name.renew', { name: input.name, days: input.days });
    case 'nameTransfer':
      return message('name.transfer', { name: input.name, to: hashOfUserId(input.to) });
    case 'namePoint': {
      const { name, kind, target } = input;
      return message('name.point', { name, kind, target: kind === 'person' ? '' : target });
    }
    case 'directoryPublish': {
      const { kind, id, title, text, link, days } = input;
      return message('directory.publish', { kind, id, title, text, link, days });
    }
    case 'directoryRemove':
      return message('directory.remove', { kind: input.kind, id: input.id });
    case 'storageFuel':
      return message('storage.buyFuel', { amount: amountOf(view, base, input.amount) });
    case 'storageOpen': {
      const { root, bytes, copies, periods } = input;
      const [price, collateral] = [amountOf(view, base, input.price), amountOf(view, base, input.collateral)];
      const host = input.host === undefined ? null : hashOfUserId(input.host);
      return message('storage.open', {
        root: fromHex(root),
        bytes,
        copies,
        periods,
        price,
        collateral,
        host,
      });
    }
    case 'storageClose':
      return message('storage.close', { contract: input.contract });
    case 'storageCollect':
      return message('storage.collect', { symbol: input.symbol });
    case 'relayCollect':
      return message('relay.collect', { symbol: input.symbol });
    case 'storageVote':
      return message('storage.vote', { price: amountOf(view, base, input.price) });
    case 'relayFund': {
      const { stream, perViewer, shareBp, hours } = input;
      return message('relay.fund', {
        ...{ stream: fromHex(stream), perViewer, perRelayBp: shareBp, periods: hours },
        amount: amountOf(view, base, input.amount),
        price: amountOf(view, base, input.price),
        minStake: amountOf(view, base, input.minStake),
      });
    }
    case 'relayClose': {
      const found = fundView(view.state, input.fund, null);
      return message('relay.close', { fund: input.fund, rows: found?.rows ?? 0 });
    }
    case 'storageReport':
      return message('storage.report', { host: hashOfUserId(input.user) });
  }
}
