/** mulberry32: a small generator whose whole state is one number, so that a seed replays a run. */
export interface Seeded {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, n). */
  below(n: number): number;
  chance(p: number): boolean;
  between(low: number, high: number): number;
}

export function createSeeded(seed: number): Seeded {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  return {
    next,
    below: (n) => Math.floor(next() * n),
    chance: (p) => next() < p,
    between: (low, high) => low + next() * (high - low),
  };
}
