import type { FeeDue } from '../types.ts';

/**
 * What the waiting transactions take together from each place that fees come from: one balance, fund or allowance must not stand for
 * many offers, or a crowd of transactions waits and crowds others out that only the first of them could pay for.
 */
export interface Dues {
  add(dues: readonly FeeDue[]): void;
  remove(dues: readonly FeeDue[]): void;
  /** Whether there is enough everywhere for this one and all that wait. @param instead of one that waits */
  fits(dues: readonly FeeDue[], instead: readonly FeeDue[]): boolean;
  /** Whether there is enough for all that wait, by what was seen of these places last. */
  covered(dues: readonly FeeDue[]): boolean;
}

export function createDues(): Dues {
  const sums = new Map<string, bigint>();
  const sumOf = (of: string): bigint => sums.get(of) ?? 0n;
  function change(of: string, by: bigint): void {
    const sum = sumOf(of) + by;
    if (sum > 0n) sums.set(of, sum);
    else sums.delete(of);
  }
  return {
    add(dues) {
      for (const { of, amount } of dues) change(of, amount);
    },
    remove(dues) {
      for (const { of, amount } of dues) change(of, -amount);
    },
    fits: (dues, instead) =>
      dues.every(({ of, amount, owned }) => {
        const freed = instead.find((one) => one.of === of)?.amount ?? 0n;
        return sumOf(of) - freed + amount <= owned;
      }),
    covered: (dues) => dues.every(({ of, owned }) => sumOf(of) <= owned),
  };
}
