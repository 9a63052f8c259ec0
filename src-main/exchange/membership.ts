import type { Clock } from '../../src-shared/runtime.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import type { ExchangedDrive, OpenDrives } from './types.ts';

/** Which connected devices may see which drives. */
export interface Membership {
  userOf(peer: DeviceId): UserId | null;
  /**
   * Never cached: a removed member is refused from that moment on. Hosts of the drive are served like members, and who may
   * read it because it is open.
   */
  mayHave(drive: ExchangedDrive, peer: DeviceId): boolean;
  /** Its user has a role in the drive. */
  isMember(drive: ExchangedDrive, peer: DeviceId): boolean;
  /** Devices that keep the drive's ciphertext for its members. */
  setHosts(driveId: string, hosts: ReadonlySet<DeviceId>): void;
  connected(): readonly DeviceId[];
  isConnected(peer: DeviceId): boolean;
  /** Reached without a relay between. */
  isDirect(peer: DeviceId): boolean;
  /** Connected members and hosts, direct and near ones first. */
  holders(drive: ExchangedDrive): readonly DeviceId[];
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

export function createMembership(network: Network, clock: Clock, open: OpenDrives | null = null): Membership {
  let peers = new Map<DeviceId, Known>();
  let holders = new Map<string, readonly DeviceId[]>();
  const hosts = new Map<string, ReadonlySet<DeviceId>>();
  let readAt = Number.NEGATIVE_INFINITY;

  function table(): Map<DeviceId, Known> {
    const now = clock.now();
    if (now - readAt < freshMs && now >= readAt) return peers;
    readAt = now;
    holders = new Map();
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

  const isHolder = (drive: ExchangedDrive, peer: DeviceId): boolean =>
    (hosts.get(drive.id)?.has(peer) ?? false) || membership.isMember(drive, peer);

  const membership: Membership = {
    userOf: (peer) => network.cards.userOf(peer),
    mayHave: (drive, peer) => isHolder(drive, peer) || (open?.mayRead(drive.id, peer) ?? false),
    setHosts(driveId, named) {
      if (named.size === 0) hosts.delete(driveId);
      else hosts.set(driveId, named);
      membership.changed();
    },
    isMember(drive, peer) {
      const user = network.cards.userOf(peer);
      return user !== null && drive.roleOf(user) !== null;
    },
    connected: () => [...table().keys()],
    isConnected: (peer) => table().has(peer),
    isDirect: (peer) => table().get(peer)?.relayed === false,
    holders(drive) {
      const known = table();
      let list = holders.get(drive.id);
      if (!list) {
        list = [...known]
          .filter(([peer]) => isHolder(drive, peer) || open?.sources(drive.id).has(peer))
          .sort(([, a], [, b]) => Number(a.relayed) - Number(b.relayed) || (a.rtt ?? 1e9) - (b.rtt ?? 1e9))
          .map(([peer]) => peer);
        holders.set(drive.id, list);
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
