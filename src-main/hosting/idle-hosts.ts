import type { Clock } from '../../src-shared/runtime.ts';
import type { DeviceId } from '../identity/index.ts';

/** Finds hosts that said they would keep something and take nothing in: no room after all, or no will. */
export interface IdleHosts {
  /**
   * What a connected host says it still lacks.
   * @returns whether it has taken in nothing for so long, though it lacks something
   */
  note(host: DeviceId, missing: number): boolean;
  /** It is away, or was told of other blocks: its time begins anew. */
  forget(host: DeviceId): void;
}

/** @param patienceMs how long a host may take for its next block */
export function createIdleHosts(clock: Clock, patienceMs: () => number): IdleHosts {
  const lacking = new Map<DeviceId, { readonly missing: number; readonly since: number }>();
  return {
    note(host, missing) {
      if (missing === 0) {
        lacking.delete(host);
        return false;
      }
      const before = lacking.get(host);
      const since = before && missing >= before.missing ? before.since : clock.now();
      lacking.set(host, { missing, since });
      return clock.now() - since >= patienceMs();
    },
    forget: (host) => void lacking.delete(host),
  };
}
