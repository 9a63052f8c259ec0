import { computed, reactive } from 'vue';
import type { WalletAct } from '../../../src-shared/contract/index.ts';
import { earners, yearMs } from './token-plan.ts';
import type { Earner, TokenPlan } from './token-plan.ts';

const plain = /^\d+(\.\d+)?$/;
export const isSymbol = (text: string): boolean => /^[A-Z0-9]{2,12}$/.test(text);

/** What the form of a new token holds, as it is typed. */
export interface TokenForm {
  symbol: string;
  name: string;
  decimals: number;
  supply: string;
  max: string;
  kind: TokenPlan['kind'];
  perYear: string;
  halveYears: number;
  stages: { years: number; perYear: string }[];
  split: Record<Earner, number>;
  /** `share`: stakers get their part of what is new; `rate`: a yearly rate besides. */
  staking: 'off' | 'share' | 'rate';
  /** Percent a year. */
  rate: number;
  unbondingDays: number;
  mint: boolean;
  burn: boolean;
  freeze: boolean;
}

export const splitSum = (split: TokenForm['split']): number =>
  earners.reduce((total, one) => total + split[one], 0);

export function useTokenForm() {
  const form = reactive<TokenForm>({
    symbol: '',
    name: '',
    decimals: 6,
    supply: '1000000',
    max: '2000000',
    kind: 'none',
    perYear: '100000',
    halveYears: 2,
    stages: [
      { years: 1, perYear: '200000' },
      { years: 2, perYear: '100000' },
    ],
    split: { stakers: 100, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
    staking: 'share',
    rate: 5,
    unbondingDays: 14,
    mint: false,
    burn: true,
    freeze: false,
  });
  const plan = computed<TokenPlan>(() => ({
    supply: Number(form.supply) || 0,
    max: Number(form.max) || 0,
    kind: form.kind,
    perYear: Number(form.perYear) || 0,
    halveYears: form.halveYears,
    stages: form.stages.map((one) => ({ years: one.years, perYear: Number(one.perYear) || 0 })),
  }));
  const scheduled = computed(() => {
    if (form.kind === 'none') return true;
    if (splitSum(form.split) !== 100) return false;
    return form.kind === 'list'
      ? form.stages.length > 0 && form.stages.every((one) => plain.test(one.perYear) && one.years >= 1)
      : plain.test(form.perYear) && (form.kind === 'fixed' || form.halveYears >= 1);
  });
  /** Which steps say all they have to. */
  const done = computed(() => ({
    naming:
      isSymbol(form.symbol) &&
      form.name.trim() !== '' &&
      Number.isInteger(form.decimals) &&
      form.decimals >= 0 &&
      form.decimals <= 18,
    amount: plain.test(form.supply) && plain.test(form.max) && plan.value.supply <= plan.value.max,
    mining:
      scheduled.value &&
      (form.staking !== 'rate' || (form.rate >= 0 && form.rate <= 1000)) &&
      (form.staking === 'off' || (form.unbondingDays >= 0 && form.unbondingDays <= 365)),
    rights: true,
    review: true,
  }));
  const complete = computed(() => Object.values(done.value).every(Boolean));

  function miningOf() {
    const split = Object.fromEntries(earners.map((one) => [one, form.split[one] * 100])) as Record<
      Earner,
      number
    >;
    const terms = { periodSeconds: yearMs / 1000, split, unclaimed: 'unminted' as const };
    switch (form.kind) {
      case 'none':
        return null;
      case 'fixed':
        return { kind: 'fixed' as const, perPeriod: form.perYear, periods: null, ...terms };
      case 'halving':
        return { kind: 'halving' as const, perPeriod: form.perYear, halveEvery: form.halveYears, ...terms };
      case 'list': {
        const stages = form.stages.map((one) => ({ periods: one.years, perPeriod: one.perYear }));
        return { kind: 'list' as const, stages, ...terms };
      }
    }
  }

  const act = computed<WalletAct>(() => ({
    act: 'createToken',
    input: {
      symbol: form.symbol,
      name: form.name.trim(),
      supply: form.supply,
      max: form.max,
      decimals: form.decimals,
      mint: form.mint,
      burn: form.burn,
      freeze: form.freeze,
      mining: miningOf(),
      staking:
        form.staking === 'off'
          ? null
          : {
              enabled: true,
              rewardRate: form.staking === 'rate' ? Math.round(form.rate * 100) : 0,
              unbondingSeconds: Math.round(form.unbondingDays * 86_400),
            },
    },
  }));
  return { form, plan, done, complete, act };
}
