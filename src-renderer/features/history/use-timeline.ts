import { onScopeDispose, ref, shallowRef, watch } from 'vue';
import type { Deed } from '../../../src-shared/contract/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { useLink } from '../../rpc/node-link.ts';

export interface TimelineFilter {
  readonly user: string | null;
  readonly device: string | null;
  readonly op: Deed['op'] | null;
}
export interface Writer {
  readonly user: string;
  readonly deviceId: string;
  readonly device: string;
}

const pageSize = 100;
/** With a filter the node may find little in one call: asked again until there is something to show. */
const enough = 40;

/** What was done in a drive, newest first; older pages are fetched when they are wanted. */
export function useTimeline(drive: () => string, filter: () => TimelineFilter) {
  const link = useLink();
  const items = shallowRef<readonly Deed[]>([]);
  const writers = shallowRef<readonly Writer[]>([]);
  const failure = shallowRef<unknown>(null);
  const busy = ref(false);
  /** Nothing older is left. */
  const ended = ref(false);
  let next: string | null = null;
  let abort = new AbortController();

  const ask = (before: string | null, signal: AbortSignal) =>
    link.call((client) =>
      client.drives.history({ drive: drive(), before, limit: pageSize, ...filter() }, { signal }),
    );

  async function more(): Promise<void> {
    if (busy.value || ended.value) return;
    const { signal } = abort;
    busy.value = true;
    failure.value = null;
    try {
      const found: Deed[] = [];
      do {
        const page = await ask(next, signal);
        if (signal.aborted) return;
        writers.value = page.writers;
        found.push(...page.items);
        next = page.next;
      } while (next !== null && found.length < enough);
      items.value = [...items.value, ...found];
      ended.value = next === null;
    } catch (error) {
      if (!signal.aborted && !isAppError(error, 'cancelled')) failure.value = error;
    } finally {
      if (!signal.aborted) busy.value = false;
    }
  }

  /** Begins anew; what is shown stays until the new beginning has come. */
  async function restart(keep = false): Promise<void> {
    abort.abort();
    abort = new AbortController();
    busy.value = false;
    ended.value = false;
    next = null;
    if (!keep) items.value = [];
    await more();
  }

  /** Puts what has been done since on top. */
  async function refresh(): Promise<void> {
    const known = new Set(items.value.map((deed) => deed.version));
    const { signal } = abort;
    if (busy.value || known.size === 0) return restart();
    try {
      const { items: newest, writers: all } = await ask(null, signal);
      if (signal.aborted) return;
      writers.value = all;
      const fresh = newest.filter((deed) => !known.has(deed.version));
      // More came than one page holds, or something older came late: its place is among what is shown.
      if (
        fresh.length === newest.length ||
        newest.findIndex((deed) => known.has(deed.version)) !== fresh.length
      )
        return await restart();
      items.value = [...fresh, ...items.value];
    } catch (error) {
      if (!signal.aborted) failure.value = error;
    }
  }

  watch([drive, () => JSON.stringify(filter())], () => void restart(), { immediate: true });
  onScopeDispose(() => abort.abort());
  return { items, writers, failure, busy, ended, more, refresh, retry: more };
}
