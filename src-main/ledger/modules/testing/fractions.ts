/* Exact fractions, for slow models of the formulas. */

/** A fraction with a positive denominator. */
export interface Fraction {
  readonly n: bigint;
  readonly d: bigint;
}
const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b));
export const frac = (n: bigint, d = 1n): Fraction => {
  const by = gcd(n, d);
  return by === 0n ? { n: 0n, d: 1n } : { n: n / by, d: d / by };
};
export const plus = (a: Fraction, b: Fraction): Fraction => frac(a.n * b.d + b.n * a.d, a.d * b.d);
export const minus = (a: Fraction, b: Fraction): Fraction => frac(a.n * b.d - b.n * a.d, a.d * b.d);
export const times = (a: Fraction, b: Fraction): Fraction => frac(a.n * b.n, a.d * b.d);
export const over = (a: Fraction, b: Fraction): Fraction => frac(a.n * b.d, a.d * b.n);
export const atMost = (a: Fraction, b: Fraction): boolean => a.n * b.d <= b.n * a.d;
