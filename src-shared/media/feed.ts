/** One part on its way to the node. Times in ticks of 1/90000 s from the start of the feed. */
export interface FeedPart {
  readonly seq: number;
  readonly segment: number;
  readonly pts: number;
  readonly duration: number;
  readonly independent: boolean;
  readonly bytes: Uint8Array;
}

/** How a feed goes on: an init segment before the first part, and again where other codecs begin. */
export type FeedItem =
  { readonly t: 'init'; readonly bytes: Uint8Array } | { readonly t: 'part'; readonly part: FeedPart };

/** What is published: one rendition, and its parts as they come out of a file, a pipe or a folder. */
export interface Feed {
  readonly rendition: {
    readonly id: string;
    readonly kind: 'av' | 'audio' | 'data';
    readonly codecs: string;
    readonly width?: number;
    readonly height?: number;
    readonly bandwidth: number;
  };
  /** Sent at the pace of its clock; data as fast as it is taken. */
  readonly paced: boolean;
  /** Made now and for now: what can't be sent is left out. */
  readonly live?: boolean;
  readonly items: AsyncIterable<FeedItem>;
}

export const ticksPerSecond = 90_000;
/** What a part should last, ticks. */
export const partTicks = 18_000;
/** A segment ends at the first key frame after so long; without one a little later, as players that know no parts wait for it. */
const segmentTicks = 81_000;
const longestSegment = 2 * ticksPerSecond;

/** Begins a new segment where one is due: at a key frame, or where there was none for too long. */
export function placeSegment(
  position: { readonly seq: number; segment: number; segmentStart: number },
  pts: number,
  independent: boolean,
): void {
  const length = pts - position.segmentStart;
  if (position.seq > 0 && ((independent && length >= segmentTicks) || length >= longestSegment)) {
    position.segment += 1;
    position.segmentStart = pts;
  }
}
