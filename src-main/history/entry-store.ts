import { setImmediate } from 'node:timers/promises';
import { storeError } from '../store/index.ts';
import type { ChainLog } from './chain-log.ts';
import type { EntryIndex } from './entry-index.ts';
import type { Entry } from './types.ts';

/** Entries put into the index in one transaction: a few milliseconds of work. */
const batchSize = 32;

/** Writes checked entries: first durably to the log, then to the index. Not to be called again before it is done. */
export type EntryStore = (entries: readonly Entry[]) => Promise<void>;

/** @throws (the store) AppError `disk_full`, ...: then those entries are not stored that the index does not have */
export function createEntryStore(log: ChainLog, index: EntryIndex): EntryStore {
  return async (entries) => {
    if (entries.length === 0) return;
    let indexed = log.size();
    const places = await log.append(entries.map((entry) => entry.bytes));
    const items = entries.map((entry, i) => ({ entry, place: places[i] as (typeof places)[number] }));
    try {
      for (let i = 0; i < items.length; i += batchSize) {
        if (i > 0) await setImmediate();
        const batch = items.slice(i, i + batchSize);
        const last = batch.at(-1) as (typeof items)[number];
        index.add(batch, last.place.offset + last.place.length);
        indexed = last.place.offset + last.place.length;
      }
    } catch (error) {
      // Reported as not stored, so they must not come back at the next start: other own entries may stand there by then.
      await log.truncate(indexed);
      throw storeError(error, 'drive.db');
    }
  };
}
