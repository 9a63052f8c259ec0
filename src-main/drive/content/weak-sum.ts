/**
 * The weak rolling sum: a Rabin-Karp polynomial over the bytes mod 2^32 (seed 1), the kind librsync uses since 2.2; better
 * spread than rsync's Adler-like sum (Tridgell 1999, "Efficient Algorithms for Sorting and Synchronization", ch. 3) at the same cost.
 * It only proposes matches; SHA-256 decides.
 */
const m1 = 0x08104225;
const m2 = Math.imul(m1, m1);
const m3 = Math.imul(m2, m1);
const m4 = Math.imul(m3, m1);
const m5 = Math.imul(m4, m1);
const m6 = Math.imul(m5, m1);
const m7 = Math.imul(m6, m1);
const m8 = Math.imul(m7, m1);

/** Unsigned 32-bit sum of `bytes[from, to)`. */
export function weakSum(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let sum = 1;
  let i = from;
  // Eight bytes a step: the products do not wait for one another, only the sum does.
  for (const end = to - 7; i < end; i += 8) {
    sum =
      (Math.imul(sum, m8) +
        Math.imul(bytes[i]!, m7) +
        Math.imul(bytes[i + 1]!, m6) +
        Math.imul(bytes[i + 2]!, m5) +
        Math.imul(bytes[i + 3]!, m4) +
        Math.imul(bytes[i + 4]!, m3) +
        Math.imul(bytes[i + 5]!, m2) +
        Math.imul(bytes[i + 6]!, m1) +
        bytes[i + 7]!) |
      0;
  }
  for (; i < to; i++) sum = (Math.imul(sum, m1) + bytes[i]!) | 0;
  return sum >>> 0;
}

/** `m1 ** n` mod 2^32. */
function power(n: number): number {
  let result = 1;
  for (let base = m1, left = n; left > 0; left = Math.floor(left / 2), base = Math.imul(base, base)) {
    if (left % 2 === 1) result = Math.imul(result, base);
  }
  return result;
}

/** Which sums are wanted: a bitmap that answers most positions with one load, before a Set is asked. */
export interface WeakFilter {
  readonly length: number;
  add(sum: number): void;
  /**
   * Rolls a window of `length` bytes over `bytes`, from the window at `from` whose sum is `sum`, up to the window at
   * `to`, and stops at the first whose sum is wanted, `from` included.
   * @returns the window's position (`to` when none before it) and its sum
   */
  roll(
    bytes: Uint8Array,
    from: number,
    to: number,
    sum: number,
  ): { readonly at: number; readonly sum: number };
  /** The sum of the window one byte further: `leaving` falls out, `entering` comes in. */
  step(sum: number, leaving: number, entering: number): number;
}

/** A filter for windows of `length` bytes. */
export function createWeakFilter(length: number): WeakFilter {
  const bits = new Uint8Array(1 << 17);
  const wanted = new Set<number>();
  // Taking a byte out also takes out what the seed has become at that distance.
  const out = power(length);
  const seedFix = (out - Math.imul(out, m1)) | 0;
  return {
    length,
    add(sum) {
      wanted.add(sum);
      bits[sum >>> 15]! |= 1 << ((sum >>> 12) & 7);
    },
    roll(bytes, from, to, start) {
      let sum = start | 0;
      let at = from;
      while (at < to) {
        if (((bits[sum >>> 15]! >>> ((sum >>> 12) & 7)) & 1) !== 0 && wanted.has(sum >>> 0)) break;
        sum = (Math.imul(sum, m1) + bytes[at + length]! - Math.imul(bytes[at]!, out) + seedFix) | 0;
        at++;
      }
      return { at, sum: sum >>> 0 };
    },
    step: (sum, leaving, entering) =>
      (Math.imul(sum, m1) + entering - Math.imul(leaving, out) + seedFix) >>> 0,
  };
}
