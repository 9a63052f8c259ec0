import type { Clock } from '../../src-shared/runtime.ts';
import type { DeviceId } from '../identity/index.ts';

/**
 * Tells those who may not know yet that they are no member (their copy of the rights is older than ours) from those who
 * keep knocking: only the latter are reported.
 */
export interface Refusals {
  count(peer: DeviceId): void;
}

const windowMs = 60_000;
const allowed = 8;
const peersRemembered = 1024;

export function createRefusals(clock: Clock, report: (peer: DeviceId) => void): Refusals {
  const seen = new Map<DeviceId, { since: number; count: number }>();
  return {
    count(peer) {
      const now = clock.now();
      let entry = seen.get(peer);
      if (!entry || now - entry.since > windowMs) {
        seen.delete(peer);
        seen.set(peer, (entry = { since: now, count: 0 }));
        if (seen.size > peersRemembered) seen.delete(seen.keys().next().value!);
      }
      if (++entry.count > allowed) report(peer);
    },
  };
}
