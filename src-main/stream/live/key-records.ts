import type { KeyRecord } from '../codec/records.ts';

/** The keys of a stream's newest epochs, as its source signed them. */
export interface KeyRecords {
  /** False for what is known, and for what is older than all that are kept: neither may be passed on again. */
  add(record: KeyRecord): boolean;
  has(epoch: number): boolean;
  /** The oldest first. */
  values(): readonly KeyRecord[];
}

/** @param most epochs that are kept */
export function createKeyRecords(most = 64): KeyRecords {
  const kept = new Map<number, KeyRecord>();
  return {
    add(record) {
      if (kept.has(record.epoch)) return false;
      // One that was let go is as good as known: taken anew, it would be spread by everybody for ever.
      if (kept.size >= most && record.epoch < Math.min(...kept.keys())) return false;
      kept.set(record.epoch, record);
      if (kept.size > most) kept.delete(Math.min(...kept.keys()));
      return true;
    },
    has: (epoch) => kept.has(epoch),
    values: () => [...kept.values()].sort((a, b) => a.epoch - b.epoch),
  };
}
