import type { FeeDue } from '../types.ts';

/**
 * What the waiting transactions of each payer come to together, in each token: one balance must not stand for many offers, or a
 * crowd of transactions waits and crowds others out that only the first of them could pay for.
 */
export interface Dues {
  add(due: FeeDue): void;
  remove(due: FeeDue): void;
  /** Whether the payer has enough for this one and all that wait. @param instead of one that waits */
  fits(due: FeeDue, instead: FeeDue | null): boolean;
  /** Whether the payer has enough for all that wait, by what was seen of his balance last. */
  covered(due: FeeDue): boolean;
}

const keyOf = ({ payer, asset }: FeeDue): string => `${Buffer.from(payer).toString('latin1')} ${asset}`;

export function createDues(): Dues {
  const sums = new Map<string, bigint>();
  const sumOf = (due: FeeDue): bigint => sums.get(keyOf(due)) ?? 0n;
  function change(due: FeeDue, by: bigint): void {
    const sum = sumOf(due) + by;
    if (sum > 0n) sums.set(keyOf(due), sum);
    else sums.delete(keyOf(due));
  }
  return {
    add: (due) => change(due, due.amount),
    remove: (due) => change(due, -due.amount),
    fits(due, instead) {
      const freed = instead && keyOf(instead) === keyOf(due) ? instead.amount : 0n;
      return sumOf(due) - freed + due.amount <= due.owned;
    },
    covered: (due) => sumOf(due) <= due.owned,
  };
}
