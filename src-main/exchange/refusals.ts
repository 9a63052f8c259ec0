import type { Clock } from '../../src-shared/runtime.ts';
import type { DeviceId } from '../identity/index.ts';

/**
 * Tells those whose rights one of us does not know of yet from a flood: only the latter is reported. A member who was let into
 * many drives while this computer was away asks for each of them, and again after 2, 4, 8 s; to refuse costs next to nothing,
 * while to shut out a member for minutes keeps people's folders apart.
 */
export interface Refusals {
  count(peer: DeviceId): void;
}

const windowMs = 60_000;
const allowed = 600;
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
