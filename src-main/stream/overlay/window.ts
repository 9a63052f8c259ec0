import type { Have } from './types.ts';

/** Parts remembered of one rendition: 205 s at 200 ms, more than the ring in memory holds. */
const size = 1024;
const arriving = 1;
const here = 2;
const givenUp = 4;
const independent = 8;

/** Which parts of one rendition are here, on their way or given up. Bounded: it moves with the newest part. */
export interface PartWindow {
  /** Highest part that began to come, -1 before the first. */
  edge: number;
  /** Highest part that is completely here, -1 before the first. */
  newest: number;
  readonly marks: Uint8Array;
}

export const createWindow = (): PartWindow => ({ edge: -1, newest: -1, marks: new Uint8Array(size) });

const inside = (w: PartWindow, seq: number): boolean => seq >= 0 && seq <= w.edge && seq > w.edge - size;
const marksOf = (w: PartWindow, seq: number): number => (inside(w, seq) ? w.marks[seq % size]! : 0);

export const isHere = (w: PartWindow, seq: number): boolean => (marksOf(w, seq) & here) !== 0;
export const isKnown = (w: PartWindow, seq: number): boolean => (marksOf(w, seq) & (here | arriving)) !== 0;
export const isGivenUp = (w: PartWindow, seq: number): boolean => (marksOf(w, seq) & givenUp) !== 0;
/** Too old to be remembered. */
export const isPast = (w: PartWindow, seq: number): boolean => seq <= w.edge - size;

/** Moves the window so that `seq` is in it. */
function reach(w: PartWindow, seq: number): void {
  if (seq <= w.edge) return;
  if (seq - w.edge >= size) w.marks.fill(0);
  else for (let at = w.edge + 1; at <= seq; at++) w.marks[at % size] = 0;
  w.edge = seq;
}

/** A part begins to come, or is here. */
export function mark(w: PartWindow, seq: number, complete: boolean, starts: boolean): void {
  reach(w, seq);
  if (isPast(w, seq)) return;
  w.marks[seq % size] = (complete ? here : arriving) | (starts ? independent : 0);
  if (complete && seq > w.newest) w.newest = seq;
}

/** A part that had begun will not be completed. */
export function unmark(w: PartWindow, seq: number): void {
  if (inside(w, seq)) w.marks[seq % size] = marksOf(w, seq) & ~arriving;
}

export function giveUp(w: PartWindow, seq: number): void {
  if (inside(w, seq) && !isHere(w, seq)) w.marks[seq % size] = givenUp;
}

/** Where the newest GOP begins, up to a part, of which the first one is here or on its way; -1 for none. */
export function gopStart(w: PartWindow, upTo = w.edge): number {
  for (let seq = upTo; inside(w, seq); seq--) {
    const marks = marksOf(w, seq);
    if (marks & independent && marks & (here | arriving)) return seq;
  }
  return -1;
}

/** The last `count` parts as a bitmap (a multiple of 8). */
export function haveOf(w: PartWindow, rendition: number, count: number): Have {
  const from = Math.max(0, w.edge - count + 1);
  const bits = new Uint8Array(count / 8);
  for (let i = 0; i < count; i++) if (isHere(w, from + i)) bits[i >> 3] = bits[i >> 3]! | (1 << (i & 7));
  return { rendition, from, bits };
}

/** The newest part a bitmap shows, -1 for none. */
export function newestIn(have: Have): number {
  for (let i = have.bits.length * 8 - 1; i >= 0; i--) {
    if (have.bits[i >> 3]! & (1 << (i & 7))) return have.from + i;
  }
  return -1;
}

/** Does the bitmap show this part? Parts outside are unknown, so no. */
export function shows(have: Have, seq: number): boolean {
  const i = seq - have.from;
  return i >= 0 && i < have.bits.length * 8 && (have.bits[i >> 3]! & (1 << (i & 7))) !== 0;
}
