/**
 * Lays recorded sound on the clock that pictures are timed by. A sound card has a clock of its own, threads are late, and a device
 * may fall silent: without this the sound would move away from the pictures by some milliseconds a minute. Small differences are
 * taken up by playing a little faster or slower (at most 0.5 %, which nobody hears), large ones by silence or by leaving out.
 */

export interface SoundLineOptions {
  /** Samples a second, in and out. */
  readonly rate: number;
  readonly channels: number;
  /** Samples of a block that is given out. */
  readonly blockSize: number;
  /** When the stream began, ms of the clock that `push` and `tick` are told. */
  readonly start: number;
  /** `position`: samples since the start. One plane a channel. */
  readonly onBlock: (position: number, planes: Float32Array<ArrayBuffer>[]) => void;
}

export interface SoundLine {
  /** Sound that has just come. */
  push(planes: readonly Float32Array[], now: number): void;
  /** To be called some times a second: fills in silence when nothing comes. */
  tick(now: number): void;
  /** How far the sound is ahead of the clock, ms. */
  readonly ahead: number;
  /** Samples of silence put in and of sound left out. */
  readonly filled: number;
  readonly leftOut: number;
}

/** Differences up to this are left alone, ms: blocks come with that much jitter. */
const calm = 15;
/** Differences from this are not pulled in slowly any more, ms. */
const far = 180;
/** So late may sound be before silence takes its place, ms; and once it has, so closely silence follows the clock. */
const patience = 400;
const closely = 60;
/** The least-late block within this time tells the difference, ms: the others are only delayed by their threads. */
const look = 1000;
const mostBend = 0.005;

export function createSoundLine(options: SoundLineOptions): SoundLine {
  const { rate, channels, blockSize, start, onBlock } = options;
  const perMs = rate / 1000;
  let block = Array.from({ length: channels }, () => new Float32Array(blockSize));
  let filledTo = 0;
  /** Samples given out or waiting in `block`. */
  let written = 0;
  let silent = false;
  let bend = 0;
  let rest = 0;
  let lastOne: number[] = Array.from({ length: channels }, () => 0);
  let best = Number.NEGATIVE_INFINITY;
  let looked = start;
  let ahead = 0;
  let filled = 0;
  let leftOut = 0;

  function put(values: (channel: number) => number): void {
    for (let channel = 0; channel < channels; channel += 1) block[channel]![filledTo] = values(channel);
    filledTo += 1;
    written += 1;
    if (filledTo < blockSize) return;
    onBlock(written - blockSize, block);
    block = Array.from({ length: channels }, () => new Float32Array(blockSize));
    filledTo = 0;
  }

  function silence(count: number): void {
    filled += count;
    // After hours of sleep the line goes on where the clock is, on the grid of blocks, and not through all of the night.
    const blocks = Math.floor(count / blockSize);
    if (count > 5 * rate) {
      for (let n = filledTo; n > 0 && n < blockSize; n += 1) put(() => 0);
      written += (blocks - 1) * blockSize;
      return;
    }
    for (let n = 0; n < count; n += 1) put(() => 0);
  }

  const due = (now: number): number => (now - start) * perMs;

  return {
    push(planes, now) {
      const count = planes[0]?.length ?? 0;
      if (count === 0 || planes.length === 0) return;
      silent = false;
      const difference = (written + count - due(now)) / perMs;
      if (difference < -patience) silence(Math.round(-difference * perMs));
      best = Math.max(best, difference);
      if (now - looked >= look) {
        ahead = best;
        best = Number.NEGATIVE_INFINITY;
        looked = now;
        if (ahead < -far) {
          silence(Math.round(-ahead * perMs));
          bend = 0;
        } else if (Math.abs(ahead) <= calm) bend = 0;
        // A difference is gone after some eight seconds.
        else bend = Math.max(-mostBend, Math.min(mostBend, ahead / 8000));
      }
      let from = 0;
      if (difference > far) {
        from = Math.min(count, Math.round(difference * perMs));
        leftOut += from;
      }
      // Linear interpolation at steps of 1 + bend: more than one takes up sound that came too early.
      const step = 1 + bend;
      let at = rest;
      while (at < count - from) {
        const whole = Math.floor(at);
        const share = at - whole;
        put((channel) => {
          const plane = planes[Math.min(channel, planes.length - 1)]!;
          const before = whole === 0 ? lastOne[channel]! : plane[from + whole - 1]!;
          return before + (plane[from + whole]! - before) * share;
        });
        at += step;
      }
      rest = at - (count - from);
      lastOne = lastOne.map((_, channel) => planes[Math.min(channel, planes.length - 1)]![count - 1]!);
    },
    tick(now) {
      const missing = due(now) - written;
      if (missing > (silent ? closely : patience) * perMs) {
        silent = true;
        silence(Math.round(missing - (closely / 2) * perMs));
      }
    },
    get ahead() {
      return ahead;
    },
    get filled() {
      return filled;
    },
    get leftOut() {
      return leftOut;
    },
  };
}
