import { formatAmount, parseAmount } from '../../../src-shared/amount.ts';
import type { Mining, TokenStaking } from '../../../src-shared/contract/index.ts';
import type { TokenSpec } from '../../ledger/index.ts';

/** What a person says of a new token, amounts in whole tokens. */
export interface TokenTerms {
  readonly symbol: string;
  readonly name: string;
  readonly decimals: number;
  readonly max: string;
  readonly mint: boolean;
  readonly burn: boolean;
  readonly freeze: boolean;
  readonly mining: Mining | null;
  readonly staking: TokenStaking | null;
  /** Where the treasury's part and fees paid in the token go. */
  readonly treasury: Uint8Array;
}

const noMining: TokenSpec['mining'] = {
  schedule: { type: 'none' },
  periodMs: 86_400_000,
  split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
  unclaimed: 'unminted',
};

/** The same in the ledger's words. @throws AppError `invalid_argument` for amounts the token can't hold */
export function tokenSpecOf(terms: TokenTerms): TokenSpec {
  const { symbol, name, decimals, mint, burn, freeze, treasury } = terms;
  return {
    ...{ symbol, name, decimals, treasury },
    max: parseAmount(terms.max, decimals),
    flags: { mint, burn, freeze },
    mining: terms.mining === null ? noMining : miningOf(terms.mining, decimals),
    staking:
      terms.staking === null || !terms.staking.enabled
        ? null
        : { unbondingMs: terms.staking.unbondingSeconds * 1000, rateBp: terms.staking.rewardRate },
  };
}

function miningOf(mining: Mining, decimals: number): TokenSpec['mining'] {
  if (mining.kind === 'none') return noMining;
  const { periodSeconds, split, unclaimed } = mining;
  const amount = (text: string): bigint => parseAmount(text, decimals);
  const schedule = ((): TokenSpec['mining']['schedule'] => {
    switch (mining.kind) {
      case 'fixed':
        return { type: 'fixed', perPeriod: amount(mining.perPeriod), periods: mining.periods };
      case 'halving':
        return { type: 'halving', perPeriod: amount(mining.perPeriod), halveEvery: mining.halveEvery };
      case 'list':
        return {
          type: 'list',
          stages: mining.stages.map((one) => ({ periods: one.periods, perPeriod: amount(one.perPeriod) })),
        };
    }
  })();
  return { schedule, periodMs: periodSeconds * 1000, split, unclaimed };
}

/** A token's mining in the contract's words. */
export function shownMining({ mining, decimals }: TokenSpec): Mining {
  const { schedule, periodMs, split, unclaimed } = mining;
  const terms = { periodSeconds: periodMs / 1000, split, unclaimed };
  const amount = (value: bigint): string => formatAmount(value, decimals);
  switch (schedule.type) {
    case 'none':
      return { kind: 'none' };
    case 'fixed':
      return { kind: 'fixed', perPeriod: amount(schedule.perPeriod), periods: schedule.periods, ...terms };
    case 'halving':
      return {
        kind: 'halving',
        perPeriod: amount(schedule.perPeriod),
        halveEvery: schedule.halveEvery,
        ...terms,
      };
    case 'list':
      return {
        kind: 'list',
        stages: schedule.stages.map((one) => ({ periods: one.periods, perPeriod: amount(one.perPeriod) })),
        ...terms,
      };
  }
}
