import { isIPv6 } from 'node:net';
import type { Clock } from '../../../src-shared/runtime.ts';

/** Requests one visitor may make at once and, on the long run, a second. A film of 4 MB/s is some 30. */
const burst = 300;
const perSecond = 60;
const remembered = 4096;

/**
 * Who is counted as one visitor: an IPv4 address, or the first 64 bits of an IPv6 one, as whoever has one of those has all that begin with
 * them.
 */
export function visitorOf(address: string): string {
  const plain = address.replace(/%.*$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
  if (mapped !== undefined || !isIPv6(plain)) return mapped ?? plain;
  const [before = '', after] = plain.split('::');
  const groups = before === '' ? [] : before.split(':');
  const rest = after ? after.split(':') : [];
  // A last group written as an IPv4 address stands for two.
  const width = groups.length + rest.length + (plain.includes('.') ? 1 : 0);
  if (after !== undefined) groups.push(...Array<string>(Math.max(0, 8 - width)).fill('0'), ...rest);
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/** A token bucket for each visitor; those not seen for longest are forgotten first. */
export function createRequestLimit(clock: Clock): { take(address: string): boolean } {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(address) {
      const visitor = visitorOf(address);
      const now = clock.now();
      const known = buckets.get(visitor);
      const elapsed = known ? Math.max(0, now - known.at) / 1000 : 0;
      const tokens = known ? Math.min(burst, known.tokens + elapsed * perSecond) : burst;
      buckets.delete(visitor);
      buckets.set(visitor, { tokens: Math.max(0, tokens - 1), at: now });
      if (buckets.size > remembered) buckets.delete(buckets.keys().next().value!);
      return tokens >= 1;
    },
  };
}
