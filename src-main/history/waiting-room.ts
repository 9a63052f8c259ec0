import { hashKey } from './ids.ts';
import type { Entry, EntryHash } from './types.ts';

export interface WaitingLimits {
  /** Per source. */
  readonly entries: number;
  /** Bytes of entries, per source. */
  readonly bytes: number;
  /** Bytes of entries of all sources together. */
  readonly totalBytes: number;
}

const defaultWaitingLimits: WaitingLimits = {
  entries: 4096,
  bytes: 16 * 1024 * 1024,
  totalBytes: 48 * 1024 * 1024,
};

interface Waiting {
  readonly entry: Entry;
  readonly source: string;
  readonly missing: Set<string>;
}

/**
 * Entries that can't be judged before others come, in memory. Each source has a share; whoever exceeds it loses its own
 * oldest entries, and when all together exceed the total, the source that holds the most does. What is dropped is asked
 * for again at the next comparison of frontiers, so a full room costs time and never entries.
 */
export function createWaitingRoom(limits: WaitingLimits = defaultWaitingLimits) {
  const entries = new Map<string, Waiting>();
  const waitersOf = new Map<string, Set<string>>();
  const shares = new Map<string, { keys: Set<string>; bytes: number }>();
  let totalBytes = 0;

  function remove(key: string): void {
    const waiting = entries.get(key);
    if (waiting === undefined) return;
    entries.delete(key);
    for (const link of waiting.missing) {
      const waiters = waitersOf.get(link);
      waiters?.delete(key);
      if (waiters?.size === 0) waitersOf.delete(link);
    }
    const share = shares.get(waiting.source);
    totalBytes -= waiting.entry.bytes.length;
    if (share === undefined) return;
    share.keys.delete(key);
    share.bytes -= waiting.entry.bytes.length;
    if (share.keys.size === 0) shares.delete(waiting.source);
  }

  function dropOldest(source: string): void {
    const oldest = shares.get(source)?.keys.values().next().value;
    if (oldest !== undefined) remove(oldest);
  }

  function largestShare(): string {
    let largest = '';
    let bytes = -1;
    for (const [source, share] of shares) {
      if (share.bytes <= bytes) continue;
      largest = source;
      bytes = share.bytes;
    }
    return largest;
  }

  return {
    size: (): number => entries.size,
    bytes: (): number => totalBytes,
    has: (hash: EntryHash): boolean => entries.has(hashKey(hash)),
    /** Keeps an entry until every one of `missing` (at least one) has come. */
    add(entry: Entry, missing: readonly EntryHash[], source: string): void {
      const key = hashKey(entry.hash);
      if (entries.has(key)) return;
      const links = new Set(missing.map(hashKey));
      entries.set(key, { entry, source, missing: links });
      for (const link of links) {
        const waiters = waitersOf.get(link) ?? new Set<string>();
        waitersOf.set(link, waiters.add(key));
      }
      const share = shares.get(source) ?? { keys: new Set<string>(), bytes: 0 };
      shares.set(source, share);
      share.keys.add(key);
      share.bytes += entry.bytes.length;
      totalBytes += entry.bytes.length;
      while (share.keys.size > limits.entries || share.bytes > limits.bytes) dropOldest(source);
      while (totalBytes > limits.totalBytes) dropOldest(largestShare());
    },
    /** Takes out the entries that waited for `hash` and for nothing else any more. */
    release(hash: EntryHash): Entry[] {
      const link = hashKey(hash);
      const ready: Entry[] = [];
      for (const key of waitersOf.get(link) ?? []) {
        const waiting = entries.get(key) as Waiting;
        waiting.missing.delete(link);
        if (waiting.missing.size > 0) continue;
        ready.push(waiting.entry);
        remove(key);
      }
      waitersOf.delete(link);
      return ready;
    },
    clear(): void {
      entries.clear();
      waitersOf.clear();
      shares.clear();
      totalBytes = 0;
    },
  };
}
