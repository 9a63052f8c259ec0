import { AppError } from '../../../src-shared/errors.ts';
import type { Rendition, TargetLatency } from '../types.ts';
import type { ShownSegment, Track } from './track.ts';

/** Seconds behind the newest part at which a player should play. */
const partHoldBack: Readonly<Record<TargetLatency, number>> = { default: 1.4, interactive: 0.6 };

/** What a media playlist says besides its segments. */
export interface PlaylistFacts {
  readonly partMs: number;
  readonly targetLatency: TargetLatency;
  /** Other renditions: for reports of how far they are. */
  readonly others: readonly { readonly id: string; readonly track: Track }[];
  /** Set for a playlist that begins with this part in the past: it is played by whole segments, from its beginning on. */
  readonly from: number | null;
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

/** Whole seconds that no segment, rounded, exceeds. */
const targetDuration = (track: Track): number => Math.max(1, Math.round(track.longestSegment() / 1000));

const partTarget = (track: Track, partMs: number): number => Math.max(partMs, Math.ceil(track.longestPart()));

/**
 * The renditions of a stream for players: RFC 8216, section 4.4.6.
 * @param query what is added to the addresses of their playlists; '' for nothing
 */
export function multivariantPlaylist(renditions: readonly Rendition[], query: string): string {
  const lines = ['#EXTM3U', '#EXT-X-VERSION:9'];
  for (const one of renditions) {
    if (one.kind === 'data') continue;
    const attributes = [
      `BANDWIDTH=${one.bandwidth}`,
      ...(one.codecs === '' ? [] : [`CODECS="${one.codecs}"`]),
      ...(one.width && one.height ? [`RESOLUTION=${one.width}x${one.height}`] : []),
      ...(one.frameRate ? [`FRAME-RATE=${one.frameRate.toFixed(3)}`] : []),
      `NAME="${one.id}"`,
    ];
    lines.push(`#EXT-X-STREAM-INF:${attributes.join(',')}`, `${one.id}/index.m3u8${query && `?${query}`}`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * The media playlist of one rendition, low latency: RFC 8216bis (draft-pantos-hls-rfc8216bis).
 * @param skip leave out what a player of the last six target durations knows
 */
export function mediaPlaylist(track: Track, facts: PlaylistFacts, skip: boolean): string {
  const segments = track.segments();
  const target = targetDuration(track);
  const part = partTarget(track, facts.partMs);
  const holdBack = Math.max(partHoldBack[facts.targetLatency], (2 * part) / 1000);
  const isBack = facts.from !== null;
  const suffix = isBack ? `?from=${facts.from}` : '';
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:9',
    `#EXT-X-TARGETDURATION:${target}`,
    ...(isBack ? ['#EXT-X-START:TIME-OFFSET=0'] : [`#EXT-X-PART-INF:PART-TARGET=${seconds(part)}`]),
    '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES' +
      (isBack ? '' : `,PART-HOLD-BACK=${holdBack.toFixed(3)}`) +
      `,HOLD-BACK=${(3 * target).toFixed(1)},CAN-SKIP-UNTIL=${(6 * target).toFixed(1)}`,
    `#EXT-X-MEDIA-SEQUENCE:${segments[0]?.segment ?? 0}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${segments[0]?.run ?? 0}`,
  ];
  const skipped = skip ? skippable(segments, 6 * target * 1000) : 0;
  if (skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`);
  // Parts are told of the last three target durations only; older ones are played by whole segments.
  const withParts = segments.length - recent(segments, 3 * target * 1000);
  let run: number | null = null;
  segments.forEach((segment, n) => {
    if (run !== segment.run) {
      if (n >= skipped) {
        if (run !== null) lines.push('#EXT-X-DISCONTINUITY');
        lines.push(`#EXT-X-MAP:URI="init-${segment.run}.mp4"`);
      }
      run = segment.run;
    }
    if (n < skipped) return;
    const timed = segment.parts.find((one) => one.header !== null)?.header;
    if (timed) lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(startOf(segment)).toISOString()}`);
    if (n >= withParts && !isBack) {
      for (const one of segment.parts) {
        lines.push(
          `#EXT-X-PART:DURATION=${seconds(one.duration)},URI="${one.seq}.m4s"` +
            (one.independent ? ',INDEPENDENT=YES' : '') +
            (one.header === null ? ',GAP=YES' : ''),
        );
      }
    }
    if (!segment.complete) return;
    if (segment.parts.every((one) => one.header === null)) lines.push('#EXT-X-GAP');
    lines.push(`#EXTINF:${seconds(lengthOf(segment))},`, `s${segment.segment}.m4s${suffix}`);
  });
  if (track.ended()) lines.push('#EXT-X-ENDLIST');
  else {
    const next = track.next();
    if (next !== null && !isBack) lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${next}.m4s"`);
    for (const { id, track: other } of facts.others) {
      const last = other.segments().at(-1);
      if (!last) continue;
      const lastPart = Math.max(last.parts.length - 1, 0);
      lines.push(
        `#EXT-X-RENDITION-REPORT:URI="../${id}/index.m3u8",LAST-MSN=${last.segment},LAST-PART=${lastPart}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

/** When a segment was captured: by its first part that is here, less what lies before it. */
function startOf(segment: ShownSegment): number {
  let before = 0;
  for (const part of segment.parts) {
    if (part.header) return part.header.captured - before;
    before += part.duration;
  }
  return 0;
}

/** A segment of which nothing is known is taken to last a second. */
const lengthOf = (segment: ShownSegment): number =>
  segment.parts.reduce((sum, one) => sum + one.duration, 0) || 1000;

/** Segments at the end that together last no longer than this. */
function recent(segments: readonly ShownSegment[], ms: number): number {
  let sum = 0;
  let n = 0;
  while (n < segments.length && sum < ms) {
    const length = lengthOf(segments[segments.length - 1 - n]!);
    if (n > 0 && sum + length > ms) break;
    sum += length;
    n += 1;
  }
  return n;
}

/** Segments at the beginning that lie further back than the skip boundary. */
function skippable(segments: readonly ShownSegment[], ms: number): number {
  return segments.length - recent(segments, ms);
}

/** What a playlist request may wait for. */
export interface Wanted {
  readonly segment: number;
  /** null: all of the segment. */
  readonly part: number | null;
}

/**
 * Reads the delivery directives of a playlist request. Unknown ones are ignored, as the draft says.
 * @throws AppError `invalid_argument` for nonsense
 */
export function readDirectives(query: URLSearchParams): {
  readonly wanted: Wanted | null;
  readonly skip: boolean;
} {
  const msn = query.get('_HLS_msn');
  const part = query.get('_HLS_part');
  const skip = query.get('_HLS_skip');
  if (part !== null && msn === null)
    throw new AppError('invalid_argument', 'A playlist was asked for a part of no segment.');
  return {
    wanted: msn === null ? null : { segment: wholeOf(msn), part: part === null ? null : wholeOf(part) },
    skip: skip === 'YES' || skip === 'v2',
  };
}

function wholeOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new AppError('invalid_argument', 'A playlist was asked for a segment that is no number.');
}

/**
 * Whether a playlist holds what is waited for.
 * @throws AppError `invalid_argument` when it lies further ahead than anybody may wait for
 */
export function holds(track: Track, wanted: Wanted): boolean {
  if (track.ended()) return true;
  const last = track.segments().at(-1);
  if (!last) return false;
  if (wanted.segment > last.segment + 2 || (wanted.part !== null && wanted.part > 1000))
    throw new AppError('invalid_argument', 'A playlist was asked for what lies too far ahead.');
  if (wanted.segment < last.segment) return true;
  if (wanted.segment > last.segment) return false;
  // A part beyond the last one of a segment is the first of the next: the segment being complete will do.
  return last.complete || (wanted.part !== null && last.parts.length > wanted.part);
}
