import { reactive } from 'vue';
import type { Health } from './engine/messages.ts';

/** Values of the last minute that are kept for the charts: two a second. */
const kept = 120;

/** What the charts of a stream's health show, oldest first; all lists are equally long. */
export interface PastLists {
  readonly queue: number[];
  /** Bits a second. */
  readonly rate: number[];
  readonly viewers: number[];
  /** Ends of sound and pictures apart, ms. */
  readonly apart: number[];
  /** Media not yet with the viewers, ms. */
  readonly behind: number[];
  /** Seconds since the epoch. */
  readonly time: number[];
}

/** Collects them. */
export function createPast(): { readonly lists: PastLists; add(now: Health): void; forget(): void } {
  const lists: PastLists = reactive({ queue: [], rate: [], viewers: [], apart: [], behind: [], time: [] });
  return {
    lists,
    add(now) {
      const put = (list: number[], value: number): void => {
        list.push(value);
        if (list.length > kept) list.shift();
      };
      put(lists.queue, now.queueMs);
      put(lists.rate, now.bitrate);
      put(lists.viewers, now.viewers);
      put(lists.apart, Math.abs(now.apartMs));
      put(lists.behind, now.backlogMs + now.nodeQueueMs);
      put(lists.time, Date.now() / 1000);
    },
    forget() {
      for (const list of Object.values(lists) as number[][]) list.length = 0;
    },
  };
}
