import { createTrack } from './track.ts';
import type { Track } from './track.ts';
import type { PartNote } from '../types.ts';

/** Media that is fetched ahead of what a player asked for last, ms. */
const aheadMs = 30_000;
/** Parts that are asked for at a time. */
const mostOutstanding = 48;
/** A playlist that begins in the past grows by so much of what the live one does, so that it never runs dry. */
const pace = 1.25;
/** A view that nobody asked for while so much was sent is not fed any more, ms. */
const presentMs = 15_000;

export interface BackViewDeps {
  readonly partMs: number;
  /** What is shown to those who watch live: from where it begins on nothing needs to be fetched. */
  readonly live: (rendition: number) => Track;
  /** Is a part of before that here? */
  readonly has: (rendition: number, seq: number) => boolean;
  /** What it is; null when it has just gone, or can't be read by this node. */
  readonly note: (rendition: number, seq: number) => Promise<PartNote | null>;
  /** Asks others for parts; `add` or `gap` follow for each. */
  readonly fetch: (rendition: number, seqs: readonly number[]) => void;
  readonly changed: () => void;
}

/** What players see who went back before what their node has: one playlist for each rendition, from one moment on. */
export interface BackView {
  /** Grows while it is asked for. @returns null until its beginning is known */
  track(rendition: number): Track | null;
  /** A player has got to here. */
  asked(rendition: number, seq: number): void;
  add(note: PartNote): void;
  gap(rendition: number, seq: number): void;
  /** Looks what can be shown now. */
  advance(): void;
  cut(seq: number): void;
  /** The part it was to begin with is nowhere. */
  failed(): boolean;
}

interface Lane {
  readonly rendition: number;
  track: Track | null;
  /** `seq` up to which a player's wish goes. */
  wish: number;
  /** Where the live one was when this began, and when it was asked for last. */
  readonly bornAt: number;
  askedAt: number;
  readonly fetching: Set<number>;
  busy: boolean;
  again: boolean;
}

/** @param from a part of the segment it begins with */
export function createBackView(from: number, deps: BackViewDeps): BackView {
  const lanes = new Map<number, Lane>();
  const inParts = (ms: number): number => Math.ceil(ms / deps.partMs);
  let failed = false;

  const liveAt = (rendition: number): number => deps.live(rendition).next() ?? 0;

  /** Asks for one part, here or elsewhere. */
  async function get(lane: Lane, seq: number): Promise<boolean> {
    if (!deps.has(lane.rendition, seq)) return false;
    const note = await deps.note(lane.rendition, seq);
    if (note) take(lane, note);
    else miss(lane, seq);
    return true;
  }

  function take(lane: Lane, note: PartNote): void {
    lane.fetching.delete(note.seq);
    if (!lane.track) {
      if (note.seq !== from) return;
      lane.track = createTrack(deps.partMs, note.first);
    }
    lane.track.add(note);
  }

  function miss(lane: Lane, seq: number): void {
    lane.fetching.delete(seq);
    // Without its beginning, there is nothing that could be shown.
    if (!lane.track || lane.track.segments().length === 0) failed = true;
    else lane.track.gap(seq);
  }

  async function feed(lane: Lane): Promise<void> {
    const { rendition, fetching } = lane;
    const live = deps.live(rendition);
    const liveFrom = live.segments()[0]?.parts[0]?.seq ?? null;
    const ask = async (seq: number): Promise<boolean> => {
      if (fetching.has(seq)) return false;
      if (await get(lane, seq)) return false;
      fetching.add(seq);
      return true;
    };
    if (!lane.track) {
      if (await ask(from)) deps.fetch(rendition, [from]);
      if (!lane.track) return;
    }
    const track: Track = lane.track;
    const grown = pace * (liveAt(rendition) - lane.bornAt);
    const until = live.ended()
      ? Number.POSITIVE_INFINITY
      : Math.max(lane.wish, from + grown) + inParts(aheadMs);
    const wanted: number[] = [];
    let next = track.next()!;
    for (let seq = next; seq < next + mostOutstanding && seq <= until; seq++) {
      if (liveFrom !== null && seq >= liveFrom) break;
      if (fetching.size >= mostOutstanding) break;
      if (await ask(seq)) wanted.push(seq);
    }
    if (wanted.length > 0) deps.fetch(rendition, wanted);
    next = track.next()!;
    if (liveFrom === null || next < liveFrom) return;
    for (const segment of live.segments()) {
      if ((segment.parts.at(-1)?.seq ?? -1) < next) continue;
      for (const part of segment.parts) {
        if (part.seq < next) continue;
        if (part.header) track.add(part.header);
        else track.gap(part.seq);
      }
    }
    if (live.ended()) track.end();
  }

  function run(lane: Lane): void {
    if (failed) return;
    if (lane.busy) {
      lane.again = true;
      return;
    }
    if (!deps.live(lane.rendition).ended() && liveAt(lane.rendition) - lane.askedAt > inParts(presentMs))
      return;
    lane.busy = true;
    const before = lane.track?.next() ?? null;
    void feed(lane).finally(() => {
      lane.busy = false;
      const after = lane.track?.next() ?? null;
      if (after !== before || failed || lane.track?.ended()) deps.changed();
      if (lane.again || after !== before) {
        lane.again = false;
        run(lane);
      }
    });
  }

  function laneOf(rendition: number): Lane {
    let lane = lanes.get(rendition);
    if (!lane) {
      const at = liveAt(rendition);
      lane = {
        rendition,
        track: null,
        wish: from,
        bornAt: at,
        askedAt: at,
        fetching: new Set(),
        busy: false,
        again: false,
      };
      lanes.set(rendition, lane);
    }
    lane.askedAt = liveAt(rendition);
    run(lane);
    return lane;
  }

  return {
    track: (rendition) => laneOf(rendition).track,
    asked(rendition, seq) {
      const lane = laneOf(rendition);
      lane.wish = Math.max(lane.wish, seq);
    },
    add(note) {
      const lane = lanes.get(note.rendition);
      if (!lane?.fetching.has(note.seq)) return;
      take(lane, note);
      run(lane);
    },
    gap(rendition, seq) {
      const lane = lanes.get(rendition);
      if (!lane?.fetching.has(seq)) return;
      miss(lane, seq);
      run(lane);
      deps.changed();
    },
    advance() {
      for (const lane of lanes.values()) run(lane);
    },
    cut(seq) {
      for (const lane of lanes.values()) lane.track?.cut(seq);
    },
    failed: () => failed,
  };
}
