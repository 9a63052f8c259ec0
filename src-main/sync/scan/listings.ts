import type { NodeId } from '../../drive/index.ts';
import type { FsStat } from '../fs/types.ts';

/**
 * Which folders may hold other names than when they were listed. A folder's time changes with each name that comes or goes, so
 * looking at the folders alone finds what a watcher did not tell, for a fraction of the cost of a scan.
 */
export interface Listings {
  /** @param stat the folder as it was before it was listed */
  note(id: NodeId, stat: FsStat): void;
  /** Folders that have changed since, one after another; what is noted meanwhile counts. */
  changed(signal: AbortSignal): AsyncIterable<NodeId>;
}

/** A folder's time may stand still for a moment: names that come right after others need not change it. ms. */
const coarse = 100;
const batch = 64;

export function createListings(deps: {
  /** null when there is no such folder (any more). */
  readonly stat: (id: NodeId) => Promise<FsStat | null>;
  readonly known: (id: NodeId) => boolean;
  /** The time of day, as the file system writes it. */
  readonly wallNow: () => number;
}): Listings {
  /** The time of each folder when it was listed; null when it had changed just before. */
  const times = new Map<NodeId, bigint | null>();

  return {
    note(id, { mtimeNs }) {
      const settled = Math.abs(deps.wallNow() - Number(mtimeNs / 1_000_000n)) >= coarse;
      times.set(id, settled ? mtimeNs : null);
    },
    async *changed(signal) {
      const ids = [...times.keys()];
      for (let at = 0; at < ids.length && !signal.aborted; at += batch) {
        const some = ids.slice(at, at + batch).filter((id) => deps.known(id) || !times.delete(id));
        const stats = await Promise.all(some.map((id) => deps.stat(id)));
        for (const [index, id] of some.entries()) {
          const stat = stats[index];
          // One that is gone is missing from its own folder, which has changed.
          if (stat?.type === 'dir' && stat.mtimeNs !== times.get(id)) yield id;
        }
      }
    },
  };
}
