import { AppError } from '../../../../src-shared/errors.ts';
import { deviceKeyOf, readReceipt, verifySignature } from '../../../identity/index.ts';
import type { Receipt } from '../../../identity/index.ts';
import { inDomain, sameBytes } from '../../codec/index.ts';
import { bytesOf, bytesUpTo, listOf, positiveAmount, record, whole } from '../../codec/shape.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, keyBytes, keyNumber, numberKey } from '../../state/table.ts';
import type { Address, Amount } from '../../types.ts';
import { kind } from '../context.ts';
import type { Module, TxContext } from '../context.ts';
import { nextNumber } from '../counters.ts';
import { symbolShape } from '../../codec/tx.ts';
import { poolOf, stakes, worthOf } from '../staking-pools.ts';
import { periodOf } from '../storage/state.ts';
import { account, balanceOf, move, pot } from '../value.ts';
import { relayEmission } from './emission.ts';
import {
  burntOf,
  bytesPriced,
  counted,
  countedKey,
  fundAt,
  funds,
  fundsByStream,
  fundTerms,
  givenUntil,
  leastStake,
  maxReceipts,
  maxParents,
  maxRows,
  mostOf,
  relayShares,
  rowsOf,
  shareKey,
  streamKey,
  viewerKey,
} from './state.ts';
import type { FundRow } from './state.ts';

const maxSigned = 512;

/** What a relay's device signs, so that receipts made out to it are paid to that account and to no other. */
export const relayClaim = (chainId: string, device: Uint8Array, to: Address): Uint8Array =>
  inDomain('relay device', Buffer.concat([Buffer.from(chainId), Buffer.of(0), device, to]));

/** Base coin an account has at stake, at any validator. */
function atStake(state: StateView, who: Address, base: string): Amount {
  let sum = 0n;
  for (const [key, stake] of state.rows(stakes, `${bytesKey(who)}${base}\0`)) {
    const pool = poolOf(state, base, keyBytes(key.slice(32 + base.length + 1)));
    if (pool) sum += worthOf(stake.shares, pool.tokens, pool.shares);
  }
  return sum;
}

/**
 * Counts one receipt.
 * @returns bytes of it that were not paid for yet and count in this period
 */
function count(
  ctx: TxContext,
  number: number,
  fund: FundRow,
  receipt: Receipt,
): { readonly bytes: number; readonly isNew: boolean } {
  const { state } = ctx;
  const period = periodOf(ctx.time);
  const viewer = deviceKeyOf(receipt.to);
  const key = countedKey(number, viewer, deviceKeyOf(receipt.from));
  const row = state.get(counted, key);
  let used = 0;
  let parents = 0;
  for (const [, one] of state.rows(counted, viewerKey(number, viewer))) {
    parents += 1;
    if (one.period === period) used += one.used;
  }
  if (!row && parents >= maxParents)
    throw new AppError('too_many', `A viewer has ${maxParents} relays at most.`);
  const fresh = receipt.bytes - (row?.bytes ?? 0);
  if (fresh <= 0) return { bytes: 0, isNew: false };
  // What is more than a viewer can have got is never paid: it is no newer receipt's either.
  const bytes = Math.min(fresh, fund.perViewer - used);
  const before = row?.period === period ? row.used : 0;
  state.set(counted, key, { bytes: receipt.bytes, period, used: before + bytes });
  return { bytes, isNew: row === null };
}

interface Redeeming {
  readonly fund: number;
  readonly device: Uint8Array;
  readonly sig: Uint8Array;
  readonly receipts: readonly Uint8Array[];
}

function redeem(ctx: TxContext, { fund: number, device, sig, receipts }: Redeeming): void {
  const { state } = ctx;
  const fund = fundAt(state, number);
  const period = periodOf(ctx.time);
  if (period >= fund.until) throw new AppError('contract_ended', 'The fund pays no more.');
  if (sameBytes(fund.payer, ctx.sender))
    throw new AppError('not_allowed', 'Nobody is paid from his own fund.');
  if (!verifySignature(device, relayClaim(ctx.chainId, device, ctx.sender), sig)) {
    throw new AppError('bad_signature', 'The device did not sign for this account.');
  }
  const staked = atStake(state, ctx.sender, ctx.base);
  if (staked < fund.minStake) {
    throw new AppError('stake_short', 'Too little is at stake to be paid from this fund.', {
      details: { staked: staked.toString(), wanted: fund.minStake.toString() },
    });
  }
  let bytes = 0n;
  let viewers = 0;
  for (const signed of receipts) {
    const receipt = readReceipt(signed);
    const isIts =
      receipt.streamId === Buffer.from(fund.stream).toString('hex') &&
      sameBytes(deviceKeyOf(receipt.from), device) &&
      receipt.to !== receipt.from;
    if (!isIts) throw new AppError('proof_invalid', 'A receipt is for another stream or device.');
    const found = count(ctx, number, fund, receipt);
    bytes += BigInt(found.bytes);
    if (found.isNew) viewers += 1;
  }
  const key = shareKey(number, ctx.sender);
  const row = state.get(relayShares, key);
  const rows = fund.rows + viewers + (row ? 0 : 1);
  const brought = (row?.viewers ?? 0) + viewers;
  if (brought > rowsOf(fund))
    throw new AppError('too_many', 'The account has shown receipts of too many viewers to this fund.');
  if (rows > maxRows) throw new AppError('too_many', 'The fund has too many viewers.');
  const got = row?.period === period ? row.paid : 0n;
  const due = (bytes * fund.price) / bytesPriced;
  const left = givenUntil(fund, period) - (fund.amount - fund.left);
  const least = (a: Amount, b: Amount): Amount => (a < b ? a : b);
  const pay = least(due, least(left, mostOf(fund) - got));
  const burnt = burntOf(pay);
  if (pay === burnt) throw new AppError('amount_too_small', 'Nothing of these receipts can be paid now.');
  move(ctx, pot('relays'), null, ctx.base, burnt);
  move(ctx, pot('relays'), account(ctx.sender), ctx.base, pay - burnt);
  if (staked >= leastStake(ctx.params)) relayEmission.note(ctx, ctx.sender, period, burnt);
  state.set(relayShares, key, {
    period,
    paid: got + pay,
    total: (row?.total ?? 0n) + pay - burnt,
    viewers: brought,
  });
  state.set(funds, numberKey(number), { ...fund, left: fund.left - pay, rows });
}

export const relayModule = {
  name: 'relay',
  messages: {
    /** Puts coins aside for those who pass on a stream. */
    'relay.fund': kind({
      shape: record({ ...fundTerms, amount: positiveAmount }),
      weight: 2000,
      delegable: true,
      run(ctx, terms) {
        const from = periodOf(ctx.time);
        move(ctx, account(ctx.sender), pot('relays'), ctx.base, terms.amount);
        const row = {
          ...terms,
          payer: ctx.sender,
          left: terms.amount,
          from,
          until: from + terms.periods,
          rows: 0,
        };
        const number = nextNumber(ctx.state, 'relayFunds');
        ctx.state.set(funds, numberKey(number), row);
        ctx.state.set(fundsByStream, streamKey(terms.stream, number), true);
      },
    }),
    /** Shows receipts that viewers gave to a device of the sender's. */
    'relay.redeem': kind({
      shape: record({
        fund: whole(),
        device: bytesOf(32),
        /** Of the device, over `relayClaim`. */
        sig: bytesOf(64),
        receipts: listOf(bytesUpTo(maxSigned), maxReceipts),
      }),
      weight: ({ receipts }) => 2000 + 1500 * receipts.length,
      delegable: true,
      run: redeem,
    }),
    /** Pays a relay its part of a token's emission for relays. */
    'relay.collect': kind({
      shape: record({ symbol: symbolShape }),
      weight: 3000,
      delegable: true,
      run: (ctx, { symbol }) => relayEmission.collect(ctx, symbol),
    }),
    /** After its end: what is left goes back. By anybody. */
    'relay.close': kind({
      shape: record({
        fund: whole(),
        /** Rows the fund has, at least: all are taken away. */
        rows: whole(maxRows),
      }),
      weight: ({ rows }) => 1000 + 50 * rows,
      delegable: true,
      run(ctx, { fund: number, rows }) {
        const { state } = ctx;
        const fund = fundAt(state, number);
        if (periodOf(ctx.time) < fund.until) throw new AppError('contract_running', 'The fund still pays.');
        if (rows < fund.rows) {
          throw new AppError('invalid_argument', `The fund has ${fund.rows} rows, more than were stated.`);
        }
        for (const [key] of [...state.rows(counted, numberKey(number))]) state.set(counted, key, null);
        for (const [key] of [...state.rows(relayShares, numberKey(number))])
          state.set(relayShares, key, null);
        move(ctx, pot('relays'), account(fund.payer), ctx.base, fund.left);
        state.set(funds, numberKey(number), null);
        state.set(fundsByStream, streamKey(fund.stream, number), null);
      },
    }),
  },
  invariants: {
    ...relayEmission.invariants,
    'funds are found by their streams'(state) {
      let count = 0;
      for (const [key, { stream }] of state.rows(funds)) {
        const number = keyNumber(key, 0);
        if (!state.get(fundsByStream, streamKey(stream, number))) return `fund ${number} is not`;
        count += 1;
      }
      for (const _ of state.rows(fundsByStream)) count -= 1;
      return count === 0 ? null : 'there are more entries than funds';
    },
    'the pot of relays holds what funds have left'(state, { base }) {
      let sum = 0n;
      for (const [key, fund] of state.rows(funds)) {
        sum += fund.left;
        let rows = 0;
        for (const _ of state.rows(counted, key)) rows += 1;
        for (const _ of state.rows(relayShares, key)) rows += 1;
        if (rows !== fund.rows) return `fund ${keyNumber(key, 0)} says ${fund.rows} rows and has ${rows}`;
        if (fund.left > fund.amount) return `fund ${keyNumber(key, 0)} has more left than was put in`;
      }
      const held = balanceOf(state, pot('relays'), base);
      return held === sum ? null : `held ${held}, left ${sum}`;
    },
  },
} satisfies Module;
