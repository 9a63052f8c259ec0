import type { Clock } from '../../../src-shared/runtime.ts';

/** Requests one address may make at once and, on the long run, a second. A film of 4 MB/s is some 30. */
const burst = 300;
const perSecond = 60;
const remembered = 4096;

/** A token bucket for each address; those not seen for longest are forgotten first. */
export function createRequestLimit(clock: Clock): { take(address: string): boolean } {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(address) {
      const now = clock.now();
      const known = buckets.get(address);
      const elapsed = known ? Math.max(0, now - known.at) / 1000 : 0;
      const tokens = known ? Math.min(burst, known.tokens + elapsed * perSecond) : burst;
      buckets.delete(address);
      buckets.set(address, { tokens: Math.max(0, tokens - 1), at: now });
      if (buckets.size > remembered) buckets.delete(buckets.keys().next().value!);
      return tokens >= 1;
    },
  };
}
