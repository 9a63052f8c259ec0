import type { PartNote } from '../types.ts';

/** One line of a playlist's parts: a part that is here, or a hole where it should be. */
export interface ShownPart {
  readonly seq: number;
  readonly segment: number;
  /** ms. */
  readonly duration: number;
  readonly run: number;
  readonly independent: boolean;
  /** null: a hole. */
  readonly header: PartNote | null;
}

export interface ShownSegment {
  readonly segment: number;
  readonly run: number;
  readonly parts: readonly ShownPart[];
  /** No part will be added. */
  readonly complete: boolean;
}

/**
 * What a player may be told of one rendition: parts in order without holes other than those that are said to be ones. What was shown is
 * never changed, only added to and cut off at the old end, as RFC 8216 demands.
 */
export interface Track {
  /** A part is here. One far ahead of what is waited for is a new beginning: the hole before it is told as one. */
  add(header: PartNote): void;
  /** A part will not come. */
  gap(seq: number): void;
  /** Nothing more will come. */
  end(): void;
  /** Forgets whole segments that begin below this `seq`. */
  cut(seq: number): void;
  segments(): readonly ShownSegment[];
  ended(): boolean;
  /** `seq` of the part that is shown next; null before the first. */
  next(): number | null;
  /** Longest part and longest complete segment so far, ms. */
  longestPart(): number;
  longestSegment(): number;
  /** How many holes were shown. */
  gaps(): number;
}

/** Parts; what lies further ahead is a new beginning and no hole that others fill: as the overlay sees it. */
const longestHole = 64;
/** Parts wait at least so long for what comes before them, ms of media: the overlay gives a hole up after 3 s. */
const patienceMs = 5_000;
/** Parts of data that wait: what was sent before this node came is fetched after the newest has come. */
const mostDataAhead = 2048;
/** Segments that a player is told of as holes; after a longer jump the playlist begins anew. */
const mostUnknown = 64;

interface Segment {
  readonly segment: number;
  readonly run: number;
  readonly parts: ShownPart[];
  complete: boolean;
}

/**
 * @param partMs what a hole is taken to last
 * @param from where it begins at the latest; null: with the first part a player can begin with
 */
export function createTrack(partMs: number, from: number | null = null): Track {
  let segments: Segment[] = [];
  /** Parts and holes that wait for what comes before them. */
  const ahead = new Map<number, PartNote | null>();
  const mostAhead = from === null ? Math.max(longestHole, Math.ceil(patienceMs / partMs)) : mostDataAhead;
  let next: number | null = from;
  /** Newest part that came; what it jumps over is judged by it. */
  let newest: number | null = null;
  /** What is waited for will not come: the next part a player can begin with is shown. */
  let rejoining = false;
  let ended = false;
  let longestPart = 0;
  let longestSegment = 0;
  let gaps = 0;

  const lengthOf = (one: Segment): number => one.parts.reduce((sum, part) => sum + part.duration, 0);

  function close(one: Segment | undefined): void {
    if (!one || one.complete) return;
    one.complete = true;
    longestSegment = Math.max(longestSegment, lengthOf(one));
  }

  function show(part: ShownPart): void {
    let open = segments.at(-1);
    // The source says what it likes: nothing here grows with the number it says.
    if (open && (part.segment < open.segment || part.segment - open.segment > mostUnknown)) {
      close(open);
      segments = [];
      open = undefined;
    }
    // Segments that nothing is known of: the numbers in a playlist have no holes.
    while (open && part.segment > open.segment + 1) {
      close(open);
      open = { segment: open.segment + 1, run: open.run, parts: [], complete: true };
      segments.push(open);
    }
    if (!open || open.segment !== part.segment) {
      close(open);
      segments.push((open = { segment: part.segment, run: part.run, parts: [], complete: false }));
    }
    open.parts.push(part);
    longestPart = Math.max(longestPart, part.duration);
  }

  const isEntrance = (header: PartNote): boolean => header.independent || header.seq === header.first;

  /** Goes on with a later part; players are told of one hole. */
  function rejoin(at: PartNote): void {
    const before = segments.at(-1);
    if (next !== null && before && !before.complete && at.seq > next) {
      gaps += 1;
      show({
        seq: next,
        segment: before.segment,
        duration: partMs,
        run: before.run,
        independent: false,
        header: null,
      });
    }
    rejoining = false;
    next = at.seq;
  }

  /** What waits for parts that will not come is not kept for ever: the first of it that a player can begin with is shown. */
  function settle(): void {
    if (ahead.size <= mostAhead) return;
    let first: PartNote | null = null;
    for (const header of ahead.values())
      if (header && isEntrance(header) && (!first || header.seq < first.seq)) first = header;
    if (!first) {
      ahead.clear();
      rejoining = true;
      return;
    }
    for (const seq of [...ahead.keys()]) if (seq < first.seq) ahead.delete(seq);
    rejoin(first);
    advance();
  }

  function advance(): void {
    while (next !== null && ahead.has(next)) {
      const seq: number = next;
      const header = ahead.get(seq) ?? null;
      ahead.delete(seq);
      next = seq + 1;
      if (header) {
        show({
          seq,
          segment: header.segment,
          duration: header.duration / 90,
          run: header.run,
          independent: header.independent,
          header,
        });
        continue;
      }
      gaps += 1;
      const before = segments.at(-1);
      const after = ahead.get(seq + 1);
      const inNext = after && after.first <= seq && (!before || after.segment > before.segment);
      const segment = inNext ? after.segment : (before?.segment ?? 0);
      const run = inNext ? after.run : (before?.run ?? 0);
      if (before || from !== null)
        show({ seq, segment, duration: partMs, run, independent: false, header: null });
    }
  }

  return {
    add(header) {
      if (ended) return;
      // A player begins at the start of a segment, or at least where it can decode.
      if (next === null) {
        if (!isEntrance(header)) return;
        next = header.seq;
      }
      if (header.seq < next || (ahead.has(header.seq) && ahead.get(header.seq) !== null)) return;
      const known: number | null = newest ?? (from === null ? next - 1 : null);
      if (known !== null && header.seq - Math.max(known, next - 1) > longestHole) {
        ahead.clear();
        rejoining = true;
      }
      newest = Math.max(newest ?? header.seq, header.seq);
      if (rejoining) {
        if (!isEntrance(header)) return;
        rejoin(header);
      }
      ahead.set(header.seq, noteOf(header));
      advance();
      settle();
    },
    gap(seq) {
      if (ended || rejoining || next === null || seq < next || ahead.has(seq)) return;
      ahead.set(seq, null);
      advance();
      settle();
    },
    end() {
      ended = true;
      close(segments.at(-1));
    },
    cut(seq) {
      let keep = 0;
      while (keep < segments.length - 1 && (segments[keep]!.parts[0]?.seq ?? -1) < seq) keep += 1;
      if (keep > 0) segments = segments.slice(keep);
    },
    segments: () => segments,
    ended: () => ended,
    next: () => next,
    longestPart: () => longestPart,
    longestSegment: () => longestSegment,
    gaps: () => gaps,
  };
}

/** Lists live as long as what one may go back to: they hold no signatures and hashes. */
const noteOf = ({
  rendition,
  seq,
  first,
  segment,
  run,
  duration,
  captured,
  independent,
}: PartNote): PartNote => ({
  rendition,
  seq,
  first,
  segment,
  run,
  duration,
  captured,
  independent,
});
