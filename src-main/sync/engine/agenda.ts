import type { Clock } from '../../../src-shared/runtime.ts';
import type { NodeId } from '../../drive/index.ts';

/**
 * A delete that may not be meant, a change this device has no right to, a file before the first scan knows what is here; what the
 * device's mode keeps apart, and what that is in the way of.
 */
export type ParkReason = 'delete' | 'rights' | 'scan' | 'mode' | 'blocked';

/** Which nodes have to be compared again. Only a list of questions: what is to be done is planned when they are asked. */
export interface Agenda {
  add(id: NodeId): void;
  /** Asks again after some ms. */
  postpone(id: NodeId, ms: number): void;
  /** Asks again when told to (`release`), or when something about the node changes. */
  park(id: NodeId, reason: ParkReason): void;
  release(reason: ParkReason): void;
  /** At most `limit` nodes, in the order they came. */
  take(limit: number): NodeId[];
  ready(): number;
  postponed(): number;
  parked(reason: ParkReason): number;
  parkedIds(reason: ParkReason): Iterable<NodeId>;
  /** Nothing is left to ask, but for what the mode keeps apart. */
  empty(): boolean;
  stop(): void;
}

export function createAgenda(clock: Clock, wake: () => void): Agenda {
  const ready = new Set<NodeId>();
  const waiting = new Map<NodeId, number>();
  const parked: Record<ParkReason, Set<NodeId>> = {
    delete: new Set(),
    rights: new Set(),
    scan: new Set(),
    mode: new Set(),
    blocked: new Set(),
  };
  let cancel: (() => void) | null = null;
  let timerAt = Number.POSITIVE_INFINITY;

  function forget(id: NodeId): void {
    waiting.delete(id);
    parked.delete.delete(id);
    parked.rights.delete(id);
    parked.scan.delete(id);
    parked.mode.delete(id);
    parked.blocked.delete(id);
  }

  function arm(): void {
    let first = Number.POSITIVE_INFINITY;
    for (const time of waiting.values()) first = Math.min(first, time);
    if (first >= timerAt && cancel !== null) return;
    cancel?.();
    cancel = null;
    timerAt = first;
    if (!Number.isFinite(first)) return;
    cancel = clock.after(Math.max(0, first - clock.now()), () => {
      cancel = null;
      timerAt = Number.POSITIVE_INFINITY;
      const now = clock.now();
      for (const [id, time] of waiting) {
        if (time > now) continue;
        waiting.delete(id);
        ready.add(id);
      }
      arm();
      wake();
    });
  }

  return {
    add(id) {
      forget(id);
      ready.add(id);
      wake();
    },
    postpone(id, ms) {
      if (ready.has(id)) return;
      forget(id);
      const due = clock.now() + ms;
      waiting.set(id, due);
      if (due < timerAt || cancel === null) arm();
    },
    park(id, reason) {
      if (!ready.has(id)) parked[reason].add(id);
    },
    release(reason) {
      for (const id of parked[reason]) ready.add(id);
      if (parked[reason].size > 0) wake();
      parked[reason].clear();
    },
    take(limit) {
      const ids: NodeId[] = [];
      for (const id of ready) {
        if (ids.length >= limit) break;
        ids.push(id);
        ready.delete(id);
      }
      return ids;
    },
    ready: () => ready.size,
    postponed: () => waiting.size,
    parked: (reason) => parked[reason].size,
    parkedIds: (reason) => parked[reason],
    empty: () => ready.size + waiting.size + parked.delete.size + parked.rights.size + parked.scan.size === 0,
    stop() {
      cancel?.();
      cancel = null;
      ready.clear();
      waiting.clear();
    },
  };
}
