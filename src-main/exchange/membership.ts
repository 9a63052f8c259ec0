import type { Clock } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';

/** Which connected devices may see which drives. */
export interface Membership {
  userOf(peer: DeviceId): UserId | null;
  /** Never cached: a removed member is refused from that moment on. */
  isMember(drive: Drive, peer: DeviceId): boolean;
  connected(): readonly DeviceId[];
  isConnected(peer: DeviceId): boolean;
  /** Reached without a relay between. */
  isDirect(peer: DeviceId): boolean;
  /** Connected members, direct and near ones first. */
  members(drive: Drive): readonly DeviceId[];
  /** ms; null when not measured. */
  rtt(peer: DeviceId): number | null;
  /** Forgets what was looked up. */
  changed(): void;
}

interface Known {
  readonly relayed: boolean;
  readonly rtt: number | null;
}

/** Lists of peers are asked for with every frame received; this old they may be. ms. */
const freshMs = 1000;

export function createMembership(network: Network, clock: Clock): Membership {
  let peers = new Map<DeviceId, Known>();
  let members = new Map<string, readonly DeviceId[]>();
  let readAt = Number.NEGATIVE_INFINITY;

  function table(): Map<DeviceId, Known> {
    const now = clock.now();
    if (now - readAt < freshMs && now >= readAt) return peers;
    readAt = now;
    members = new Map();
    peers = new Map();
    for (const info of network.peers()) {
      if (info.peerId === network.peerId) continue;
      const other = peers.get(info.peerId);
      // Several connections to one peer: it is as near as the best of them.
      if (!other || (other.relayed && !info.relayed)) {
        peers.set(info.peerId, { relayed: info.relayed, rtt: info.rtt });
      }
    }
    return peers;
  }

  const membership: Membership = {
    userOf: (peer) => network.cards.userOf(peer),
    isMember(drive, peer) {
      const user = network.cards.userOf(peer);
      return user !== null && drive.roleOf(user) !== null;
    },
    connected: () => [...table().keys()],
    isConnected: (peer) => table().has(peer),
    isDirect: (peer) => table().get(peer)?.relayed === false,
    members(drive) {
      const known = table();
      let list = members.get(drive.id);
      if (!list) {
        list = [...known]
          .filter(([peer]) => membership.isMember(drive, peer))
          .sort(([, a], [, b]) => Number(a.relayed) - Number(b.relayed) || (a.rtt ?? 1e9) - (b.rtt ?? 1e9))
          .map(([peer]) => peer);
        members.set(drive.id, list);
      }
      return list;
    },
    rtt: (peer) => table().get(peer)?.rtt ?? null,
    changed() {
      readAt = Number.NEGATIVE_INFINITY;
    },
  };
  return membership;
}
