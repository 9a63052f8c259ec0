import { setTimeout as sleep } from 'node:timers/promises';
import {
  continuityOf,
  createPlayhead,
  partArrived,
  partGivenUp,
} from '../../src-main/stream/overlay/index.ts';
import type { Continuity } from '../../src-main/stream/overlay/index.ts';

/** A player without a screen: asks for a stream as hls.js does, takes every part, and reckons what a person would have seen. */
export interface HlsViewer {
  /** When asking began, and when the first part that can be decoded was here, ms of `performance.now()`; NaN: not yet. */
  readonly askedAt: number;
  startedAt(): number;
  /** Newest part that the playlist told of, -1 before the first. */
  edge(): number;
  parts(): number;
  /** Parts that the playlist said are missing. */
  holes(): number;
  /** Since it began, or since `reset`. */
  seen(): Continuity;
  /** What was seen until now does not count. */
  reset(): void;
  stop(): Promise<void>;
}

const holdBackMs = 1_400;

/**
 * @param url of a multivariant playlist
 * @param edge newest part that anybody knows of: how far behind it begins is reckoned from it
 */
export function watchHls(url: string, edge: () => number = () => -1): HlsViewer {
  const askedAt = performance.now();
  const ending = new AbortController();
  let head: ReturnType<typeof createPlayhead> | null = null;
  let newest = -1;
  let startedAt = Number.NaN;
  let parts = 0;
  let holes = 0;
  let base: Continuity | null = null;

  const get = (address: string): Promise<Response> =>
    fetch(address, { signal: AbortSignal.any([ending.signal, AbortSignal.timeout(15_000)]) });
  const list = async (address: string): Promise<string | null> => {
    const answer = await get(address);
    const text = await answer.text();
    return answer.ok ? text : null;
  };

  async function follow(): Promise<void> {
    const all = await list(`${url}?low-latency`);
    const name = all?.split('\n').find((line) => /^[a-z0-9]+\/index/.test(line));
    if (!name) throw new Error('no playlist');
    const address = new URL(name, url).href;
    let query = '';
    for (;;) {
      const text = await list(`${address}${query}`);
      if (text === null) throw new Error('the playlist did not come');
      await take(text, address);
      if (text.includes('#EXT-X-ENDLIST')) return;
      const whole = [...text.matchAll(/^s(\d+)\.m4s$/gm)];
      const first = Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1] ?? 0);
      const segment = whole.length > 0 ? Number(whole.at(-1)![1]) + 1 : first;
      const open = [
        ...text
          .split(/^s\d+\.m4s$/m)
          .at(-1)!
          .matchAll(/^#EXT-X-PART:/gm),
      ];
      query = `&_HLS_msn=${segment}&_HLS_part=${open.length}`;
    }
  }

  async function take(text: string, address: string): Promise<void> {
    const partMs = Number(/PART-TARGET=([\d.]+)/.exec(text)?.[1] ?? 0.2) * 1000;
    head ??= createPlayhead({ partMs, holdBackMs });
    for (const line of text.matchAll(/^#EXT-X-PART:.*URI="(\d+)\.m4s"(.*)$/gm)) {
      const seq = Number(line[1]);
      if (seq <= newest) continue;
      newest = seq;
      if (line[2]!.includes('GAP=YES')) {
        holes += 1;
        partGivenUp(head, seq, performance.now());
        continue;
      }
      const answer = await get(new URL(`${seq}.m4s`, address).href);
      await answer.arrayBuffer();
      if (!answer.ok) continue;
      const independent = line[2]!.includes('INDEPENDENT=YES');
      const now = performance.now();
      if (independent && Number.isNaN(startedAt)) startedAt = now;
      parts += 1;
      partArrived(head, { seq, independent, edge: Math.max(edge(), newest) }, now);
    }
  }

  const done = (async () => {
    while (!ending.signal.aborted) {
      try {
        await follow();
        return;
      } catch {
        // Asked anew, as players do.
        await sleep(50);
      }
    }
  })();

  const total = (): Continuity =>
    head
      ? continuityOf(head, performance.now())
      : { watchedMs: 0, stalledMs: 0, skippedMs: 0, share: 0, stallingNow: true };
  return {
    askedAt,
    startedAt: () => startedAt,
    edge: () => newest,
    parts: () => parts,
    holes: () => holes,
    seen() {
      const now = total();
      if (!base) return now;
      const watchedMs = now.watchedMs - base.watchedMs;
      const stalledMs = now.stalledMs - base.stalledMs;
      const skippedMs = now.skippedMs - base.skippedMs;
      const lost = Math.min(watchedMs, Math.max(0, stalledMs + skippedMs));
      const share = watchedMs === 0 ? 1 : 1 - lost / watchedMs;
      return { watchedMs, stalledMs, skippedMs, share, stallingNow: now.stallingNow };
    },
    reset() {
      base = total();
    },
    async stop() {
      ending.abort();
      await done;
    },
  };
}
