import type { Clock } from '../../src-shared/runtime.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { talkTo } from './host-protocol.ts';
import type { Offer } from './types.ts';

/** Who of the connected peers lends disk. */
export interface OfferBook {
  /** Asks those who were not asked lately. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Connected peers that lend something. */
  list(): readonly {
    readonly peerId: DeviceId;
    readonly userId: UserId | null;
    readonly offer: Offer;
    readonly rtt: number | null;
  }[];
  get(peer: DeviceId): Offer | null;
  /** It refused: not offered again for a while. */
  avoid(peer: DeviceId): void;
}

const avoidMs = 10 * 60_000;
const askMs = 5_000;
const remembered = 4096;

/** @param freshMs how long an answer is believed */
export function createOfferBook(network: Network, clock: Clock, freshMs: () => number): OfferBook {
  const known = new Map<DeviceId, { offer: Offer | null; at: number }>();
  const avoided = new Map<DeviceId, number>();
  return {
    async refresh(signal) {
      const now = clock.now();
      const due = [...new Set(network.peers().map(({ peerId }) => peerId))].filter((peer) => {
        const last = known.get(peer);
        return !last || now - last.at >= freshMs();
      });
      await Promise.allSettled(
        due.map(async (peer) => {
          const limited = AbortSignal.any([signal, AbortSignal.timeout(askMs)]);
          const asked = talkTo(network, peer, limited, (ask) => ask({ t: 'offer' }));
          const offer = await asked.catch(() => null);
          known.delete(peer);
          known.set(peer, { offer, at: now });
        }),
      );
      while (known.size > remembered) known.delete(known.keys().next().value!);
    },
    list() {
      const now = clock.now();
      const seen = new Set<DeviceId>();
      return network.peers().flatMap(({ peerId, userId, rtt }) => {
        const offer = known.get(peerId)?.offer;
        if (!offer || offer.leaving || seen.has(peerId) || (avoided.get(peerId) ?? 0) > now) return [];
        seen.add(peerId);
        return [{ peerId, userId, offer, rtt }];
      });
    },
    get: (peer) => known.get(peer)?.offer ?? null,
    avoid(peer) {
      avoided.set(peer, clock.now() + avoidMs);
      if (avoided.size > remembered) avoided.delete(avoided.keys().next().value!);
    },
  };
}
