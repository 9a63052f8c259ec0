import { sameBytes, type Entry, type FeedTip } from '../history/index.ts';

/** What a peer is known to have: where each of its feeds ends. */
export interface KnownFrontier {
  /** True when the peer surely has the entry (after a fork this may err on the side of true; see `have`). */
  covers(entry: Entry): boolean;
  /** The entry is on its way to the peer, or came from it. Parents must have been added before their children. */
  add(entry: Entry): void;
  /** The peer says that it has these, too. */
  merge(tips: readonly FeedTip[]): void;
  /** The peer says that it has exactly these. */
  reset(tips: readonly FeedTip[]): void;
  tips(): readonly FeedTip[];
}

/** After a fork a feed has several tips; more than this many are not followed. */
const tipsPerFeed = 16;

export function createKnownFrontier(initial: readonly FeedTip[]): KnownFrontier {
  const feeds = new Map<string, FeedTip[]>();
  const known: KnownFrontier = {
    covers: (entry) => feeds.get(feedKey(entry.header))?.some((tip) => reaches(tip, entry)) ?? false,
    add(entry) {
      const { writer, incarnation, seq, prev } = entry.header;
      const tip: FeedTip = { writer, incarnation, seq, hash: entry.hash };
      const key = feedKey(tip);
      const tips = feeds.get(key);
      if (!tips) return void feeds.set(key, [tip]);
      const at = prev === null ? -1 : tips.findIndex((old) => sameBytes(old.hash, prev));
      if (at >= 0) tips[at] = tip;
      else insert(tips, tip);
    },
    merge(tips) {
      for (const tip of tips) {
        const old = feeds.get(feedKey(tip));
        if (!old) feeds.set(feedKey(tip), [tip]);
        else insert(old, tip);
      }
    },
    reset(tips) {
      feeds.clear();
      for (const tip of tips) {
        const list = feeds.get(feedKey(tip));
        if (!list) feeds.set(feedKey(tip), [tip]);
        else if (list.length < tipsPerFeed) list.push(tip);
      }
    },
    tips: () => [...feeds.values()].flat(),
  };
  known.reset(initial);
  return known;
}

/** True when both name the same tips, in whatever order. */
export function sameFrontier(a: readonly FeedTip[], b: readonly FeedTip[]): boolean {
  if (a.length !== b.length) return false;
  const keys = new Set(a.map(tipKey));
  return b.every((tip) => keys.has(tipKey(tip)));
}

/**
 * The first tip of `theirs` that claims entries of our own writer which we do not have, or null.
 * @param own our own feed; its writer is what counts, since older incarnations are ours as well
 */
export function unknownOwnTip(
  own: FeedTip,
  ours: readonly FeedTip[],
  theirs: readonly FeedTip[],
): FeedTip | null {
  const mine = ours.filter((tip) => sameBytes(tip.writer, own.writer));
  for (const tip of theirs) {
    if (!sameBytes(tip.writer, own.writer)) continue;
    const reached = mine.some(
      (m) =>
        m.incarnation === tip.incarnation &&
        (m.seq > tip.seq || (m.seq === tip.seq && sameBytes(m.hash, tip.hash))),
    );
    if (!reached) return tip;
  }
  return null;
}

/** A short text that is equal for equal tips only. */
export function tipKey(tip: FeedTip): string {
  return `${feedKey(tip)}/${tip.seq}/${latin1(tip.hash)}`;
}

function insert(tips: FeedTip[], tip: FeedTip): void {
  const last = tips.length === 1 ? tips[0]! : null;
  // One tip is the normal case: a later one replaces it. With several the feed forked, and which one it continues is
  // not known here, so it stands beside them until the peer states its frontier again.
  if (last) {
    if (tip.seq > last.seq) tips[0] = tip;
    else if (tip.seq === last.seq && !sameBytes(tip.hash, last.hash)) tips.push(tip);
    return;
  }
  if (tips.length < tipsPerFeed && !tips.some((old) => sameBytes(old.hash, tip.hash))) tips.push(tip);
}

function reaches(tip: FeedTip, entry: Entry): boolean {
  return tip.seq > entry.header.seq || (tip.seq === entry.header.seq && sameBytes(tip.hash, entry.hash));
}

function feedKey(tip: { readonly writer: Uint8Array; readonly incarnation: number }): string {
  return `${latin1(tip.writer)}/${tip.incarnation}`;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
