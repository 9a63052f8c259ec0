import { AppError } from '../../../../src-shared/errors.ts';
import type { Params } from '../../codec/index.ts';
import { amount, bytesOf, flag, positiveAmount, record, whole } from '../../codec/shape.ts';
import type { ValueOf } from '../../codec/shape.ts';
import { addressShape } from '../../codec/tx.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey, numberKey, table } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import type { Address, Amount } from '../../types.ts';
import { maxPeriods } from '../storage/state.ts';

/*
 * Pay for those who pass on a stream. Whoever wants it spread puts coins into a fund; who relays shows receipts that viewers' devices
 * signed. Nobody can tell a viewer from a made-up one, so what making viewers up brings is bounded on every side: by what the fund gives
 * a period, by what a viewer can have got of the stream in it, by what one account gets of it, and by what that account has at stake.
 */

export const fundTerms = {
  /** Of the stream. */
  stream: bytesOf(32),
  /** Base units for a GiB that a viewer got. */
  price: positiveAmount,
  /** Bytes of one viewer that count in a period: what the stream sends in an hour at its best quality. */
  perViewer: whole(2 ** 50, 1),
  /** The part of a period's share that one account gets, in ten-thousandths. */
  perRelayBp: whole(10_000, 1),
  /** Base coin that an account must have at stake to be paid. */
  minStake: amount,
  periods: whole(maxPeriods, 1),
};
const fundShape = record({
  ...fundTerms,
  payer: addressShape,
  /** What was put in, and what of it is left. */
  amount: positiveAmount,
  left: amount,
  /** The first period, and the first that is not paid any more. */
  from: whole(),
  until: whole(),
  /** Rows of viewers and accounts below it. */
  rows: whole(),
});
export type FundRow = ValueOf<typeof fundShape>;
/** By number. */
export const funds = table('8', 'relay funds', fundShape);

/** Their numbers by stream: whoever relays one looks at no others. */
export const fundsByStream = table('(', 'relay funds by stream', flag);
export const streamKey = (stream: Uint8Array, fund: number): Key => bytesKey(stream) + numberKey(fund);

/** What was paid for of what a viewer's device got from a relay's device; by fund, viewer and relay. */
export const counted = table(
  '9',
  'receipts paid',
  record({
    /** As the newest receipt says. */
    bytes: whole(),
    /** Counted in the period. */
    period: whole(),
    used: whole(),
  }),
);
/** What a fund paid for an account in a period, what the account got of it in all, and the viewers it brought; by fund and account. */
export const relayShares = table(
  '!',
  'relays paid',
  record({ period: whole(), paid: amount, total: amount, viewers: whole() }),
);

/**
 * Of what a fund pays, the part that burns, in ten-thousandths. It is what a relay's part of emissions is measured by: who pays himself
 * for viewers he made up loses it, and gets no more than others for theirs.
 */
const burntBp = 1000n;
/** Rounded up, against who is paid. */
export const burntOf = (pay: Amount): Amount => (pay * burntBp + 9999n) / 10_000n;
/** Base coin an account must have at stake for its work to count for emissions: a tenth of what a validator needs. Rounded up. */
export const leastStake = ({ minSelfBond }: Pick<Params, 'minSelfBond'>): Amount => (minSelfBond + 9n) / 10n;

/** Rows that a fund may have: all are read when it closes. */
export const maxRows = 4096;
/** Rows that one account may add, lest it shuts the others out: as large a part of all as it may get of the coins. */
export const rowsOf = ({ perRelayBp }: Pick<FundRow, 'perRelayBp'>): number =>
  Math.max(maxReceipts, Math.floor((maxRows * perRelayBp) / 10_000));
/** Relays that one viewer may have receipts for. */
export const maxParents = 16;
/** Receipts shown in one message. */
export const maxReceipts = 32;
export const bytesPriced = 2n ** 30n;

export const viewerKey = (fund: number, viewer: Uint8Array): Key => numberKey(fund) + bytesKey(viewer);
export const countedKey = (fund: number, viewer: Uint8Array, relay: Uint8Array): Key =>
  viewerKey(fund, viewer) + bytesKey(relay);
export const shareKey = (fund: number, relay: Address): Key => numberKey(fund) + bytesKey(relay);

/** @throws AppError `contract_unknown` */
export function fundAt(state: StateView, number: number): FundRow {
  const found = state.get(funds, numberKey(number));
  if (found) return found;
  throw new AppError('contract_unknown', `There is no relay fund ${number}.`);
}

/**
 * What a fund may have given out by the end of a period: each gives an equal part, and what earlier ones kept stays for the later
 * ones. Rounded down.
 */
export function givenUntil(fund: FundRow, period: number): Amount {
  const passed = Math.min(fund.periods, period - fund.from + 1);
  return (fund.amount * BigInt(Math.max(0, passed))) / BigInt(fund.periods);
}

/** What one account may get in a period, rounded down. */
export const mostOf = (fund: FundRow): Amount =>
  (fund.amount * BigInt(fund.perRelayBp)) / (BigInt(fund.periods) * 10_000n);
