import { shallowRef } from 'vue';
import type { FileEntry } from '../../../src-shared/contract/index.ts';
import type { Folder } from './use-folder.ts';

/** Neighbours looked at in search of the next file. */
const reach = 200;

/** The file that is looked at on its own, and the way to its neighbours in the folder. */
export function usePreview(folder: Folder) {
  const shown = shallowRef<{ readonly entry: FileEntry; readonly version: string | null } | null>(null);

  /** To the next file of the folder, or the one before; stays where there is none. */
  async function step(by: 1 | -1): Promise<void> {
    const before = shown.value;
    if (!before || before.version !== null) return;
    const at = await folder.locate(before.entry.name, true);
    if (at === null) return;
    const first = by > 0 ? at + 1 : Math.max(0, at - reach);
    const last = by > 0 ? Math.min(at + reach, (folder.total.value ?? 0) - 1) : at - 1;
    if (last < first) return;
    const near = await folder.range(first, last);
    const next = (by > 0 ? near : near.toReversed()).find(({ kind }) => kind === 'file');
    if (next && shown.value === before) shown.value = { entry: next, version: null };
  }
  return {
    shown,
    step,
    show: (entry: FileEntry, version: string | null = null) => (shown.value = { entry, version }),
    close: () => (shown.value = null),
  };
}
