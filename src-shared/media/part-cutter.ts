import { videoTimescale } from './fmp4.ts';
import type { Run, Sample } from './fmp4.ts';

/** An encoded picture; times in ticks of 90 kHz from the start of the stream. Pictures come in order, none is reordered. */
export interface Picture {
  readonly pts: number;
  readonly data: Uint8Array;
  readonly key: boolean;
}

/** An encoded packet of sound; times in samples from the start of the stream. */
export interface Sound {
  readonly start: number;
  readonly duration: number;
  readonly data: Uint8Array;
}

/** A part ready to be written. The grid of parts is the same for all renditions: part n covers the n-th `partTicks`. */
export interface CutPart {
  readonly seq: number;
  readonly segment: number;
  /** Ticks of 90 kHz, on the grid. */
  readonly pts: number;
  readonly duration: number;
  readonly independent: boolean;
  readonly video?: Run;
  readonly audio?: Run;
}

export interface CutterOptions {
  readonly hasVideo: boolean;
  readonly hasAudio: boolean;
  /** Samples of sound a second. */
  readonly audioRate: number;
  /** How long a picture is shown when the next one is not known yet, ticks. */
  readonly frameTicks: number;
  /** Ticks of a part, a divisor of a second. */
  readonly partTicks?: number;
  readonly partsPerSegment?: number;
  /** How far one track may lag before parts go out without it, ticks. */
  readonly longestWait?: number;
  readonly onPart: (part: CutPart) => void;
}

export interface PartCutter {
  picture(picture: Picture): void;
  sound(sound: Sound): void;
  /** Ends of both tracks so far, in ms: how far pictures are ahead of the sound (negative: behind). */
  apart(): number;
  /** Parts that went out without one of their tracks. */
  readonly holes: number;
}

/**
 * Cuts encoded pictures and sound into parts that end together. A part is given out when both tracks have reached its end, so the
 * ends of a part's tracks are never further apart than one picture and one packet, however late an encoder is. Pure.
 */
export function createPartCutter(options: CutterOptions): PartCutter {
  const { hasVideo, hasAudio, audioRate, frameTicks, onPart } = options;
  const partTicks = options.partTicks ?? videoTimescale / 5;
  const perSegment = options.partsPerSegment ?? 5;
  const longestWait = options.longestWait ?? 2 * videoTimescale;
  const toTicks = (samples: number): number => (samples * videoTimescale) / audioRate;
  const pictures: Picture[] = [];
  const sounds: Sound[] = [];
  let part = 0;
  let begun = false;
  let videoEnd = 0;
  let audioEnd = 0;
  let holes = 0;
  /** After pictures were thrown away nothing can be decoded before the next key frame. */
  let needsKey = false;

  function settle(): void {
    if (!begun) {
      const first = Math.min(
        ...(pictures[0] ? [pictures[0].pts] : []),
        ...(sounds[0] ? [toTicks(sounds[0].start)] : []),
      );
      part = Math.floor(first / partTicks);
      begun = true;
    }
    for (;;) {
      const end = (part + 1) * partTicks;
      const videoThere = !hasVideo || videoEnd >= end - 1;
      const audioThere = !hasAudio || toTicks(audioEnd) >= end - 1;
      const late = Math.max(videoEnd, toTicks(audioEnd)) >= end + longestWait;
      if (!(videoThere && audioThere) && !late) return;
      give(end);
      part += 1;
      // After a jump of the clock there is nothing to give for the parts between.
      const next = Math.min(
        pictures[0]?.pts ?? Number.POSITIVE_INFINITY,
        sounds[0] ? toTicks(sounds[0].start) : Number.POSITIVE_INFINITY,
      );
      if (Number.isFinite(next)) part = Math.max(part, Math.floor(next / partTicks));
    }
  }

  function give(end: number): void {
    const shown = takeWhile(pictures, ({ pts }) => pts < end);
    const heard = takeWhile(sounds, ({ start }) => toTicks(start) < end - 1);
    if ((hasVideo && shown.length === 0) || (hasAudio && heard.length === 0)) holes += 1;
    if (shown.length === 0 && heard.length === 0) return;
    const following = pictures[0]?.pts;
    const samples: Sample[] = shown.map(({ pts, data, key }, n) => {
      const next = shown[n + 1]?.pts ?? following;
      // After a jump the last picture is not held for as long as the machine slept.
      const length = next === undefined || next - pts > 2 * partTicks ? frameTicks : next - pts;
      return { data, key, duration: Math.max(1, Math.round(length)) };
    });
    onPart({
      seq: part,
      segment: Math.floor(part / perSegment),
      pts: part * partTicks,
      duration: partTicks,
      independent: hasVideo ? (shown[0]?.key ?? false) : true,
      ...(shown[0] && { video: { start: Math.round(shown[0].pts), samples } }),
      ...(heard[0] && {
        audio: {
          start: heard[0].start,
          samples: heard.map(({ data, duration }) => ({ data, duration, key: true })),
        },
      }),
    });
  }

  return {
    picture(one) {
      // Too late: its part has gone out without it. Shown now it would move the pictures away from the sound.
      if (begun && one.pts < part * partTicks) needsKey = true;
      if (needsKey && (!one.key || one.pts < part * partTicks)) return;
      needsKey = false;
      pictures.push(one);
      // Where the next picture already has its place, this one lasts until then; else as long as one lasts.
      videoEnd = Math.max(videoEnd, one.pts + frameTicks);
      settle();
    },
    sound(one) {
      sounds.push(one);
      audioEnd = one.start + one.duration;
      settle();
    },
    apart: () => ((videoEnd - toTicks(audioEnd)) * 1000) / videoTimescale,
    get holes() {
      return holes;
    },
  };
}

function takeWhile<T>(list: T[], wanted: (one: T) => boolean): T[] {
  let count = 0;
  while (count < list.length && wanted(list[count]!)) count += 1;
  return list.splice(0, count);
}
