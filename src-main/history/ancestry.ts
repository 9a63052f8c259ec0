import { hashKey, sameBytes } from './ids.ts';
import type { EntryIndex, IndexRow } from './entry-index.ts';
import type { EntryHash } from './types.ts';

/**
 * True when `ancestor` is `entry` or in its causal past. Walks down from `entry` and leaves out whatever stands too low in the
 * order to be above `ancestor`; the walk ends at once when it meets the ancestor's own feed above it, for a feed is a chain.
 * False when either is not readable here.
 */
export function isAncestor(index: EntryIndex, entry: EntryHash, ancestor: EntryHash): boolean {
  const target = index.get(ancestor);
  const start = index.get(entry);
  if (target === null || start === null) return false;
  if (sameBytes(entry, ancestor)) return true;
  const fork = index.firstFork(target.feed) ?? Infinity;
  /** On the target's feed at or below the first fork position there is one chain only. */
  const isAbove = (row: IndexRow): boolean =>
    row.feed === target.feed && row.seq > target.seq && target.seq < fork;

  const seen = new Set<string>([hashKey(start.hash)]);
  const open = [start];
  for (let row = open.pop(); row !== undefined; row = open.pop()) {
    if (row.lamport <= target.lamport) continue;
    if (isAbove(row)) return true;
    for (const link of row.prev === null ? row.parents : [row.prev, ...row.parents]) {
      if (sameBytes(link, ancestor)) return true;
      const key = hashKey(link);
      if (seen.has(key)) continue;
      seen.add(key);
      const below = index.get(link);
      if (below !== null) open.push(below);
    }
  }
  return false;
}
