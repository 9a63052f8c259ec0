import { onScopeDispose, ref, shallowRef, triggerRef, watch } from 'vue';
import type { FileEntry } from '../../../src-shared/contract/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { useLink } from '../../rpc/node-link.ts';

export type SortKey = 'name' | 'size' | 'changed';

/** Which entries are shown: all, those on their way, or those that need a person. */
export type Shown = 'all' | 'moving' | 'attention';

export interface FolderPlace {
  readonly drive: string;
  readonly path: string;
  readonly sort: SortKey;
  readonly descending: boolean;
  readonly show: Shown;
}

const pageSize = 100;
/** Entries fetched before they come into view, in either direction. */
const ahead = 80;
/** Pages kept; what was scrolled past long ago is asked for again. */
const keptPages = 60;
const largestCall = 500;
/** Pages asked for at one time: more would only wait behind what is no longer on screen. */
const atOnce = 2;
/** A list that flies past by whole screens is asked for once it rests this long, ms: nobody reads it before. */
const rest = 60;

/**
 * One folder as a list that shows a part of it: entries are fetched in pages as they come into view, so a folder of
 * 100,000 costs as little as one of 100. What is shown stays until its newer version has come.
 */
export function useFolder(place: () => FolderPlace | null) {
  const link = useLink();
  const total = ref<number | null>(null);
  const pages = shallowRef(new Map<number, readonly FileEntry[]>());
  const failure = shallowRef<unknown>(null);
  let wanted: { first: number; last: number } = { first: 0, last: 0 };
  let generation = 0;
  let abort = new AbortController();
  const loading = new Set<number>();
  let jumped = Number.NEGATIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function load(page: number): Promise<void> {
    const at = place();
    if (!at || loading.has(page)) return;
    const mine = generation;
    loading.add(page);
    try {
      const { signal } = abort;
      const answer = await link.call((client) =>
        client.files.window({ ...at, offset: page * pageSize, limit: pageSize }, { signal }),
      );
      if (mine !== generation) return;
      failure.value = null;
      total.value = answer.total;
      pages.value.delete(page);
      pages.value.set(page, answer.items);
      for (const old of pages.value.keys()) {
        if (pages.value.size <= keptPages) break;
        if (!isWanted(old)) pages.value.delete(old);
      }
      triggerRef(pages);
      loading.delete(page);
      fill();
    } catch (error) {
      if (mine === generation && !isAppError(error, 'cancelled')) failure.value = error;
    } finally {
      if (mine === generation) loading.delete(page);
    }
  }

  const isWanted = (page: number) =>
    page >= Math.floor(wanted.first / pageSize) && page <= Math.floor(wanted.last / pageSize);

  /** Rows that are on screen now: fetches what of them is missing. */
  function want(first: number, last: number): void {
    const jump = first > wanted.last || last < wanted.first;
    wanted = { first, last };
    const now = performance.now();
    const flies = jump && now - jumped < 2 * rest;
    if (jump) jumped = now;
    clearTimeout(timer);
    if (flies) timer = setTimeout(fill, rest);
    else fill();
  }

  /** Asks for what is missing, what is on screen before what will be. */
  function fill(): void {
    const { first, last } = wanted;
    const end = Math.max(last, (total.value ?? 0) - 1);
    for (const reach of [0, ahead]) {
      const to = Math.floor(Math.min(last + reach, end) / pageSize);
      for (let page = Math.floor(Math.max(0, first - reach) / pageSize); page <= to; page += 1) {
        if (pages.value.has(page) || loading.has(page)) continue;
        if (loading.size >= atOnce) return;
        void load(page);
      }
    }
  }

  /** The folder changed: what is shown is fetched anew, the rest forgotten. */
  async function refresh(): Promise<void> {
    generation += 1;
    loading.clear();
    for (const page of [...pages.value.keys()]) if (!isWanted(page)) pages.value.delete(page);
    const first = Math.floor(wanted.first / pageSize);
    const last = Math.floor(wanted.last / pageSize);
    await Promise.all(Array.from({ length: last - first + 1 }, (_, index) => load(first + index)));
  }

  watch(
    place,
    (now, before) => {
      if (now && before && JSON.stringify(now) === JSON.stringify(before)) return;
      generation += 1;
      abort.abort();
      abort = new AbortController();
      loading.clear();
      clearTimeout(timer);
      wanted = { first: 0, last: 0 };
      total.value = null;
      failure.value = null;
      pages.value = new Map();
      if (now) void load(0);
    },
    { immediate: true },
  );
  onScopeDispose(() => {
    clearTimeout(timer);
    abort.abort();
  });

  /** Entries from `first` to `last`, both included, fetched if need be: for selections beyond the screen. */
  async function range(first: number, last: number): Promise<readonly FileEntry[]> {
    const at = place();
    const found: FileEntry[] = [];
    for (let offset = first; at && offset <= last; offset += largestCall) {
      const limit = Math.min(largestCall, last - offset + 1);
      const { items } = await link.call((client) => client.files.window({ ...at, offset, limit }));
      found.push(...items);
    }
    return found;
  }

  async function locate(name: string, exact: boolean, from = 0): Promise<number | null> {
    const at = place();
    if (!at) return null;
    return (await link.call((client) => client.files.locate({ ...at, name, exact, from }))).index;
  }

  return {
    total,
    failure,
    /** Changes whenever entries came or went: reading it in a computed value follows them. */
    pages,
    at: (index: number): FileEntry | undefined =>
      pages.value.get(Math.floor(index / pageSize))?.[index % pageSize],
    want,
    refresh,
    range,
    locate,
  };
}

export type Folder = ReturnType<typeof useFolder>;
