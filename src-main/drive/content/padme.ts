/**
 * Padmé: the padded size of a message of `length` bytes. Leaks O(log log n) bits of the length and costs at most about
 * 12 % (less as messages grow). Nikitin, Barman, Lueks, Underwood, Hubaux, Ford 2019, "Reducing Metadata Leakage from
 * Encrypted Files and Communication with PURBs", section 4.
 * @param length bytes, a whole number from 0 to 2^46
 * @returns bytes, `>= length`; a padded size is its own padded size
 */
export function padme(length: number): number {
  if (length < 2) return length;
  const exponent = floorLog2(length);
  const mantissaBits = floorLog2(exponent) + 1;
  // The last `exponent - mantissaBits` bits are rounded up to zero. Arithmetic, not bit operations: sizes pass 2^32.
  const step = 2 ** Math.max(0, exponent - mantissaBits);
  return Math.ceil(length / step) * step;
}

/** Exact for whole numbers from 1, unlike `Math.floor(Math.log2(n))` near powers of two; 0 for 0. */
function floorLog2(n: number): number {
  const high = Math.floor(n / 0x1_0000_0000);
  if (high > 0) return 63 - Math.clz32(high);
  return n === 0 ? 0 : 31 - Math.clz32(n >>> 0);
}
