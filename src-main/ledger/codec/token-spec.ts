import type { MiningSchedule } from '../../../src-shared/emission.ts';
import {
  amount,
  flag,
  listOf,
  nullable,
  oneOf,
  positiveAmount,
  record,
  refined,
  text,
  union,
  whole,
} from './shape.ts';
import type { Shape, ValueOf } from './shape.ts';
import { addressShape, symbolShape } from './tx.ts';

/** What the creator of a token decides, once. */

export const day = 86_400_000;
/** A hundred years, ms. */
export const maxSpan = 36_525 * day;
export const allParts = 10_000;
const parts = whole(allParts);

const maxPeriods = whole(1_000_000_000, 1);

const scheduleShape: Shape<MiningSchedule> = union<MiningSchedule>({
  none: record({}),
  fixed: record({ perPeriod: positiveAmount, periods: nullable(maxPeriods) }),
  halving: record({ perPeriod: positiveAmount, halveEvery: maxPeriods }),
  list: record({ stages: listOf(record({ periods: maxPeriods, perPeriod: amount }), 64, 1) }),
});

const miningShape = record({
  schedule: scheduleShape,
  periodMs: whole(maxSpan, 1000),
  /** Who gets it, in ten-thousandths of each emission; together all of it. */
  split: refined(
    record({ stakers: parts, hosts: parts, relays: parts, liquidity: parts, treasury: parts }),
    (split) =>
      Object.values(split).reduce((sum, one) => sum + one, 0) === allParts
        ? null
        : 'its parts are not 10,000 together',
  ),
  /** What happens to the stakers' part while nobody stakes. */
  unclaimed: oneOf('treasury', 'unminted'),
});
export type Mining = ValueOf<typeof miningShape>;

const stakingShape = record({
  /** How long stake that leaves is still bound, ms. */
  unbondingMs: whole(365 * day),
  /** Yearly reward in ten-thousandths of the stake, minted as long as the cap allows; besides any part of the mining. */
  rateBp: whole(100_000),
});

const flagsShape = record({ mint: flag, burn: flag, freeze: flag });

export const tokenSpecShape = record({
  symbol: symbolShape,
  name: text(64, 1),
  decimals: whole(18),
  /** The supply never exceeds it. */
  max: positiveAmount,
  flags: flagsShape,
  mining: miningShape,
  /** Null: can't be staked. */
  staking: nullable(stakingShape),
  /** Where the treasury's part of the mining goes, and fees paid in the token. */
  treasury: addressShape,
});
export type TokenSpec = ValueOf<typeof tokenSpecShape>;
