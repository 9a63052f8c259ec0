import { emittedUntil } from '../../../src-shared/emission.ts';
import type { MiningSchedule } from '../../../src-shared/emission.ts';

export const earners = ['stakers', 'hosts', 'relays', 'liquidity', 'treasury'] as const;
export type Earner = (typeof earners)[number];

/** What the form of a new token says, as far as its supply over time goes. Amounts in whole tokens. */
export interface TokenPlan {
  readonly supply: number;
  readonly max: number;
  readonly kind: 'none' | 'fixed' | 'halving' | 'list';
  readonly perYear: number;
  readonly halveYears: number;
  /** Of a list: one after another, then nothing. */
  readonly stages: readonly { readonly years: number; readonly perYear: number }[];
}

export const yearMs = 31_557_600_000;

const units = (amount: number): bigint => BigInt(Math.max(0, Math.floor(amount || 0)));
const whole = (years: number): number => Math.max(1, Math.round(years || 1));

function scheduleOf({ kind, perYear, halveYears, stages }: TokenPlan): MiningSchedule {
  if (kind === 'list') {
    return {
      type: 'list',
      stages: stages.map((one) => ({ periods: whole(one.years), perPeriod: units(one.perYear) })),
    };
  }
  const perPeriod = units(perYear);
  if (kind === 'none' || perPeriod === 0n) return { type: 'none' };
  if (kind === 'fixed') return { type: 'fixed', perPeriod, periods: null };
  return { type: 'halving', perPeriod, halveEvery: whole(halveYears) };
}

/**
 * The supply at the end of each year, the beginning first: by the very function the ledger mints by, and never above the cap.
 */
export function supplyByYear(plan: TokenPlan, years: number): number[] {
  const schedule = scheduleOf(plan);
  return Array.from({ length: years + 1 }, (_, year) =>
    Math.min(plan.max, plan.supply + Number(emittedUntil(schedule, yearMs, year * yearMs))),
  );
}

/** What comes new in each year, the first year first. */
export const newByYear = (supply: readonly number[]): number[] =>
  supply.slice(1).map((value, year) => value - (supply[year] ?? 0));

/**
 * What stakers earn in a year, as a share of what they staked.
 * @param year from 1 on
 * @param staked part of the supply at the beginning of the year that is staked
 * @param share part of what is new that stakers get
 */
export function stakersEarn(supply: readonly number[], year: number, staked: number, share: number): number {
  const base = (supply[year - 1] ?? 0) * staked;
  return base > 0 ? ((newByYear(supply)[year - 1] ?? 0) * share) / base : 0;
}
