import { formatAmount } from '../../../src-shared/amount.ts';
import type { Balance, Token, Tx, TxMessage, TxPreview } from '../../../src-shared/contract/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { userIdOfHash } from '../../identity/index.ts';
import {
  decodeTx,
  emissionAt,
  fieldsOfMessage,
  holdingsView,
  tokenOf,
  vaultAsset,
} from '../../ledger/index.ts';
import type { Address, FoundTx, LedgerView, Simulation, TokenView, WireMessage } from '../../ledger/index.ts';
import { hex, iso } from '../shown-values.ts';
import { shownMining } from './token-spec.ts';

export { hex, iso } from '../shown-values.ts';

/* What the ledger holds, in the contract's shapes: user ids for accounts, decimal strings for amounts, hex for hashes. */

export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

export function shownBalances({ state, time }: LedgerView, address: Address): Balance[] {
  return holdingsView(state, address, time).map((one) => {
    const { decimals } = tokenOf(state, one.symbol).spec;
    const text = (value: bigint): string => formatAmount(value, decimals);
    return {
      symbol: one.symbol,
      decimals,
      amount: text(one.amount),
      staked: text(one.staked),
      unbonding: text(one.unbonding),
      rewards: text(one.reward),
    };
  });
}

/** What a transaction would do to an account. @param password it is asked for before it is signed */
export function shownPreview(
  view: LedgerView,
  address: Address,
  { fee, result, after }: Simulation,
  password: boolean,
): TxPreview {
  const before = shownBalances(view, address);
  const then = shownBalances({ ...view, state: after }, address);
  const symbols = new Set([...before, ...then].map((one) => one.symbol));
  const of = (all: typeof before, symbol: string) => all.find((one) => one.symbol === symbol)?.amount ?? '0';
  return {
    fee: formatAmount(fee.amount, tokenOf(view.state, fee.asset).spec.decimals),
    feeAsset: fee.asset,
    changes: [...symbols]
      .map((symbol) => ({ symbol, before: of(before, symbol), after: of(then, symbol) }))
      .filter((one) => one.before !== one.after),
    code: result.code,
    message: result.message,
    password,
  };
}

export function shownToken(view: LedgerView, base: string, token: TokenView): Token {
  const { time } = view;
  const { spec, owner, supply, staked } = token;
  const text = (value: bigint): string => formatAmount(value, spec.decimals);
  return {
    symbol: spec.symbol,
    name: spec.name,
    supply: text(supply),
    max: text(spec.max),
    decimals: spec.decimals,
    creator: userIdOfHash(owner),
    ...spec.flags,
    mining: shownMining(spec),
    staking: {
      enabled: spec.staking !== null,
      rewardRate: spec.staking?.rateBp ?? 0,
      unbondingSeconds: (spec.staking?.unbondingMs ?? 0) / 1000,
    },
    mined: text(emissionAt(token, time)),
    staked: text(staked),
    feeRate: token.feeRate && text(perCoin(token.feeRate, decimalsOf(view, base) ?? 0)),
    feeFund: formatAmount(token.feeFund, decimalsOf(view, base) ?? 0),
  };
}

/** Smallest units of a token for one base coin, rounded up. */
function perCoin({ num, den }: { readonly num: bigint; readonly den: bigint }, decimals: number): bigint {
  return (num * 10n ** BigInt(decimals) + den - 1n) / den;
}

/** A transaction that stands in a block, or waits for one (`place` null). */
export function shownTx(view: LedgerView, base: string, { bytes, place }: FoundTx): Tx {
  const { hash, body } = decodeTx(bytes);
  return {
    hash: hex(hash),
    sender: userIdOfHash(body.sender),
    nonce: body.nonce,
    height: place?.height ?? null,
    time: place ? iso(place.time) : null,
    ok: place?.result.ok ?? null,
    code: place?.result.code ?? '',
    message: place?.result.message ?? '',
    fee: formatAmount(place?.result.fee ?? body.feeMax, decimalsOf(view, body.feeAsset) ?? 0),
    feeAsset: body.feeAsset,
    messages: body.msgs.map((one) => shownMessage(view, base, body.sender, one)),
  };
}

/** What a message moves, and of which token: the names of its fields differ. */
function valueOf(
  view: LedgerView,
  base: string,
  type: string,
  fields: Readonly<Record<string, unknown>>,
  made: string | undefined,
): { readonly symbol: string; readonly amount: bigint | undefined } {
  if (type.startsWith('pool.')) {
    const hops = (fields['hops'] ?? []) as readonly { readonly to: string }[];
    if (type === 'pool.swapOut') return { symbol: hops.at(-1)?.to ?? base, amount: fields['out'] as bigint };
    const symbol = (fields['from'] ?? fields['symbol'] ?? fields['a']) as string;
    return { symbol, amount: (fields['amount'] ?? fields['amountA']) as bigint | undefined };
  }
  if (type.startsWith('vault.')) {
    const asset = vaultAsset(view.state, fields['vault']);
    return {
      symbol: asset ?? base,
      amount:
        asset === null || type === 'vault.rebalance' ? undefined : (fields['amount'] as bigint | undefined),
    };
  }
  const symbol = (fields['symbol'] as string | undefined) ?? made ?? base;
  return { symbol, amount: (fields['amount'] ?? fields['initial'] ?? fields['bond']) as bigint | undefined };
}

export function shownMessage(
  view: LedgerView,
  base: string,
  sender: Address,
  message: WireMessage,
): TxMessage {
  const fields = fieldsOfMessage(message);
  const spec = fields['spec'] as { symbol: string; decimals: number } | undefined;
  const { symbol, amount } = valueOf(view, base, message.type, fields, spec?.symbol);
  const other = fields['to'] ?? fields['address'] ?? fields['validator'];
  let decimals = spec?.decimals;
  // Of a token that was never made, because the transaction failed, nothing is known but its name.
  if (decimals === undefined && amount !== undefined) decimals = decimalsOf(view, symbol);
  return {
    type: message.type,
    from: userIdOfHash(sender),
    to: other instanceof Uint8Array ? userIdOfHash(other) : null,
    amount: amount === undefined || decimals === undefined ? null : formatAmount(amount, decimals),
    symbol: amount === undefined && spec === undefined ? null : symbol,
    memo: typeof fields['memo'] === 'string' ? fields['memo'] : '',
  };
}

/** Undefined for a token that there is not. */
function decimalsOf({ state }: LedgerView, symbol: string): number | undefined {
  try {
    return tokenOf(state, symbol).spec.decimals;
  } catch (error) {
    if (isAppError(error, 'token_unknown')) return undefined;
    throw error;
  }
}
