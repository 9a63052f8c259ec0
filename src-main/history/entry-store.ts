import type { ChainLog } from './chain-log.ts';
import type { EntryIndex } from './entry-index.ts';
import type { Entry } from './types.ts';

/** Writes checked entries: first durably to the log, then to the index. Not to be called again before it is done. */
export type EntryStore = (entries: readonly Entry[]) => Promise<void>;

/** @throws (the store) AppError `disk_full`, ...: then none of the entries is stored */
export function createEntryStore(log: ChainLog, index: EntryIndex): EntryStore {
  return async (entries) => {
    if (entries.length === 0) return;
    const before = log.size();
    const places = await log.append(entries.map((entry) => entry.bytes));
    try {
      index.add(
        entries.map((entry, i) => ({ entry, place: places[i] as (typeof places)[number] })),
        log.size(),
      );
    } catch (error) {
      // Reported as not stored, so it must not come back at the next start: another own entry may stand there by then.
      await log.truncate(before);
      throw error;
    }
  };
}
