/** Which pictures of the grid are to be made now. */
export interface DueFrames {
  /** Places on the grid, in order; the last is now, those before fill parts that would have no picture at all. */
  readonly frames: readonly number[];
  /** Places that were passed over. */
  readonly missed: number;
  /** The clock went on alone for so long (a sleeping computer) that nothing is filled in. */
  readonly jumped: boolean;
}

/** Longest pause that is filled in, ms. */
const longestFill = 1000;

/**
 * The beat of the pictures: they are timed by the clock and never by counting, so a slow machine loses pictures and not its place.
 * @param options.perPart places of the grid in a part; every part gets a picture
 */
export function createFrameClock(options: {
  readonly fps: number;
  readonly perPart: number;
  readonly start: number;
}) {
  const { fps, perPart, start } = options;
  let last = -1;
  const place = (now: number): number => Math.floor(((now - start) * fps) / 1000 + 1e-6);
  return {
    /** @param every makes only each n-th picture, when the machine can't do more; a part's first is always made */
    due(now: number, every = 1): DueFrames {
      const at = place(now);
      if (at <= last) return { frames: [], missed: 0, jumped: false };
      if (last >= 0 && (at - last) * 1000 > longestFill * fps) {
        const missed = at - last - 1;
        last = at;
        return { frames: [at], missed, jumped: true };
      }
      const frames: number[] = [];
      const firstPart = last < 0 ? Math.floor(at / perPart) : Math.floor(last / perPart) + 1;
      for (let part = firstPart; part < Math.floor(at / perPart); part += 1) frames.push(part * perPart);
      const opensPart = Math.floor(at / perPart) > Math.floor(last / perPart) || last < 0;
      if (opensPart || (at % perPart) % every === 0) frames.push(at);
      const missed = last < 0 ? 0 : Math.max(0, at - last - Math.max(1, frames.length));
      last = at;
      return { frames, missed, jumped: false };
    },
    /** When the next picture is due, ms. */
    next: (): number => start + ((last + 1) * 1000) / fps,
  };
}
