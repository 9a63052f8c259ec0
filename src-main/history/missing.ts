import { hashKey } from './ids.ts';
import type { EntryIndex, Feed, IndexRow } from './entry-index.ts';
import type { FeedTip } from './types.ts';

/** Rows fetched at a time per feed. */
const pageSize = 64;

/** Walks the missing entries of one feed by (lamport, hash). */
interface FeedCursor {
  peek(): IndexRow | null;
  advance(): void;
}

/**
 * The entries a peer lacks, in the total order, found feed by feed from its tips: it holds the `prev` chain of every tip.
 * - A tip we know: what is not on its chain is missing.
 * - A tip we don't know beyond the end of our copy of the feed: the peer is ahead and holds ours. Should it be on another
 *   branch instead, it sees that from our tips and sends us its branch; with that, its tips are known next time. Where the
 *   feed is already known to be forked, what lies from the fork on is sent to be sure.
 * - A tip we don't know at a position we have: a fork nobody knew of. All of our copy is missing to it.
 * Sending too much is harmless (`known` at the other side), too little is not.
 */
export function* missingRows(index: EntryIndex, frontier: readonly FeedTip[]): Generator<IndexRow> {
  const tips = new Map<number, FeedTip[]>();
  for (const tip of frontier) {
    const feed = index.feedOf(tip.writer, tip.incarnation);
    if (feed !== null) tips.set(feed.id, [...(tips.get(feed.id) ?? []), tip]);
  }
  const cursors: FeedCursor[] = [];
  for (const feed of index.feeds()) {
    const cursor = feedCursor(index, feed, tips.get(feed.id) ?? []);
    if (cursor.peek() !== null) cursors.push(cursor);
  }
  while (cursors.length > 0) {
    let first = 0;
    for (let i = 1; i < cursors.length; i++) if (precedes(cursors[i], cursors[first])) first = i;
    const cursor = cursors[first] as FeedCursor;
    yield cursor.peek() as IndexRow;
    cursor.advance();
    if (cursor.peek() === null) cursors.splice(first, 1);
  }
}

function precedes(a: FeedCursor | undefined, b: FeedCursor | undefined): boolean {
  const left = a?.peek() as IndexRow;
  const right = b?.peek() as IndexRow;
  return (left.lamport - right.lamport || Buffer.compare(left.hash, right.hash)) < 0;
}

function feedCursor(index: EntryIndex, feed: Feed, tips: readonly FeedTip[]): FeedCursor {
  const fork = index.firstFork(feed.id);
  const lastSeq = index.lastSeq(feed.id);
  /** The peer holds every entry of the feed below this position. */
  let heldBelow = 0;
  const known: IndexRow[] = [];
  for (const tip of tips) {
    const row = index.get(tip.hash);
    if (row !== null && row.feed === feed.id) {
      known.push(row);
      heldBelow = Math.max(heldBelow, Math.min(row.seq + 1, fork ?? Infinity));
    } else if (row === null && tip.seq > lastSeq) {
      heldBelow = Math.max(heldBelow, Math.min(lastSeq + 1, fork ?? Infinity));
    }
  }
  if (fork === null) return plainCursor(index, feed.id, heldBelow);
  return forkedCursor(index, feed.id, heldBelow, chainsFrom(index, known, heldBelow));
}

/** Without forks a feed's order by seq is its order by lamport: each entry is above the one before. */
function plainCursor(index: EntryIndex, feed: number, from: number): FeedCursor {
  let page = index.inFeed(feed, from, Number.MAX_SAFE_INTEGER, pageSize);
  let at = 0;
  return {
    peek: () => page[at] ?? null,
    advance() {
      at += 1;
      if (at < page.length || page.length < pageSize) return;
      const next = (page.at(-1) as IndexRow).seq + 1;
      page = index.inFeed(feed, next, Number.MAX_SAFE_INTEGER, pageSize);
      at = 0;
    },
  };
}

/** Branches interleave: the positions from the fork on are sorted as a whole. Forks are rare and mean a broken writer. */
function forkedCursor(index: EntryIndex, feed: number, from: number, held: ReadonlySet<string>): FeedCursor {
  const rows = index
    .inFeed(feed, from, Number.MAX_SAFE_INTEGER)
    .filter((row) => !held.has(hashKey(row.hash)))
    .sort((a, b) => a.lamport - b.lamport || Buffer.compare(a.hash, b.hash));
  let at = 0;
  return {
    peek: () => rows[at] ?? null,
    advance() {
      at += 1;
    },
  };
}

/** Hashes on the prev chains of the tips, down to position `from`; a chain that meets an unreadable entry ends there. */
function chainsFrom(index: EntryIndex, tips: readonly IndexRow[], from: number): ReadonlySet<string> {
  const held = new Set<string>();
  for (const tip of tips) {
    let row: IndexRow | null = tip;
    while (row !== null && row.seq >= from && !held.has(hashKey(row.hash))) {
      held.add(hashKey(row.hash));
      row = row.prev === null ? null : index.get(row.prev);
    }
  }
  return held;
}
