import type { Clock } from '../../../src-shared/runtime.ts';
import type { Drive } from '../../drive/index.ts';
import type { MemberSync } from '../../exchange/index.ts';
import type { SyncState } from '../state/index.ts';

/** Remembers which devices take part in a drive, so that "nobody has it" can be told from "nobody who is here has it". */
export interface KnownDevices {
  /** Notes who is connected. */
  saw(members: readonly MemberSync[]): void;
  /** Every other device that takes part is connected: those seen lately whose users are still members. */
  allAmong(members: readonly MemberSync[]): boolean;
}

const key = 'devices';
/** A device not seen for so long does not count any more. ms; as long as the trash keeps what it may lose. */
export const forgottenAfter = 30 * 86_400_000;
/** How exactly times are noted. ms. */
const noteEvery = 3_600_000;

export function createKnownDevices(
  drive: Pick<Drive, 'members' | 'roleOf'>,
  state: Pick<SyncState, 'meta' | 'setMeta'>,
  clock: Clock,
): KnownDevices {
  const seen = new Map<string, { readonly userId: string; readonly at: number }>();
  try {
    for (const [peerId, userId, at] of JSON.parse(state.meta(key) ?? '[]') as [string, string, number][]) {
      seen.set(peerId, { userId, at });
    }
  } catch {
    // Damaged: it is only missed until everybody was seen again.
  }

  return {
    saw(members) {
      let changed = false;
      const now = clock.now();
      for (const { peerId, userId } of members) {
        const before = seen.get(peerId);
        if (before?.userId === userId && Math.abs(now - before.at) < noteEvery) continue;
        seen.set(peerId, { userId, at: now });
        changed = true;
      }
      if (changed) {
        state.setMeta(key, JSON.stringify([...seen].map(([peerId, { userId, at }]) => [peerId, userId, at])));
      }
    },
    allAmong(members) {
      // Shared, and nobody has been met: there is somebody who may have it.
      if (members.length === 0 && seen.size === 0) return drive.members().length <= 1;
      const here = new Set(members.map(({ peerId }) => peerId));
      const now = clock.now();
      for (const [peerId, { userId, at }] of seen) {
        if (here.has(peerId) || Math.abs(now - at) > forgottenAfter) continue;
        if (drive.roleOf(userId) !== null) return false;
      }
      return true;
    },
  };
}
