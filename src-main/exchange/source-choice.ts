import { windowBytes } from './pacing.ts';

/**
 * Which of several sources a block is asked of, and how much a busy source takes on. Pure: the node and the simulation
 * (test/simulation) run the same.
 */

/** What is known of one source at the moment. */
export interface SourceState {
  /** Bytes a second it gave us while it owed us something; null before the first measurement. */
  readonly rate: number | null;
  /** Round trip in ms; null: not measured. */
  readonly rtt: number | null;
  /** Asked there and not answered yet, bytes. */
  readonly outstanding: number;
  /** How long what others asked there keeps it busy, as it says itself. ms */
  readonly waitMs: number;
  /** Since when it owes us an answer and is silent, beyond its round trip. ms */
  readonly silentMs: number;
  /** May be asked for this block now. */
  readonly hasRoom: boolean;
}

/** A source nothing is known of is believed to be as fast as the others, or this fast when there are none. Bytes a second. */
const likelyRate = 4 * 1024 * 1024;
const likelyRttMs = 100;
/** Silence below this is no sign of anything. ms */
const usualSilenceMs = 250;
/** A source counts as good as the best one up to so many times its time. */
const nearlyAsGood = 1.25;

/** What a source that was never measured is believed to give: as much as the others do on average. Bytes a second. */
export function usualRate(rates: readonly (number | null)[]): number {
  const known = rates.filter((rate) => rate !== null);
  return known.length === 0 ? likelyRate : known.reduce((sum, rate) => sum + rate, 0) / known.length;
}

/**
 * When a block asked of the source now would be here: its round trip, what others have asked there before, what we have asked there
 * before, the block itself. A rate that was measured while others were asking counts them twice: it errs to the side of a
 * source that is less busy.
 * @param usual see `usualRate`
 * @returns ms from now
 */
export function arrivalMs(source: SourceState, bytes: number, usual: number): number {
  const silence = Math.max(0, source.silentMs - usualSilenceMs);
  const own = ((source.outstanding + bytes) * 1000) / Math.max(source.rate ?? usual, 1);
  return (source.rtt ?? likelyRttMs) + source.waitMs + own + silence;
}

/**
 * The source from which a block would be here first, among all that may have it.
 * @param ahead bytes that will be wanted after this block. As long as they keep the others busy, one that is slower helps, too: it has
 *   until then
 * @returns its index; -1: wait, as the good ones have all they may be asked for at once
 */
export function chooseSource(
  sources: readonly SourceState[],
  bytes: number,
  ahead: number,
  usual: number,
): number {
  let best = Number.POSITIVE_INFINITY;
  let free = Number.POSITIVE_INFINITY;
  let choice = -1;
  let together = 0;
  for (let i = 0; i < sources.length; i++) {
    const source = sources[i]!;
    const ms = arrivalMs(source, bytes, usual);
    best = Math.min(best, ms);
    together += source.rate ?? usual;
    if (source.hasRoom && ms < free) {
      free = ms;
      choice = i;
    }
  }
  if (choice < 0) return -1;
  const untilAll = (ahead * 1000) / Math.max(together, 1);
  return free <= Math.max(nearlyAsGood * best, untilAll) ? choice : -1;
}

/** Asked of a source that was never measured, while there are others: a slow one would hold up what it has. Bytes. */
const probeBytes = 1024 * 1024;

/** What may be asked of a source at once, bytes; a source that owes nothing may be asked for one block of any size. */
export function askedAtOnce(
  source: Pick<SourceState, 'rate' | 'rtt'> & { readonly isBusy: boolean },
  isOnly: boolean,
): number {
  const window = windowBytes(source);
  if (source.isBusy) return Math.min(window, busyShare);
  return source.rate === null && !isOnly ? Math.min(window, probeBytes) : window;
}

/** Below that nothing is moved. ms */
const soonMs = 1000;

/**
 * Whether a block that was asked of one source is to be asked of another one that has nothing to do.
 * @param thereMs when all that was asked of the first one will be here
 * @param elsewhereMs when it would be here from the other one
 */
export function isWorthMoving(thereMs: number, elsewhereMs: number): boolean {
  return thereMs >= soonMs && thereMs >= 2 * elsewhereMs;
}

/** With this much asked by others a source sends away what goes beyond a small share. ms of its upload */
const busyMs = 2_000;
/**
 * What anybody may have asked of a busy source at once, so that nobody goes away empty-handed. Little: what waits there is asked of nobody
 * else meanwhile. Bytes.
 */
export const busyShare = 256 * 1024;

/**
 * When who fetches an open drive looks for others that have it, ms after it began: of a drive that many want at the same time most of those
 * that have some of it came a moment ago.
 */
export const lookAgainMs: readonly number[] = [0, 4_000, 8_000, 12_000, 20_000, 30_000];

/** A load is told with blocks; one so much greater than what was told last at once: who waits for them may ask elsewhere. ms */
const toldAtOnceMs = 1_000;

/** Whether a source says at once how long the wants of others keep it busy. */
export function tellsAtOnce(waitMs: number, toldMs: number): boolean {
  return waitMs >= toldAtOnceMs && waitMs >= 2 * toldMs;
}

/** Who had a block not may have fetched it since: asked again after this time, while those who have it have no time. ms */
const askAgainMs = 2_000;

/**
 * Whether a source that had a block not may have it by now.
 * @param refusedAt when it said so, ms; undefined: it never did
 * @param isIdle it owes nothing else
 */
export function mayHaveByNow(refusedAt: number | undefined, isIdle: boolean, now: number): boolean {
  return refusedAt !== undefined && isIdle && now - refusedAt >= askAgainMs;
}

/**
 * With so many blocks waiting, of a busy source another one of the next blocks is asked by each node: whoever asks it wants the same blocks
 * in the same order, and only who has another one can pass it on.
 */
const shuffledFrom = 4;

/** How many of the blocks that wait one is picked from for a source, by `turnOf`; 1: the next one. */
export function pickedFrom(isBusy: boolean, waiting: number): number {
  return isBusy && waiting >= shuffledFrom ? 64 : 1;
}

/** A block's place in the order in which one node asks busy sources: FNV-1a, 32 bits. @param salt differs from node to node */
export function turnOf(salt: string, block: string): number {
  const text = salt + block;
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}

/** How long it takes to send what was asked. @param rate bytes a second; null: not measured */
export function queueMs(bytes: number, rate: number | null): number {
  return (bytes * 1000) / Math.max(rate ?? likelyRate, 1);
}

/**
 * Whether a source takes on one more block of somebody: it does as long as others leave it time, and always within `busyShare`.
 * What it does not take on it sends back as `busy`, so that another copy is asked.
 * @param own bytes he has asked for here and not been given
 * @param others bytes all others have
 * @param rate bytes a second that this node uploads; null: not measured
 */
export function takesOn(own: number, others: number, rate: number | null, bytes: number): boolean {
  return own === 0 || own + bytes <= busyShare || queueMs(others, rate) <= busyMs;
}
