import type { Rung } from './types.ts';

/** How a viewer's player behaves, as far as the node has to know; ms. */
export interface PlayheadOptions {
  readonly partMs: number;
  /** Distance from the newest part to the one being played (PART-HOLD-BACK). */
  readonly holdBackMs: number;
}

/** More behind than this and the player runs a little faster. */
const catchUpAfterMs = 300;
const catchUpRate = 0.05;
/** A stall that lasts longer than this ends with a jump to the newest GOP. */
const longestStallMs = 3_000;
const remembered = 256;

/**
 * A player without a picture: it starts with the first part that is independent, plays part after part at their pace, stalls
 * when one is not there, skips those that are given up, jumps ahead after three seconds. Continuity is what is left of the time.
 */
export interface Playhead {
  readonly options: PlayheadOptions;
  /** The next part to be played, -1 before the first. */
  next: number;
  /** Part `next` is due then; moves on with each stall. */
  dueAt: number;
  /** How much later than planned parts are played by now. */
  lateMs: number;
  startedAt: number;
  playedMs: number;
  stalledMs: number;
  skippedMs: number;
  stalls: number;
  /** When a part arrived (or was given up, negative), by `seq % remembered`; NaN: not yet. */
  readonly arrivals: Float64Array;
  newest: number;
  newestStart: number;
}

export function createPlayhead(options: PlayheadOptions): Playhead {
  return {
    options,
    next: -1,
    dueAt: Number.NaN,
    lateMs: 0,
    startedAt: Number.NaN,
    playedMs: 0,
    stalledMs: 0,
    skippedMs: 0,
    stalls: 0,
    arrivals: new Float64Array(remembered).fill(Number.NaN),
    newest: -1,
    newestStart: -1,
  };
}

/**
 * A part is completely here. Changes the playhead in place.
 * @param edge the newest part known to exist: how far behind the player starts
 */
export function partArrived(
  head: Playhead,
  part: { readonly seq: number; readonly independent: boolean; readonly edge: number },
  now: number,
): void {
  const { seq, independent, edge } = part;
  if (head.next < 0) {
    if (!independent) return;
    const behind = (Math.max(edge, seq) - seq + 1) * head.options.partMs;
    head.next = seq;
    head.startedAt = now;
    head.dueAt = now + Math.max(0, head.options.holdBackMs - behind);
  }
  if (seq < head.next || seq >= head.next + remembered) return;
  if (Number.isNaN(head.arrivals[seq % remembered]!) || head.arrivals[seq % remembered]! < 0) {
    head.arrivals[seq % remembered] = now;
  }
  head.newest = Math.max(head.newest, seq);
  if (independent) head.newestStart = Math.max(head.newestStart, seq);
  advance(head, now);
}

/** A part will not come: it is skipped when its turn comes. */
export function partGivenUp(head: Playhead, seq: number, now: number): void {
  if (head.next < 0 || seq < head.next || seq >= head.next + remembered) return;
  if (Number.isNaN(head.arrivals[seq % remembered]!)) head.arrivals[seq % remembered] = -now;
  advance(head, now);
}

function advance(head: Playhead, now: number): void {
  const { partMs } = head.options;
  for (;;) {
    const slot = head.next % remembered;
    const arrived = head.arrivals[slot]!;
    if (Number.isNaN(arrived)) {
      const jump = head.newestStart > head.next && now - head.dueAt >= longestStallMs;
      if (!jump) return;
      stall(head, now);
      while (head.next < head.newestStart) pass(head, 'skipped');
      continue;
    }
    if (Math.abs(arrived) > head.dueAt) stall(head, Math.abs(arrived));
    pass(head, arrived < 0 ? 'skipped' : 'played');
    if (arrived >= 0 && head.lateMs > catchUpAfterMs) {
      head.lateMs -= partMs * catchUpRate;
      head.dueAt -= partMs * catchUpRate;
    }
  }
}

function stall(head: Playhead, until: number): void {
  const ms = until - head.dueAt;
  if (ms <= 0) return;
  head.stalls++;
  head.stalledMs += ms;
  head.lateMs += ms;
  head.dueAt = until;
}

function pass(head: Playhead, how: 'played' | 'skipped'): void {
  const { partMs } = head.options;
  head.arrivals[head.next % remembered] = Number.NaN;
  head.next++;
  if (how === 'played') {
    head.playedMs += partMs;
    head.dueAt += partMs;
    return;
  }
  // A hole shows a still picture for as long as it lasts; a jump takes no time but makes up for being late.
  head.skippedMs += partMs;
  if (head.lateMs >= partMs) head.lateMs -= partMs;
  else head.dueAt += partMs;
}

/** What was seen until now. `stalledMs` counts a stall that still goes on. */
export interface Continuity {
  readonly watchedMs: number;
  readonly stalledMs: number;
  readonly skippedMs: number;
  /** Share of the time in which something was playing, 0 to 1. */
  readonly share: number;
  readonly stallingNow: boolean;
}

export function continuityOf(head: Playhead, now: number): Continuity {
  if (head.next < 0) return { watchedMs: 0, stalledMs: 0, skippedMs: 0, share: 0, stallingNow: true };
  const going = Math.max(0, now - head.dueAt);
  const stalledMs = head.stalledMs + going;
  const watchedMs = Math.max(0, now - head.startedAt);
  const lost = Math.min(watchedMs, stalledMs + head.skippedMs);
  return {
    watchedMs,
    stalledMs,
    skippedMs: head.skippedMs,
    share: watchedMs === 0 ? 1 : 1 - lost / watchedMs,
    stallingNow: going > 0,
  };
}

/** What decides over the rendition a viewer gets. */
export interface RenditionState {
  readonly rendition: number;
  /** Since when all has been well; ms. */
  readonly wellSince: number;
  readonly changedAt: number;
  /** How long all must be well before a better one is tried; doubles when that failed. */
  readonly riseAfterMs: number;
}

/** One look at the delivery, about once a second. */
export interface DeliverySample {
  /** Media between the playhead and the newest part here, ms. */
  readonly bufferMs: number;
  /** Parts of the last seconds that were late, given up or had to be pulled, as a share. */
  readonly troubled: number;
  /** The parent sends a lower rendition than asked for. */
  readonly lowered: boolean;
  /** Bits a second at which parts came in while they came; null if not known. */
  readonly rate: number | null;
}

const riseFirstMs = 10_000;
const riseLongestMs = 160_000;
const settleMs = 3_000;

export const firstRendition = (rendition: number, now: number): RenditionState => ({
  rendition,
  wellSince: now,
  changedAt: now,
  riseAfterMs: riseFirstMs,
});

/**
 * Chooses the rendition by what was really delivered: down at once when parts stay away, up after ten quiet seconds if the link
 * showed half again as much as the better one needs, and more and more carefully when that did not last. The rendition of
 * sound alone is only for need; it is left as soon as possible.
 */
export function chooseRendition(
  before: RenditionState,
  sample: DeliverySample,
  ladder: readonly Rung[],
  now: number,
): RenditionState {
  const { rendition, wellSince, changedAt, riseAfterMs } = before;
  const bad = sample.lowered || sample.troubled > 0.2 || sample.bufferMs < 200;
  if (bad) {
    if (now - changedAt < settleMs || rendition >= ladder.length - 1) return { ...before, wellSince: now };
    const failed = now - changedAt < riseAfterMs;
    return {
      rendition: rendition + 1,
      wellSince: now,
      changedAt: now,
      riseAfterMs: failed ? Math.min(riseLongestMs, riseAfterMs * 2) : riseAfterMs,
    };
  }
  if (sample.troubled > 0.05) return { ...before, wellSince: now };
  const better = ladder[rendition - 1];
  if (!better || now - Math.max(wellSince, changedAt) < riseAfterMs) return before;
  if (sample.rate !== null && sample.rate < 1.5 * better.bitrate) return before;
  return { rendition: rendition - 1, wellSince: now, changedAt: now, riseAfterMs };
}
