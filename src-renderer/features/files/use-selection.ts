import { computed, ref, shallowRef, triggerRef } from 'vue';
import type { FileEntry } from '../../../src-shared/contract/index.ts';
import type { Folder } from './use-folder.ts';

/**
 * What is chosen in a list. Entries are kept by path, so that a selection survives sorting and refreshing; "all" is a
 * state of its own, because most of a large folder was never fetched.
 */
export function useSelection(folder: Folder) {
  const chosen = shallowRef(new Map<string, FileEntry>());
  const all = ref(false);
  /** Where the keyboard is. */
  const focus = ref(0);
  /** Where a range begins. */
  let anchor = 0;
  /** Grows with everything that is chosen: tells whether somebody chose something else meanwhile. */
  let acts = 0;

  const count = computed(() => (all.value ? (folder.total.value ?? 0) : chosen.value.size));
  const bytes = computed(() =>
    all.value ? null : [...chosen.value.values()].reduce((sum, entry) => sum + entry.size, 0),
  );
  /** The one entry that is chosen, as the folder shows it now. */
  const single = computed(() => {
    if (all.value || chosen.value.size !== 1) return null;
    const [entry] = chosen.value.values();
    if (!entry) return null;
    for (const page of folder.pages.value.values()) {
      const now = page.find((one) => one.path === entry.path);
      if (now) return now;
    }
    return entry;
  });

  const isChosen = (entry: FileEntry | undefined): boolean =>
    entry !== undefined && (all.value || chosen.value.has(entry.path));

  function clear(): void {
    acts += 1;
    all.value = false;
    if (chosen.value.size === 0) return;
    chosen.value = new Map();
  }

  function only(index: number): void {
    acts += 1;
    focus.value = index;
    anchor = index;
    const entry = folder.at(index);
    all.value = false;
    chosen.value = new Map(entry ? [[entry.path, entry]] : []);
  }

  function toggle(index: number): void {
    acts += 1;
    focus.value = index;
    anchor = index;
    const entry = folder.at(index);
    if (!entry) return;
    if (all.value) return only(index);
    if (!chosen.value.delete(entry.path)) chosen.value.set(entry.path, entry);
    triggerRef(chosen);
  }

  /** From where the range began up to here. */
  async function extend(index: number): Promise<void> {
    acts += 1;
    focus.value = index;
    const [first, last] = [Math.min(anchor, index), Math.max(anchor, index)];
    const known: FileEntry[] = [];
    for (let at = first; at <= last; at += 1) {
      const entry = folder.at(at);
      if (!entry) break;
      known.push(entry);
    }
    const entries = known.length === last - first + 1 ? known : await folder.range(first, last);
    if (focus.value !== index) return;
    all.value = false;
    chosen.value = new Map(entries.map((entry) => [entry.path, entry]));
  }

  /** Everything chosen, fetched if need be. */
  async function entries(): Promise<readonly FileEntry[]> {
    return all.value ? folder.range(0, (folder.total.value ?? 1) - 1) : [...chosen.value.values()];
  }

  /** Everything chosen, when it is all here and no more than `most`; null: it would have to be fetched. */
  function known(most: number): readonly FileEntry[] | null {
    if (!all.value) return [...chosen.value.values()];
    const total = folder.total.value ?? 0;
    if (total > most) return null;
    const found = Array.from({ length: total }, (_, index) => folder.at(index));
    return found.every((entry) => entry !== undefined) ? found : null;
  }

  function choose(entry: FileEntry, index: number): void {
    acts += 1;
    focus.value = index;
    anchor = index;
    all.value = false;
    chosen.value = new Map([[entry.path, entry]]);
  }

  return {
    focus,
    acts: () => acts,
    count,
    bytes,
    single,
    isChosen,
    clear,
    only,
    toggle,
    extend,
    entries,
    known,
    choose,
    selectAll() {
      acts += 1;
      chosen.value = new Map();
      all.value = true;
    },
  };
}

export type Selection = ReturnType<typeof useSelection>;
